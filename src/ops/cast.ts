import { defineOp } from '../autograd/op.js';
import { checkTensors } from '../gpu/arguments.js';
import { copyAll } from '../tensor/copy_rows.js';
import { Tensor } from '../tensor/tensor.js';
import { contiguous, FLOATS } from './layout.js';

const casting = defineOp<{ x: Tensor }, { dtype: 'f32' | 'f16' }>({
  name: 'cast',
  forward({ x }, { dtype }) {
    const y = Tensor.empty(x.gpu, x.shape, { dtype, label: x.label });
    copyAll(contiguous(x), y);
    return y;
  },
});

/**
 * The same numbers in another type: `f16`, rounded to 11 bits where it holds them, up to 65,504, or `f32`, exact. `x`: any shape, f32 or
 * f16. Has no gradient.
 * @throws AdapterError for `f16` on a device without it; ArgumentError for a tensor of integers.
 */
export function cast<D extends 'f32' | 'f16'>(x: Tensor, dtype: D): Tensor<D> {
  checkTensors('cast', { x }, FLOATS);
  return casting({ x }, { dtype }) as Tensor<D>;
}
