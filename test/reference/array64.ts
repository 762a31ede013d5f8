import assert from 'node:assert/strict';

/** A dense float64 array in row-major order; activations are N, H, W, C and weights kh, kw, cin / groups, cout. */
export interface Array64 {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

/** A number for both axes, or y and x. */
export type Pair = number | readonly [number, number];

/** A number for all sides, y and x, or top, left, bottom, right. */
export type Padding = Pair | readonly [number, number, number, number];

export type Reduction = 'none' | 'mean' | 'sum';

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

export function zeros(shape: readonly number[]): Array64 {
  return { shape, data: new Float64Array(sizeOf(shape)) };
}

/** Copies `values` into an array of that shape. */
export function array64(shape: readonly number[], values: ArrayLike<number>): Array64 {
  assert.equal(values.length, sizeOf(shape), `${values.length} values for the shape ${shape.join('×')}`);
  return { shape, data: Float64Array.from(values) };
}

export function map(x: Array64, f: (value: number, index: number) => number): Array64 {
  return { shape: x.shape, data: x.data.map(f) };
}

/** Σ a·b over all elements: what turns an operation and an output gradient into the scalar whose gradient is checked. */
export function dot(a: Array64, b: Array64): number {
  assert.deepEqual(a.shape, b.shape);
  return a.data.reduce((total, value, i) => total + value * b.data[i]!, 0);
}

/** The four sizes of an N, H, W, C array. */
export function nhwc(x: Array64): [number, number, number, number] {
  assert.equal(x.shape.length, 4, `four axes, not ${x.shape.join('×')}`);
  return [x.shape[0]!, x.shape[1]!, x.shape[2]!, x.shape[3]!];
}

export function pair(value: Pair): readonly [number, number] {
  return typeof value === 'number' ? [value, value] : value;
}

/** Padding as top, left, bottom, right. */
export function sides(padding: Padding): readonly [number, number, number, number] {
  if (typeof padding === 'number') return [padding, padding, padding, padding];
  return padding.length === 2 ? [padding[0], padding[1], padding[0], padding[1]] : padding;
}

/** How many windows fit along an axis: floor((size + before + after − dilation·(kernel − 1) − 1) / stride) + 1. */
export function windows(size: number, pads: number, kernel: number, stride: number, dilation: number): number {
  return Math.floor((size + pads - dilation * (kernel - 1) - 1) / stride) + 1;
}
