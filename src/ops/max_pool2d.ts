import { defineOp } from '../autograd/op.js';
import { checkOptions, checkTensors } from '../gpu/arguments.js';
import { ArgumentError } from '../gpu/errors.js';
import { flatGrid } from '../gpu/grid.js';
import { imageShape, type Shape } from '../tensor/shape.js';
import { Tensor } from '../tensor/tensor.js';
import { channelLanes, contiguous, FLOATS } from './layout.js';

/** Windows of `maxPool2d`; a number stands for both axes. */
export interface MaxPool2dOptions {
  readonly kernel: number | readonly [y: number, x: number];
  /** The kernel's size by default. */
  readonly stride?: number | readonly [y: number, x: number];
  /** At most half the kernel, as in PyTorch, so that no window is empty; 0 by default. */
  readonly padding?:
    number | readonly [y: number, x: number] | readonly [top: number, left: number, bottom: number, right: number];
}

interface Windows {
  readonly kernel_y: number;
  readonly kernel_x: number;
  readonly stride_y: number;
  readonly stride_x: number;
  readonly pad_top: number;
  readonly pad_left: number;
  readonly out_height: number;
  readonly out_width: number;
}

const pooling = defineOp<{ x: Tensor }, { windows: Windows; shape: Shape }>({
  name: 'maxPool2d',
  forward({ x }, { windows }, recording) {
    const [batch, height, width, channels] = imageShape('maxPool2d', x.shape);
    const { vectors, lanes } = channelLanes(channels);
    const outShape = [batch, windows.out_height, windows.out_width, channels];
    const y = Tensor.empty(x.gpu, outShape, { dtype: x.dtype, label: 'maxPool2d' });
    const argmax = recording
      ? Tensor.empty(x.gpu, outShape, { dtype: 'u32', label: 'argmax of maxPool2d' })
      : undefined;
    const count = batch * windows.out_height * windows.out_width * lanes;
    x.gpu.run('max_pool2d', {
      params: { count, height, width, channels: lanes, ...windows },
      buffers: { x: contiguous(x).buffer, y: y.buffer, ...(argmax ? { argmax: argmax.buffer } : {}) },
      conditions: { vectors, argmax: recording },
      grid: flatGrid(count, 64),
    });
    return { output: y, saved: { argmax } };
  },
  backward(gradient, { saved, options: { windows, shape } }) {
    const [batch, height, width, channels] = imageShape('maxPool2d', shape);
    const { vectors, lanes } = channelLanes(channels);
    const x = Tensor.empty(gradient.gpu, shape, { label: 'gradient of maxPool2d' });
    const count = batch * height * width * lanes;
    gradient.gpu.run('max_pool2d_backward', {
      params: { count, height, width, channels: lanes, ...windows },
      buffers: { grad_y: gradient.buffer, argmax: saved['argmax']!.buffer, grad_x: x.buffer },
      conditions: { vectors },
      grid: flatGrid(count, 64),
    });
    return { x };
  },
});

/**
 * The maximum of every window of `x` [n, h, w, c], channel by channel; floor((size + padding − kernel) / stride) + 1
 * windows along an axis. Padding never wins; of equal values the first in row-major order gets the gradient.
 * @throws ArgumentError for windows that do not fit and options that there are not; ShapeError unless `x` is an image tensor.
 */
export function maxPool2d(x: Tensor, options: MaxPool2dOptions): Tensor {
  checkOptions('maxPool2d', options, { kernel: 'number|array!', stride: 'number|array', padding: 'number|array' });
  const { kernel, stride = kernel, padding = 0 } = options;
  checkTensors('maxPool2d', { x }, FLOATS);
  const [, height, width] = imageShape('maxPool2d', x.shape);
  const [kernelY, kernelX] = typeof kernel === 'number' ? [kernel, kernel] : kernel;
  const [strideY, strideX] = typeof stride === 'number' ? [stride, stride] : stride;
  const [top, left, bottom, right] =
    typeof padding === 'number'
      ? [padding, padding, padding, padding]
      : padding.length === 2
        ? [padding[0], padding[1], padding[0], padding[1]]
        : padding;
  const outHeight = Math.floor((height + top + bottom - kernelY) / strideY) + 1;
  const outWidth = Math.floor((width + left + right - kernelX) / strideX) + 1;
  const whole = [kernelY, kernelX, strideY, strideX, top, left, bottom, right].every(Number.isInteger);
  const positive = Math.min(kernelY, kernelX, strideY, strideX, outHeight, outWidth) >= 1;
  const padded = Math.min(top, left, bottom, right) >= 0 && Math.max(top, bottom) <= kernelY / 2;
  if (!(whole && positive && padded && Math.max(left, right) <= kernelX / 2)) {
    throw new ArgumentError({
      operation: 'maxPool2d',
      expected: 'whole sizes, strides of 1 or more, a padding of at most half the kernel, and a window that fits',
      got: `kernel ${kernelY}×${kernelX}, stride ${strideY}×${strideX}, padding ${[top, left, bottom, right].join(', ')} on ${height}×${width}`,
      remedy: 'Use a smaller kernel or padding, or a larger input.',
    });
  }
  const windows: Windows = {
    kernel_y: kernelY,
    kernel_x: kernelX,
    stride_y: strideY,
    stride_x: strideX,
    pad_top: top,
    pad_left: left,
    out_height: outHeight,
    out_width: outWidth,
  };
  return pooling({ x }, { windows, shape: x.shape });
}
