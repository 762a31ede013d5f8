import assert from 'node:assert/strict';
import { test } from 'uvu';
import { ArgumentError, ShapeError } from '../../src/gpu/errors.js';
import { Gpu } from '../../src/gpu/gpu.js';
import { requestDevice } from '../../src/node/device.js';
import type { Skeleton } from '../../src/ops/conv/choice.js';
import { directSkeleton } from '../../src/ops/conv/forward.js';
import type { WindowOptions } from '../../src/ops/conv/geometry.js';
import { conv2d, conv2dWith } from '../../src/ops/conv2d.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { array64, sizeOf } from '../reference/array64.js';
import { conv2d as reference } from '../reference/conv2d.js';

const device = await requestDevice();
const gpu = Gpu.of(device);
test.after(() => {
  device.destroy();
});

const EPS32 = 2 ** -23;
const SKELETONS: readonly Skeleton[] =
  gpu.subgroupSize === undefined ? ['plain', 'tiled', 'any'] : ['plain', 'tiled', 'any', 'broadcast'];

/** Values in [-1, 1) that repeat with no power of two, the same on every run. */
function values(count: number, seed: number): Float32Array<ArrayBuffer> {
  let state = seed * 2654435761 + 12345;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

/** Sums of `terms` products below 1 round by eps·sqrt(terms) of their own size, about sqrt(terms): eps·terms, and a margin. */
function assertClose(got: ArrayLike<number>, expected: ArrayLike<number>, terms: number, what: string): void {
  const tolerance = 4 * EPS32 * (terms + 4);
  assert.equal(got.length, expected.length, what);
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(got[i]! - expected[i]!);
    if (!(error <= tolerance)) assert.fail(`${what}: element ${i} is ${got[i]!}, not ${expected[i]!}`);
  }
}

interface Case {
  readonly x: readonly [number, number, number, number];
  readonly kernel: readonly [number, number];
  readonly cout: number;
  readonly window?: WindowOptions;
}

const CASES: Readonly<Record<string, Case>> = {
  '1×1, 8 to 8 channels': { x: [1, 5, 7, 8], kernel: [1, 1], cout: 8 },
  '1×1, 20 to 48 channels, more pixels than a tile': { x: [1, 11, 13, 20], kernel: [1, 1], cout: 48 },
  '3×3, batch 3, 12 to 20 channels': { x: [3, 6, 9, 12], kernel: [3, 3], cout: 20, window: { padding: 1 } },
  '3×3, 16 to 64 channels': { x: [1, 9, 5, 16], kernel: [3, 3], cout: 64, window: { padding: 1 } },
  '3×3 stride 2, an image of 4 channels': {
    x: [2, 9, 12, 4],
    kernel: [3, 3],
    cout: 8,
    window: { stride: 2, padding: 1 },
  },
  '7×7 stride 2, an image of 4 channels': {
    x: [1, 15, 18, 4],
    kernel: [7, 7],
    cout: 64,
    window: { stride: 2, padding: 3 },
  },
  '3×2, stride (2, 1), padding (1, 0)': {
    x: [1, 8, 7, 8],
    kernel: [3, 2],
    cout: 36,
    window: { stride: [2, 1], padding: [1, 0] },
  },
  '2×3, four different paddings': { x: [1, 5, 6, 4], kernel: [2, 3], cout: 4, window: { padding: [0, 1, 2, 3] } },
  '3×3, dilation (2, 3)': { x: [1, 9, 11, 8], kernel: [3, 3], cout: 12, window: { dilation: [2, 3], padding: [2, 1] } },
  '1×1 to 132 channels': { x: [1, 3, 5, 8], kernel: [1, 1], cout: 132 },
  '3×3, 3 to 5 channels': { x: [1, 6, 5, 3], kernel: [3, 3], cout: 5, window: { padding: 1 } },
  '3×3, 7 to 4 channels': { x: [1, 5, 4, 7], kernel: [3, 3], cout: 4, window: { stride: [1, 2] } },
  'two groups of 4': { x: [2, 5, 4, 8], kernel: [3, 3], cout: 12, window: { groups: 2, padding: 1 } },
  'depthwise, 12 channels, batch 3': { x: [3, 7, 5, 12], kernel: [3, 3], cout: 12, window: { groups: 12, padding: 1 } },
  'depthwise, so many channels that columns are gone down': {
    x: [2, 23, 29, 32],
    kernel: [3, 3],
    cout: 32,
    window: { groups: 32, padding: 1 },
  },
  'depthwise, stride 2': { x: [1, 9, 8, 8], kernel: [3, 3], cout: 8, window: { groups: 8, padding: 1, stride: 2 } },
  'depthwise, 5 channels': { x: [1, 4, 6, 5], kernel: [3, 3], cout: 5, window: { groups: 5, dilation: 2, padding: 2 } },
  'depthwise with two filters a channel': { x: [1, 4, 5, 4], kernel: [2, 2], cout: 8, window: { groups: 4 } },
};

