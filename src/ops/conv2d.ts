import { checkOptions, checkTensors, type OptionKinds } from '../gpu/arguments.js';
import { defineOp } from '../autograd/op.js';
import { ArgumentError, DeviceMismatchError, ShapeError } from '../gpu/errors.js';
import { formatShape, sameShape, type Shape } from '../tensor/shape.js';
import { Tensor } from '../tensor/tensor.js';
import { columnSums, epilogueGradient, inputGradient, weightGradient } from './conv/backward.js';
import type { Way } from './conv/choice.js';
import { runForward } from './conv/forward.js';
import { convGeometry, type ConvGeometry, type WindowOptions } from './conv/geometry.js';
import { FLOATS } from './layout.js';
import { multiply } from './multiply.js';
import { checkSlope } from './relu.js';

/** How a convolution moves over the image, and what follows it in the same kernel. */
export interface Conv2dOptions extends WindowOptions {
  /** [cout], added to the convolution. */
  readonly bias?: Tensor;
  /** [cout], multiplied with the convolution: a folded batch norm, with `shift`. */
  readonly scale?: Tensor;
  /** [cout], added after `scale`. */
  readonly shift?: Tensor;
  /** Of the output's shape, added before the activation. */
  readonly residual?: Tensor;
  /** Absent: no activation. 0: ReLU. Otherwise a leaky ReLU of that slope. */
  readonly slope?: number;
  /** Of the output's shape: where to write instead of into a new tensor; it may be some channels of a wider one. */
  readonly into?: Tensor;
}

/** Types of the options. */
const OPTIONS: OptionKinds<Conv2dOptions> = {
  stride: 'number|array',
  padding: 'number|array',
  dilation: 'number|array',
  groups: 'number',
  bias: 'tensor',
  scale: 'tensor',
  shift: 'tensor',
  residual: 'any',
  slope: 'number',
  into: 'any',
};

// A type, not an interface: an op's inputs are indexed by name.
type ConvInputs = {
  x: Tensor;
  weight: Tensor;
  scale: Tensor | undefined;
  shift: Tensor | undefined;
  residual: Tensor | undefined;
};

interface ConvState {
  readonly geometry: ConvGeometry;
  readonly slope: number | undefined;
  readonly into: Tensor | undefined;
  readonly skeleton: Way | undefined;
  readonly values: Tensor | undefined;
}

const convolve = defineOp<ConvInputs, ConvState>({
  name: 'conv2d',
  forward(inputs, { geometry, slope, into, skeleton, values }) {
    const { x, weight, scale } = inputs;
    const y = into?.alias() ?? Tensor.empty(x.gpu, geometry.shape, { dtype: x.dtype, label: 'conv2d' });
    runForward(skeleton, geometry, { ...inputs, slope, y, values });
    return { output: y, saved: { x, weight, scale, y: slope === undefined ? undefined : y } };
  },
  backward(gradient, { saved, options: { geometry, slope, skeleton }, needs, places }) {
    const [x, weight, scale] = [saved['x']!, saved['weight']!, saved['scale']];
    // Before the activation; then before the scale, too.
    const shifted = epilogueGradient(gradient, { y: saved['y'], slope, scale: undefined });
    const product =
      scale && (needs.x || needs.weight) ? epilogueGradient(gradient, { y: saved['y'], slope, scale }) : shifted;
    const pixels = shifted.size / geometry.cout;
    return {
      x: needs.x ? inputGradient(skeleton, geometry, weight, product) : undefined,
      weight: needs.weight ? weightGradient(skeleton, geometry, x, product, places.weight) : undefined,
      scale: needs.scale ? scaleGradient(skeleton, geometry, { x, weight }, shifted) : undefined,
      shift: needs.shift ? columnSums(shifted, pixels, [geometry.cout], places.shift) : undefined,
      residual: needs.residual ? shifted : undefined,
    };
  },
});

/** Σ gradient·conv over the pixels; the convolution is computed again, because only frozen batch norms are folded. */
function scaleGradient(
  skeleton: Way | undefined,
  geometry: ConvGeometry,
  inputs: { readonly x: Tensor; readonly weight: Tensor },
  gradient: Tensor,
): Tensor {
  const bare = { scale: undefined, shift: undefined, residual: undefined, slope: undefined };
  const conv = Tensor.empty(gradient.gpu, geometry.shape, { label: 'conv2d' });
  runForward(skeleton, geometry, { ...inputs, ...bare, y: conv });
  return columnSums(multiply(conv, gradient), gradient.size / geometry.cout, [geometry.cout]);
}

