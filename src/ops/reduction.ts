import { describe } from '../gpu/arguments.js';
import { ArgumentError, ShapeError } from '../gpu/errors.js';
import { flatGrid } from '../gpu/grid.js';
import { formatShape, sameShape, type Shape } from '../tensor/shape.js';
import { Tensor } from '../tensor/tensor.js';
import { contiguous } from './layout.js';
import { sum } from './sum.js';

/** What becomes of a loss per row: all of them, their sum, or their mean. */
export type Reduction = 'mean' | 'sum' | 'none';

/** Throws an ArgumentError for what is no reduction. */
export function checkReduction(operation: string, reduction: Reduction): void {
  if (['mean', 'sum', 'none'].includes(reduction)) return;
  throw new ArgumentError({
    operation,
    expected: "reduction to be 'mean', 'sum' or 'none'",
    got: describe(reduction),
    remedy: 'Pass one of them.',
  });
}

/** Throws a ShapeError unless `tensor` has one value per row of a tensor of shape `rows` + [last axis]. */
export function checkPerRow(operation: string, name: string, tensor: Tensor, rows: Shape): void {
  if (sameShape(tensor.shape, rows)) return;
  throw new ShapeError({
    operation,
    expected: `${name} ${formatShape(rows)}`,
    got: formatShape(tensor.shape),
    remedy: 'Pass one value per row: the shape without its last axis.',
  });
}

/** Weights divided by their sum, of the same shape; all 0 where they sum to 0. Computed on the device. */
export function normaliseWeights(weights: Tensor): Tensor<'f32'> {
  using total = sum(weights);
  const y = Tensor.empty(weights.gpu, weights.shape, { label: 'normalised weights' });
  weights.gpu.run('normalise_weights', {
    params: { count: weights.size },
    buffers: { weights: contiguous(weights).buffer, total: total.buffer, y: y.buffer },
    grid: flatGrid(weights.size, 64),
  });
  return y;
}
