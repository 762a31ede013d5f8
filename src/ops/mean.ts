import { checkTensors } from '../gpu/arguments.js';
import { ShapeError } from '../gpu/errors.js';
import { formatShape } from '../tensor/shape.js';
import type { Tensor } from '../tensor/tensor.js';
import { sumTimes } from './sum.js';

/**
 * The mean of all elements of `x` (any shape), as a scalar [].
 * @throws ShapeError for a tensor without elements.
 */
export function mean(x: Tensor): Tensor {
  checkTensors('mean', { x });
  if (x.size === 0) {
    throw new ShapeError({
      operation: 'mean',
      expected: 'one element or more',
      got: formatShape(x.shape),
      remedy: 'Leave out empty tensors.',
    });
  }
  return sumTimes(x, 1 / x.size);
}
