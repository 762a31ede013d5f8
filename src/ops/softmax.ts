import { defineOp } from '../autograd/op.js';
import { checkTensors } from '../gpu/arguments.js';
import { ShapeError } from '../gpu/errors.js';
import { flatGrid } from '../gpu/grid.js';
import { formatShape } from '../tensor/shape.js';
import { Tensor } from '../tensor/tensor.js';
import { contiguous } from './layout.js';

const normalising = defineOp<{ x: Tensor }, { classes: number }>({
  name: 'softmax',
  forward({ x }, { classes }) {
    const y = Tensor.empty(x.gpu, x.shape, { label: 'softmax' });
    const rows = x.size / classes;
    x.gpu.run('softmax', {
      params: { rows, classes },
      buffers: { x: contiguous(x).buffer, y: y.buffer },
      grid: flatGrid(rows, 64),
    });
    return { output: y, saved: { y } };
  },
  backward(gradient, { saved, options: { classes } }) {
    const x = Tensor.empty(gradient.gpu, gradient.shape, { label: 'gradient of softmax' });
    const rows = x.size / classes;
    gradient.gpu.run('softmax_backward', {
      params: { rows, classes },
      buffers: { y: saved['y']!.buffer, grad_y: gradient.buffer, grad_x: x.buffer },
      grid: flatGrid(rows, 64),
    });
    return { x };
  },
});

/**
 * exp(x) / Σ exp(x) over the last axis, without overflow. `x`: any shape with a last axis of 1 or more.
 * @throws ShapeError for a scalar or an empty last axis.
 */
export function softmax(x: Tensor): Tensor {
  checkTensors('softmax', { x });
  const classes = x.shape.at(-1) ?? 0;
  if (classes === 0) {
    throw new ShapeError({
      operation: 'softmax',
      expected: 'a last axis of 1 or more',
      got: formatShape(x.shape),
      remedy: 'Put the classes on the last axis.',
    });
  }
  return normalising({ x }, { classes });
}