for (const [name, { x, kernel, cout, window = {} }] of Object.entries(CASES)) {
  test(`conv2d agrees with the float64 twin by every way: ${name}`, async () => {
    const groupCin = x[3] / (window.groups ?? 1);
    const weightShape = [...kernel, groupCin, cout];
    const input = values(sizeOf(x), 1);
    const filter = values(sizeOf(weightShape), 2);
    const bias = values(cout, 3);
    const expected = reference(array64(x, input), array64(weightShape, filter), {
      ...window,
      bias: array64([cout], bias),
    });
    using tx = Tensor.from(device, input, x);
    using tw = Tensor.from(device, filter, weightShape);
    using tb = Tensor.from(device, bias, [cout]);
    for (const skeleton of SKELETONS) {
      using y = conv2dWith(skeleton, tx, tw, { ...window, bias: tb });
      assert.deepEqual(y.shape, expected.shape);
      assertClose(await y.read(), expected.data, kernel[0] * kernel[1] * groupCin, skeleton);
    }
  });
}

test('on a GPU a layer whose channels fill a quarter of a tile or less is left for registers', () => {
  const large = { isFallback: false, subgroupSize: 32 };
  const tile = { cin: 16, cout: 32 };
  const way = (cin: number, cout: number) => directSkeleton(large, undefined, { cin, cout }, tile);
  assert.equal(way(4, 64), 'plain');
  assert.equal(way(8, 16), 'plain');
  assert.equal(way(16, 8), 'plain');
  assert.equal(way(16, 16), 'tiled');
  assert.equal(way(64, 36), 'tiled');
  assert.equal(directSkeleton(large, 'tiled', { cin: 4, cout: 4 }, tile), 'tiled');
});

// Each kernel once: its variants take long to compile on a CPU.
const EPILOGUES: readonly (Case & { readonly skeletons: readonly Skeleton[] })[] = [
  { x: [1, 5, 6, 8], kernel: [3, 3], cout: 12, window: { padding: 1 }, skeletons: SKELETONS },
  { x: [1, 5, 6, 8], kernel: [1, 1], cout: 36, skeletons: SKELETONS.slice(-1) },
  { x: [1, 5, 6, 8], kernel: [3, 3], cout: 8, window: { padding: 1, groups: 8 }, skeletons: ['plain'] },
];
for (const { x, kernel, cout, window = {}, skeletons } of EPILOGUES) {
  test(`every combination of scale, shift, residual and activation is f(conv·scale + shift + residual): ${cout} channels`, async () => {
    const groupCin = x[3] / (window.groups ?? 1);
    const weightShape = [...kernel, groupCin, cout];
    const input = values(sizeOf(x), 4);
    const filter = values(sizeOf(weightShape), 5);
    const plain = reference(array64(x, input), array64(weightShape, filter), window);
    const scale = values(cout, 6);
    const shift = values(cout, 7);
    const residual = values(plain.data.length, 8);
    using tx = Tensor.from(device, input, x);
    using tw = Tensor.from(device, filter, weightShape);
    using tScale = Tensor.from(device, scale, [cout]);
    using tShift = Tensor.from(device, shift, [cout]);
    using tResidual = Tensor.from(device, residual, plain.shape);
    for (const skeleton of skeletons)
      for (let mask = 0; mask < 8; mask++)
        for (const slope of [undefined, 0, 0.1]) {
          const expected = plain.data.map((sum, i) => {
            const v =
              sum * (mask & 1 ? scale[i % cout]! : 1) +
              (mask & 2 ? shift[i % cout]! : 0) +
              (mask & 4 ? residual[i]! : 0);
            return v > 0 ? v : v * (slope ?? 1);
          });
          using y = conv2dWith(skeleton, tx, tw, {
            ...window,
            ...(mask & 1 && { scale: tScale }),
            ...(mask & 2 && { shift: tShift }),
            ...(mask & 4 && { residual: tResidual }),
            ...(slope !== undefined && { slope }),
          });
          const what = `${skeleton}, combination ${mask}, slope ${String(slope)}`;
          assertClose(await y.read(), expected, kernel[0] * kernel[1] * groupCin + 3, what);
        }
  });
}

