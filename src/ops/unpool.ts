import { defineOp } from '../autograd/op.js';
import { checkOptions, checkTensors } from '../gpu/arguments.js';
import { ArgumentError } from '../gpu/errors.js';
import { flatGrid } from '../gpu/grid.js';
import { imageShape } from '../tensor/shape.js';
import { Tensor } from '../tensor/tensor.js';
import { channelLanes, contiguous, FLOATS } from './layout.js';

const unpooling = defineOp<{ x: Tensor }, { size: readonly [number, number]; from: readonly [number, number] }>({
  name: 'unpool',
  forward({ x }, { size: [outHeight, outWidth] }) {
    const [batch, height, width, channels] = imageShape('unpool', x.shape);
    const { vectors, lanes } = channelLanes(channels);
    const y = Tensor.empty(x.gpu, [batch, outHeight, outWidth, channels], { dtype: x.dtype, label: 'unpool' });
    const count = batch * outHeight * outWidth * lanes;
    x.gpu.run('unpool', {
      params: { count, height, width, channels: lanes, out_height: outHeight, out_width: outWidth },
      buffers: { x: contiguous(x).buffer, y: y.buffer },
      conditions: { vectors },
      grid: flatGrid(count, 64),
    });
    return y;
  },
  backward(gradient, { options: { from } }) {
    const [batch, outHeight, outWidth, channels] = imageShape('unpool', gradient.shape);
    const [height, width] = from;
    const { vectors, lanes } = channelLanes(channels);
    const x = Tensor.empty(gradient.gpu, [batch, height, width, channels], { label: 'gradient of unpool' });
    const count = batch * height * width * lanes;
    gradient.gpu.run('unpool_backward', {
      params: { count, height, width, channels: lanes, out_height: outHeight, out_width: outWidth },
      buffers: { grad_y: gradient.buffer, grad_x: x.buffer },
      conditions: { vectors },
      grid: flatGrid(count, 64),
    });
    return { x };
  },
});

/**
 * Nearest-neighbour resampling of `x` [n, h, w, c] to `size`, a number or [y, x]: output row i shows input row
 * floor(i·h / out), columns likewise.
 * @throws ArgumentError for a size that is no whole number from 1 to 65,535, and options that there are not; ShapeError unless `x` is an image tensor.
 */
export function unpool(x: Tensor, options: { readonly size: number | readonly [y: number, x: number] }): Tensor {
  checkOptions('unpool', options, { size: 'number|array!' });
  const { size } = options;
  checkTensors('unpool', { x }, FLOATS);
  const [, height, width] = imageShape('unpool', x.shape);
  const [outHeight, outWidth] = typeof size === 'number' ? [size, size] : size;
  // The kernels multiply two sides in 32 bits.
  if ([height, width, outHeight, outWidth].some((side) => !(Number.isInteger(side) && side > 0 && side < 65_536))) {
    throw new ArgumentError({
      operation: 'unpool',
      expected: 'whole sides from 1 to 65,535',
      got: `${height}×${width} to ${outHeight}×${outWidth}`,
      remedy: 'Pass the height and width of the finer map.',
    });
  }
  return unpooling({ x }, { size: [outHeight, outWidth], from: [height, width] });
}
