import { defineOp } from '../autograd/op.js';
import { checkTensors } from '../gpu/arguments.js';
import { checkShape, elements, type Shape } from '../tensor/shape.js';
import type { Tensor } from '../tensor/tensor.js';
import { contiguous } from './layout.js';

const reshaping = defineOp<{ x: Tensor }, { shape: Shape; before: Shape }>({
  name: 'reshape',
  forward: ({ x }, { shape }) => (elements(shape) === x.size ? contiguous(x) : x).view(shape),
  backward: (gradient, { options }) => ({ x: gradient.view(options.before) }),
});

/**
 * The same elements in row-major order under another shape: shares memory with `x`, unless that is a channel view.
 * @throws ShapeError for a shape of another number of elements.
 */
export function reshape(x: Tensor, shape: Shape): Tensor {
  checkTensors('reshape', { x }, 'any');
  checkShape('reshape', shape);
  return reshaping({ x }, { shape, before: x.shape });
}