test('a channel view is written in place, its neighbours stay, and views are read as input and residual', async () => {
  const shape = [1, 5, 6, 8];
  const wide = values(5 * 6 * 16, 9);
  const narrow = wide.filter((_, i) => i % 16 >= 4 && i % 16 < 12);
  for (const { kernel, groups } of [
    { kernel: [3, 3, 8, 8], groups: 1 },
    { kernel: [3, 3, 1, 8], groups: 8 },
  ]) {
    const filter = values(sizeOf(kernel), 10);
    const twin = reference(array64(shape, narrow), array64(kernel, filter), { padding: 1, groups });
    const expected = twin.data.map((sum, i) => sum + narrow[i]!);
    using tWide = Tensor.from(device, wide, [1, 5, 6, 16]);
    using tx = tWide.channels(4, 8);
    using tw = Tensor.from(device, filter, kernel);
    for (const skeleton of SKELETONS) {
      using target = Tensor.from(device, new Float32Array(5 * 6 * 20).fill(7), [1, 5, 6, 20]);
      using into = target.channels(8, 8);
      using y = conv2dWith(skeleton, tx, tw, { padding: 1, groups, residual: tx, into });
      assert.equal(y.id, into.id);
      const got = await target.read();
      assertClose(
        got.filter((_, i) => i % 20 >= 8 && i % 20 < 16),
        expected,
        kernel[2]! * 9 + 1,
        skeleton,
      );
      assert.ok(
        got.every((value, i) => (i % 20 >= 8 && i % 20 < 16) || value === 7),
        `${skeleton}: neighbours`,
      );
    }
  }
});

test('an empty batch gives an empty output', async () => {
  using x = Tensor.from(device, new Float32Array(0), [0, 4, 5, 8]);
  using weight = Tensor.from(device, values(64, 1), [1, 1, 8, 8]);
  using y = conv2d(x, weight, { stride: 2 });
  assert.deepEqual(y.shape, [0, 2, 3, 8]);
  assert.equal((await y.read()).length, 0);
});

test('shapes that do not fit and options out of range are refused by name', () => {
  using x = Tensor.zeros(device, [1, 4, 5, 8]);
  using weight = Tensor.zeros(device, [3, 3, 4, 8]);
  using good = Tensor.zeros(device, [3, 3, 8, 8]);
  using seven = Tensor.zeros(device, [7]);
  using eight = Tensor.zeros(device, [8]);
  using both = Tensor.zeros(device, [1, 4, 5, 16]);
  assert.throws(
    () => conv2d(x, weight),
    (error) => error instanceof ShapeError && /\[1, 4, 5, 8\].*\[3, 3, 4, 8\]/.test(error.message),
  );
  assert.throws(() => conv2d(x, good, { bias: seven }), ShapeError);
  assert.throws(() => conv2d(x, good, { residual: x }), ShapeError);
  assert.throws(() => conv2d(x, good, { dilation: 2 }), ShapeError);
  assert.throws(() => conv2d(x, good, { groups: 3 }), ShapeError);
  assert.throws(() => conv2d(x, good, { stride: 0 }), ArgumentError);
  assert.throws(() => conv2d(x, good, { padding: -1 }), ArgumentError);
  assert.throws(() => conv2d(x, good, { slope: NaN }), ArgumentError);
  assert.throws(() => conv2d(x, good, { bias: eight, shift: eight }), ArgumentError);
  using left = both.channels(0, 8);
  using right = both.channels(8, 8);
  assert.throws(() => conv2d(left, good, { padding: 1, into: right }), ArgumentError);
});

test.run();
