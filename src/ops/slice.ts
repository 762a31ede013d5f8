import { defineOp } from '../autograd/op.js';
import { checkOptions, checkTensors } from '../gpu/arguments.js';
import { ShapeError } from '../gpu/errors.js';
import { copyRows } from '../tensor/copy_rows.js';
import { Tensor } from '../tensor/tensor.js';
import { around, contiguous, resolveAxis } from './layout.js';

/** Which part of which axis `slice` takes. */
export interface SliceOptions {
  /** Counted from the end where negative. */
  readonly axis: number;
  readonly start: number;
  readonly count: number;
}

/** A part of an axis, without recording. `place`: where to write it instead of into a new tensor. */
export function slicePart(x: Tensor, { axis, start, count }: SliceOptions, place?: Tensor): Tensor {
  const shape = x.shape.toSpliced(axis, 1, count);
  const part = place ?? Tensor.empty(x.gpu, shape, { dtype: x.dtype, label: 'slice' });
  const width = around(shape, axis).inner;
  const { outer, inner } = around(x.shape, axis);
  const from = axis === x.shape.length - 1 ? x : contiguous(x);
  const step = inner / Math.max(x.shape[axis]!, 1);
  copyRows(
    { tensor: from, pitch: axis === x.shape.length - 1 ? x.pitch : inner, offset: from.offset + start * step },
    { tensor: part, pitch: width, offset: 0 },
    outer,
    width,
  );
  return part;
}

const slicing = defineOp<{ x: Tensor }, SliceOptions & { readonly size: number }>({
  name: 'slice',
  forward: ({ x }, options) => slicePart(x, options),
  backward(gradient, { options: { axis, start, size } }) {
    const whole = Tensor.empty(gradient.gpu, gradient.shape.toSpliced(axis, 1, size), { label: 'gradient of slice' });
    gradient.gpu.clear(whole.buffer);
    const width = around(gradient.shape, axis).inner;
    const { outer, inner } = around(whole.shape, axis);
    copyRows(
      { tensor: gradient, pitch: width, offset: 0 },
      { tensor: whole, pitch: inner, offset: (start * inner) / size },
      outer,
      width,
    );
    return { x: whole };
  },
});

/**
 * A copy of `count` entries of an axis, from `start` on. `x`: any shape with that axis.
 * @throws ShapeError for an axis or a range that `x` does not have; ArgumentError for options that there are not.
 */
export function slice(x: Tensor, options: SliceOptions): Tensor {
  checkOptions('slice', options, { axis: 'number!', start: 'number!', count: 'number!' });
  const { axis, start, count } = options;
  checkTensors('slice', { x }, 'any');
  const resolved = resolveAxis('slice', x.shape, axis);
  const size = x.shape[resolved]!;
  if (!(Number.isInteger(start) && start >= 0 && Number.isInteger(count) && count >= 0 && start + count <= size)) {
    throw new ShapeError({
      operation: 'slice',
      expected: `a range inside 0 to ${size}`,
      got: `${start} to ${start + count}`,
      remedy: `Stay inside axis ${axis}.`,
    });
  }
  return slicing({ x }, { axis: resolved, start, count, size });
}
