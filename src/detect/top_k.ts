import { checkTensors } from '../gpu/arguments.js';
import { ArgumentError, ShapeError } from '../gpu/errors.js';
import { flatGrid } from '../gpu/grid.js';
import { formatShape } from '../tensor/shape.js';
import { scope } from '../tensor/scope.js';
import { Tensor } from '../tensor/tensor.js';
import { chooseGreatest } from './choose.js';

/**
 * The `k` greatest of `values` [count], or of each row of `values` [n, count], in descending order, ties by the lower
 * index; NaN ranks below everything. Exact: radix select, then rank counting (k² comparisons a row).
 * @throws ShapeError, or ArgumentError when k is not 0 to count.
 */
export function topK(values: Tensor, k: number): { readonly values: Tensor<'f32'>; readonly indices: Tensor<'u32'> } {
  checkTensors('topK', { values });
  const count = values.shape.at(-1);
  const rows = values.shape.length === 2 ? values.shape[0]! : 1;
  if (count === undefined || values.shape.length > 2) {
    throw new ShapeError({
      operation: 'topK',
      expected: 'values [count] or [n, count]',
      got: formatShape(values.shape),
      remedy: 'Reshape the tensor.',
    });
  }
  if (!Number.isInteger(k) || k < 0 || k > count) {
    throw new ArgumentError({
      operation: 'topK',
      expected: `k to be 0 to ${count}`,
      got: String(k),
      remedy: 'Ask for at most as many as there are.',
    });
  }
  const { gpu } = values;
  const shape = [...values.shape.slice(0, -1), k];
  return scope(() => {
    const sorted = Tensor.empty(gpu, shape, { label: 'top values' });
    const indices = Tensor.empty(gpu, shape, { dtype: 'u32', label: 'top indices' });
    if (rows * k > 0) {
      const { chosen, counts } = chooseGreatest(keysOf(values), rows, k);
      gpu.run('sort_values', {
        params: { count, k },
        buffers: {
          chosen: chosen.buffer,
          counts: counts.buffer,
          values: values.buffer,
          sorted: sorted.buffer,
          indices: indices.buffer,
        },
        grid: [Math.ceil(k / 64), rows, 1],
      });
    }
    return { values: sorted, indices };
  });
}

/** Floats as keys of the same order, at least 1. */
export function keysOf(values: Tensor): Tensor<'u32'> {
  const keys = Tensor.empty(values.gpu, values.shape, { dtype: 'u32', label: 'keys' });
  values.gpu.run('float_keys', {
    params: { total: values.size },
    buffers: { values: values.buffer, keys: keys.buffer },
    grid: flatGrid(values.size, 64),
  });
  return keys;
}
