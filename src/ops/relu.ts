import { defineOp } from '../autograd/op.js';
import { checkTensors } from '../gpu/arguments.js';
import { ArgumentError } from '../gpu/errors.js';
import { flatGrid } from '../gpu/grid.js';
import { Tensor } from '../tensor/tensor.js';
import { contiguous, FLOATS } from './layout.js';

// Pure: whoever rectifies by no op of its own goes without it.
const rectify = /* @__PURE__ */ defineOp<{ x: Tensor }, { slope: number }>({
  name: 'leakyRelu',
  forward({ x }, { slope }) {
    const y = Tensor.empty(x.gpu, x.shape, { dtype: x.dtype, label: 'relu' });
    const count4 = Math.ceil(x.size / 4);
    x.gpu.run('relu', {
      params: { count4, slope },
      buffers: { x: contiguous(x).buffer, y: y.buffer },
      grid: flatGrid(count4, 64),
    });
    return { output: y, saved: { y } };
  },
  backward(gradient, { saved, options }) {
    return { x: rectifierGradient(saved['y']!, gradient, options.slope) };
  },
});

/** The gradient before a (leaky) rectifier, from its output `y` and the gradient of that. */
export function rectifierGradient(y: Tensor, gradient: Tensor, slope: number): Tensor {
  const before = Tensor.empty(y.gpu, y.shape, { label: 'gradient of a rectifier' });
  const count4 = Math.ceil(y.size / 4);
  y.gpu.run('relu_backward', {
    params: { count4, slope },
    buffers: { y: y.buffer, grad_y: gradient.buffer, grad_x: before.buffer },
    grid: flatGrid(count4, 64),
  });
  return before;
}

/** Throws an ArgumentError for a slope whose output would not tell the sign of the input. */
export function checkSlope(operation: string, slope: number): void {
  if (slope >= 0 && Number.isFinite(slope)) return;
  throw new ArgumentError({
    operation,
    expected: 'a slope of 0 or more',
    got: String(slope),
    remedy: 'Pass 0 for a plain ReLU, or a small positive leak.',
  });
}

/** max(x, 0), element by element. `x`: any shape. */
export function relu(x: Tensor): Tensor {
  checkTensors('relu', { x }, FLOATS);
  return rectify({ x }, { slope: 0 });
}

/**
 * x where positive, else slope·x. `x`: any shape; the published MobileNet uses a slope of 0.1.
 * @throws ArgumentError for a negative slope.
 */
export function leakyRelu(x: Tensor, slope: number): Tensor {
  checkTensors('leakyRelu', { x }, FLOATS);
  checkSlope('leakyRelu', slope);
  return rectify({ x }, { slope });
}
