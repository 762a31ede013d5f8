import { defineOp } from '../autograd/op.js';
import { checkOptions, checkTensors } from '../gpu/arguments.js';
import { ShapeError } from '../gpu/errors.js';
import { flatGrid } from '../gpu/grid.js';
import { formatShape, sameShape, type Shape } from '../tensor/shape.js';
import { Tensor } from '../tensor/tensor.js';
import { contiguous, FLOATS } from './layout.js';
import { checkSlope, rectifierGradient } from './relu.js';

const sumOfTwo = defineOp<{ a: Tensor; b: Tensor }, { slope: number | undefined }>({
  name: 'add',
  forward({ a, b }, { slope }) {
    const y = Tensor.empty(a.gpu, a.shape, { dtype: a.dtype, label: 'add' });
    const count4 = Math.ceil(a.size / 4);
    a.gpu.run('add', {
      params: { count4, slope: slope ?? 1 },
      buffers: { a: contiguous(a).buffer, b: contiguous(b).buffer, y: y.buffer },
      conditions: { activation: slope !== undefined },
      grid: flatGrid(count4, 64),
    });
    return { output: y, saved: { y: slope === undefined ? undefined : y } };
  },
  backward(gradient, { saved, options, needs }) {
    const before = options.slope === undefined ? gradient : rectifierGradient(saved['y']!, gradient, options.slope);
    return { a: needs.a ? before : undefined, b: needs.b ? before : undefined };
  },
});

/** Throws a ShapeError unless both shapes are the same. */
export function checkSameShape(operation: string, a: Shape, b: Shape): void {
  if (sameShape(a, b)) return;
  throw new ShapeError({
    operation,
    expected: 'two tensors of one shape',
    got: `${formatShape(a)} and ${formatShape(b)}`,
    remedy: 'Bring both to the same shape first; nothing is broadcast.',
  });
}

/**
 * a + b, element by element, and with a `slope` a rectifier after it: 0 for ReLU, more for a leaky one.
 * `a`, `b`: one shape.
 * @throws ShapeError for different shapes; ArgumentError for a negative slope, and for options that there are not.
 */
export function add(a: Tensor, b: Tensor, options: { readonly slope?: number } = {}): Tensor {
  checkOptions('add', options, { slope: 'number' });
  checkTensors('add', { a }, FLOATS);
  checkTensors('add', { b }, a.dtype);
  checkSameShape('add', a.shape, b.shape);
  if (options.slope !== undefined) checkSlope('add', options.slope);
  return sumOfTwo({ a, b }, { slope: options.slope });
}