/**
 * 2-D convolution (cross-correlation, as networks use the word) with zeros outside of the image, and an optional
 * epilogue in the same kernel: f(conv·scale + shift + residual), f a (leaky) ReLU.
 *
 * `x` [n, h, w, cin], `weight` [kh, kw, cin / groups, cout]; the result is [n, oh, ow, cout] with
 * oh = floor((h + top + bottom − dilation·(kh − 1) − 1) / stride) + 1. `x`, `residual` and `into` may be channel views.
 * Channels in multiples of 4, in one group or each on its own, take the fast kernels; all others a scalar one. Where `x` is
 * f16, `weight` and `residual` are, and the result is unless `into` is f32; sums are f32, and there is no gradient.
 * @throws ShapeError when shapes do not fit; ArgumentError for options that are out of range or exclude each other.
 */
export function conv2d(x: Tensor, weight: Tensor, options: Conv2dOptions = {}): Tensor {
  checkOptions('conv2d', options, OPTIONS);
  return conv2dWith(undefined, x, weight, options);
}

/**
 * `conv2d` by a given way, for tests and measurements, and with the `winogradWeight` of `weight` where a layer keeps it; not
 * public.
 */
export function conv2dWith(
  skeleton: Way | undefined,
  x: Tensor,
  weight: Tensor,
  options: Conv2dOptions = {},
  values?: Tensor,
): Tensor {
  const { bias, scale, residual, slope, into } = options;
  checkTensors('conv2d', { x, ...(into && { into }) }, FLOATS);
  checkTensors('conv2d', { weight, ...(residual && { residual }) }, x.dtype);
  const geometry = convGeometry('conv2d', x.shape, weight.shape, options);
  if (bias && (scale ?? options.shift)) {
    throw new ArgumentError({
      operation: 'conv2d',
      expected: 'either a bias, or a scale and a shift',
      got: `a bias with a ${scale ? 'scale' : 'shift'}`,
      remedy: 'Fold the bias into the shift: shift + scale·bias.',
    });
  }
  if (slope !== undefined) checkSlope('conv2d', slope);
  const shift = bias ?? options.shift;
  const perChannel: Shape = [geometry.cout];
  checkOperand(bias ? 'bias' : 'shift', shift, perChannel, geometry);
  checkOperand('scale', scale, perChannel, geometry);
  checkOperand('residual', residual, geometry.shape, geometry);
  checkOperand('into', into, geometry.shape, geometry);
  for (const [name, tensor] of Object.entries({ weight, scale, shift })) {
    if (tensor && !tensor.contiguous) {
      throw new ArgumentError({
        operation: 'conv2d',
        expected: `a contiguous ${name}`,
        got: 'a view of some channels',
        remedy: 'Copy those channels into a tensor of their own.',
      });
    }
  }
  if (into) checkTarget(into, { x, weight, scale, shift, residual });
  return convolve({ x, weight, scale, shift, residual }, { geometry, slope, into, skeleton, values });
}

function checkOperand(name: string, tensor: Tensor | undefined, shape: Shape, geometry: ConvGeometry): void {
  if (!tensor || sameShape(tensor.shape, shape)) return;
  throw new ShapeError({
    operation: 'conv2d',
    expected: `${name} ${formatShape(shape)} for an output ${formatShape(geometry.shape)}`,
    got: formatShape(tensor.shape),
    remedy: 'bias, scale and shift have one value per output channel; residual and into have the shape of the output.',
  });
}

/** A kernel cannot read and write one buffer, not even different channels of it. */
function checkTarget(into: Tensor, inputs: Readonly<Record<string, Tensor | undefined>>): void {
  into.assertLive();
  for (const [name, tensor] of Object.entries(inputs)) {
    if (!tensor) continue;
    if (tensor.gpu !== into.gpu) {
      throw new DeviceMismatchError({
        operation: 'conv2d',
        expected: `into on the device of ${name}`,
        got: 'one on another device',
        remedy: 'Make all tensors of one computation with the same device.',
      });
    }
    if (tensor.sharesMemoryWith(into)) {
      throw new ArgumentError({
        operation: 'conv2d',
        expected: `into with memory of its own`,
        got: `a part of the tensor that ${name} is a part of`,
        remedy: 'Write into another tensor.',
      });
    }
  }
}
