import { ArgumentError, ShapeError } from '../../gpu/errors.js';
import { formatShape, imageShape, type Shape } from '../../tensor/shape.js';

/** A number for both axes, or y and x. */
export type Pair = number | readonly [y: number, x: number];

/** A number for all sides, y and x, or top, left, bottom, right. */
export type Padding = Pair | readonly [top: number, left: number, bottom: number, right: number];

/** How a window moves over an image. */
export interface WindowOptions {
  /** 1 unless given. */
  readonly stride?: Pair;
  /** Zeros around the image; 0 unless given. */
  readonly padding?: Padding;
  /** Distance between neighbouring taps; 1 unless given. */
  readonly dilation?: Pair;
  /** Blocks of channels that do not see each other; 1 unless given, cin for a depthwise convolution. */
  readonly groups?: number;
}

/** All sizes of one convolution, checked. */
export interface ConvGeometry {
  readonly batch: number;
  readonly inH: number;
  readonly inW: number;
  readonly cin: number;
  readonly outH: number;
  readonly outW: number;
  readonly cout: number;
  readonly kernelH: number;
  readonly kernelW: number;
  readonly strideY: number;
  readonly strideX: number;
  readonly padTop: number;
  readonly padLeft: number;
  readonly padBottom: number;
  readonly padRight: number;
  readonly dilationY: number;
  readonly dilationX: number;
  readonly groups: number;
  /** [n, outH, outW, cout]. */
  readonly shape: Shape;
}

function checkIntegers(operation: string, name: string, values: readonly number[], least: number): void {
  if (values.every((value) => Number.isSafeInteger(value) && value >= least)) return;
  throw new ArgumentError({
    operation,
    expected: `a ${name} of whole numbers from ${least}`,
    got: values.join(', '),
    remedy: `Pass one number or one for each axis as ${name}.`,
  });
}

function pairOf(operation: string, name: string, value: Pair): readonly [number, number] {
  const pair = typeof value === 'number' ? ([value, value] as const) : value;
  checkIntegers(operation, name, pair, 1);
  return pair;
}

function sidesOf(operation: string, value: Padding): readonly [number, number, number, number] {
  const sides =
    typeof value === 'number'
      ? ([value, value, value, value] as const)
      : value.length === 2
        ? ([value[0], value[1], value[0], value[1]] as const)
        : value;
  checkIntegers(operation, 'padding', sides, 0);
  return sides;
}

/**
 * The sizes of a convolution of `x` [n, h, w, cin] with `weight` [kh, kw, cin / groups, cout]; an output axis has
 * floor((size + padding − dilation·(kernel − 1) − 1) / stride) + 1 places.
 * @throws ShapeError when the two do not fit; ArgumentError for a stride, padding, dilation or groups out of range.
 */
export function convGeometry(operation: string, x: Shape, weight: Shape, options: WindowOptions): ConvGeometry {
  const [batch, inH, inW, cin] = imageShape(operation, x);
  const [strideY, strideX] = pairOf(operation, 'stride', options.stride ?? 1);
  const [dilationY, dilationX] = pairOf(operation, 'dilation', options.dilation ?? 1);
  const [padTop, padLeft, padBottom, padRight] = sidesOf(operation, options.padding ?? 0);
  const groups = options.groups ?? 1;
  checkIntegers(operation, 'groups', [groups], 1);
  const [kernelH, kernelW, groupCin, cout] = weight as readonly [number, number, number, number];
  if (weight.length !== 4 || weight.includes(0) || groupCin * groups !== cin || cout % groups !== 0) {
    throw new ShapeError({
      operation,
      expected: `a weight [kh, kw, ${cin / groups}, a multiple of ${groups}] for x ${formatShape(x)} in ${groups} groups`,
      got: `a weight ${formatShape(weight)}`,
      remedy: 'Weights are [kh, kw, cin / groups, cout]; x is [n, h, w, cin].',
    });
  }
  const outH = Math.floor((inH + padTop + padBottom - dilationY * (kernelH - 1) - 1) / strideY) + 1;
  const outW = Math.floor((inW + padLeft + padRight - dilationX * (kernelW - 1) - 1) / strideX) + 1;
  if (outH < 1 || outW < 1) {
    throw new ShapeError({
      operation,
      expected: 'an image that holds the window once',
      got: `x ${formatShape(x)} padded by ${padTop}, ${padLeft}, ${padBottom}, ${padRight} for a weight ${formatShape(weight)}`,
      remedy: 'Use a larger image, more padding, or a smaller kernel or dilation.',
    });
  }
  return {
    batch,
    inH,
    inW,
    cin,
    outH,
    outW,
    cout,
    kernelH,
    kernelW,
    strideY,
    strideX,
    padTop,
    padLeft,
    padBottom,
    padRight,
    dilationY,
    dilationX,
    groups,
    shape: [batch, outH, outW, cout],
  };
}

/** The sizes of a convolution under the names that all its kernels know them by; `pixels` are those of the output. */
export function windowParams(geometry: ConvGeometry) {
  const { batch, outH, outW } = geometry;
  return {
    pixels: batch * outH * outW,
    out_h: outH,
    out_w: outW,
    in_h: geometry.inH,
    in_w: geometry.inW,
    kernel_h: geometry.kernelH,
    kernel_w: geometry.kernelW,
    stride_y: geometry.strideY,
    stride_x: geometry.strideX,
    pad_top: geometry.padTop,
    pad_left: geometry.padLeft,
    dilation_y: geometry.dilationY,
    dilation_x: geometry.dilationX,
  };
}
