import { defineOp } from '../autograd/op.js';
import { checkTensors } from '../gpu/arguments.js';
import { flatGrid } from '../gpu/grid.js';
import { Tensor } from '../tensor/tensor.js';
import { checkSameShape } from './add.js';
import { contiguous } from './layout.js';

function product(a: Tensor, b: Tensor): Tensor {
  const y = Tensor.empty(a.gpu, a.shape, { label: 'multiply' });
  const count4 = Math.ceil(a.size / 4);
  a.gpu.run('multiply', {
    params: { count4 },
    buffers: { a: contiguous(a).buffer, b: contiguous(b).buffer, y: y.buffer },
    grid: flatGrid(count4, 64),
  });
  return y;
}

const productOfTwo = defineOp<{ a: Tensor; b: Tensor }, undefined>({
  name: 'multiply',
  forward({ a, b }) {
    return { output: product(a, b), saved: { a, b } };
  },
  backward(gradient, { saved, needs }) {
    return {
      a: needs.a ? product(gradient, saved['b']!) : undefined,
      b: needs.b ? product(gradient, saved['a']!) : undefined,
    };
  },
});

/**
 * a · b, element by element. `a`, `b`: one shape.
 * @throws ShapeError for different shapes.
 */
export function multiply(a: Tensor, b: Tensor): Tensor {
  checkTensors('multiply', { a, b });
  checkSameShape('multiply', a.shape, b.shape);
  return productOfTwo({ a, b }, undefined);
}
