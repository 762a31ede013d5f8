import { ShapeError, WeightsError } from '../gpu/errors.js';

/** One tensor of a weights file, row-major. A convolution's weight is in PyTorch's layout [out, in / groups, height, width]. */
export interface StateTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** The tensors of a weights file by their dotted names, in the file's order. */
export type StateDict = ReadonlyMap<string, StateTensor>;

/** More axes than any layer's weight has; without a bound a hostile file could ask for millions. */
export const MAX_RANK = 8;

/** The number of elements of `shape`, or undefined where an extent is no count, or the product cannot be counted exactly. */
export function elementCount(shape: readonly number[]): number | undefined {
  let count = 1;
  for (const extent of shape) {
    if (!Number.isSafeInteger(extent) || extent < 0) return undefined;
    count *= extent;
    if (!Number.isSafeInteger(count)) return undefined;
  }
  return count;
}

/**
 * Re-orders a convolution's weight from PyTorch's [out, in, height, width] to this library's [height, width, in, out].
 * A depthwise weight [c, 1, h, w] becomes [h, w, 1, c] by the same rule. Throws ShapeError unless `shape` has four axes
 * and `data` fills them.
 */
export function oihwToHwio(data: Float32Array, shape: readonly number[]): StateTensor {
  return permute('oihwToHwio', data, shape, [2, 3, 1, 0]);
}

/** The inverse of `oihwToHwio`: from [height, width, in, out] to PyTorch's [out, in, height, width]. Throws ShapeError alike. */
export function hwioToOihw(data: Float32Array, shape: readonly number[]): StateTensor {
  return permute('hwioToOihw', data, shape, [3, 2, 0, 1]);
}

type Axes = readonly [number, number, number, number];

/** The tensor whose axis k is axis `order[k]` of the one given. */
function permute(operation: string, data: Float32Array, shape: readonly number[], order: Axes): StateTensor {
  if (shape.length !== 4 || elementCount(shape) !== data.length) {
    throw new ShapeError({
      operation,
      expected: 'four axes and as many values as they hold',
      got: `[${shape.join(', ')}] with ${data.length} values`,
      remedy: 'Only the weight of a convolution has this layout.',
    });
  }
  const [, n1, n2, n3] = shape as Axes;
  const strides = [n1 * n2 * n3, n2 * n3, n3, 1];
  const [d0, d1, d2, d3] = order.map((axis) => shape[axis]!) as unknown as Axes;
  const [s0, s1, s2, s3] = order.map((axis) => strides[axis]!) as unknown as Axes;
  const permuted = new Float32Array(data.length);
  let at = 0;
  for (let i = 0; i < d0; i++) {
    for (let j = 0; j < d1; j++) {
      for (let k = 0; k < d2; k++) {
        let from = i * s0 + j * s1 + k * s2;
        for (let l = 0; l < d3; l++, from += s3) permuted[at++] = data[from]!;
      }
    }
  }
  return { shape: [d0, d1, d2, d3], data: permuted };
}

/**
 * The tensors that a network takes from a file: the prefix `module.`, which PyTorch's DataParallel leaves, is stripped, and
 * what training alone needs is left out: the step counters `num_batches_tracked` and a checkpoint's `optimizer.…`. Throws WeightsError where
 * two names become one.
 */
export function withoutBookkeeping(tensors: StateDict, source: string): StateDict {
  const kept = new Map<string, StateTensor>();
  for (const [name, tensor] of tensors) {
    const plain = name.startsWith('module.') ? name.slice('module.'.length) : name;
    if (isBookkeeping(plain)) continue;
    if (kept.has(plain)) {
      throw new WeightsError({
        operation: `read weights from ${source}`,
        expected: 'one tensor of each name',
        got: `${plain} both with and without the prefix "module."`,
        remedy: 'Save the state_dict of one model alone.',
      });
    }
    kept.set(plain, tensor);
  }
  return kept;
}

/** What the tensors of an optimiser are called in a checkpoint, before the name of their parameter. */
export const OPTIMISER_PREFIX = 'optimizer.';

/** True for what training alone needs: batch normalisation's step counters, the optimiser's momentum. */
export function isBookkeeping(name: string): boolean {
  if (name.startsWith(OPTIMISER_PREFIX)) return true;
  return name === 'num_batches_tracked' || name.endsWith('.num_batches_tracked');
}
