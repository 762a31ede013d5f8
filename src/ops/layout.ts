import { ShapeError } from '../gpu/errors.js';
import { copyRows } from '../tensor/copy_rows.js';
import { elements, formatShape, type Shape } from '../tensor/shape.js';
import { Tensor } from '../tensor/tensor.js';

/** The tensor itself where its elements lie side by side, else a copy whose elements do (freed by the scope around). */
export function contiguous(x: Tensor): Tensor {
  if (x.contiguous) return x;
  const width = x.shape.at(-1) ?? 1;
  const copy = Tensor.empty(x.gpu, x.shape, { dtype: x.dtype, label: x.label });
  copyRows(
    { tensor: x, pitch: x.pitch, offset: x.offset },
    { tensor: copy, pitch: width, offset: 0 },
    x.size / Math.max(width, 1),
    width,
  );
  return copy;
}

/** How a kernel walks channels: four at a time where their number allows it. */
export function channelLanes(channels: number): { readonly vectors: boolean; readonly lanes: number } {
  const vectors = channels % 4 === 0;
  return { vectors, lanes: vectors ? channels / 4 : channels };
}

/** What operations of inference take. */
export const FLOATS = 'f32|f16';

/** An axis counted from the end where negative. Throws a ShapeError for one that the tensor does not have. */
export function resolveAxis(operation: string, shape: Shape, axis: number): number {
  const resolved = axis < 0 ? axis + shape.length : axis;
  if (Number.isInteger(resolved) && resolved >= 0 && resolved < shape.length) return resolved;
  throw new ShapeError({
    operation,
    expected: `an axis of ${formatShape(shape)}, from ${-shape.length} to ${shape.length - 1}`,
    got: String(axis),
    remedy: 'Pass an axis that the tensor has.',
  });
}

/** The product of the sizes before an axis, and of the axis and all behind it. */
export function around(shape: Shape, axis: number): { readonly outer: number; readonly inner: number } {
  return { outer: elements(shape.slice(0, axis)), inner: elements(shape.slice(axis)) };
}
