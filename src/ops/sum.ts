import { defineOp } from '../autograd/op.js';
import { checkTensors } from '../gpu/arguments.js';
import { flatGrid } from '../gpu/grid.js';
import type { Shape } from '../tensor/shape.js';
import { Tensor } from '../tensor/tensor.js';
import { contiguous } from './layout.js';

/** Elements that one workgroup of the kernel sums. */
const BLOCK = 4096;

const scaledSum = defineOp<{ x: Tensor }, { scale: number; shape: Shape }>({
  name: 'sum',
  forward({ x }, { scale }) {
    let current = contiguous(x);
    for (;;) {
      const count = current.size;
      const blocks = Math.max(1, Math.ceil(count / BLOCK));
      const sums = Tensor.empty(x.gpu, blocks === 1 ? [] : [blocks], { label: 'sum' });
      x.gpu.run('sum', {
        params: { count, scale: blocks === 1 ? scale : 1 },
        buffers: { x: current.buffer, y: sums.buffer },
        grid: flatGrid(blocks, 1),
      });
      if (blocks === 1) return sums;
      current = sums;
    }
  },
  backward(gradient, { options: { scale, shape } }) {
    const x = Tensor.empty(gradient.gpu, shape, { label: 'gradient of sum' });
    const count4 = Math.ceil(x.size / 4);
    gradient.gpu.run('fill_from_scalar', {
      params: { count4, scale },
      buffers: { x: gradient.buffer, y: x.buffer },
      grid: flatGrid(count4, 64),
    });
    return { x };
  },
});

/** The sum of all elements times `scale`, as a scalar []; by a fixed tree, so that the same input gives the same bits. */
export function sumTimes(x: Tensor, scale: number): Tensor {
  return scaledSum({ x }, { scale, shape: x.shape });
}

/** The sum of all elements of `x` (any shape), as a scalar []; the same input gives the same bits. */
export function sum(x: Tensor): Tensor {
  checkTensors('sum', { x });
  return sumTimes(x, 1);
}
