import { defineOp } from '../autograd/op.js';
import { flatGrid } from '../gpu/grid.js';
import { Tensor } from '../tensor/tensor.js';

const rectify = defineOp<{ x: Tensor }, { slope: number }>({
  name: 'leakyRelu',
  forward({ x }, { slope }) {
    const y = Tensor.empty(x.gpu, x.shape, { label: 'relu' });
    const count4 = Math.ceil(x.size / 4);
    x.gpu.run('relu', {
      params: { count4, slope },
      buffers: { x: x.buffer, y: y.buffer },
      grid: flatGrid(count4, 64),
    });
    return y;
  },
});

/** max(x, 0), element by element. `x`: any shape. */
export function relu(x: Tensor): Tensor {
  return rectify({ x }, { slope: 0 });
}

/** x where positive, else slope·x. `x`: any shape; the published MobileNet uses a slope of 0.1. */
export function leakyRelu(x: Tensor, slope: number): Tensor {
  return rectify({ x }, { slope });
}
