import assert from 'node:assert/strict';
import { test } from 'uvu';
import { Tape } from '../../src/autograd/tape.js';
import { Gpu } from '../../src/gpu/gpu.js';
import type { Skeleton } from '../../src/ops/conv/choice.js';
import { conv2d, conv2dWith, type Conv2dOptions } from '../../src/ops/conv2d.js';
import { multiply } from '../../src/ops/multiply.js';
import { sum } from '../../src/ops/sum.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { array64, type Array64 } from '../reference/array64.js';
import { conv2d as twin } from '../reference/conv2d.js';
import { checkOp, values } from '../helpers/check_op.js';
import { testDevice } from '../helpers/device.js';

const EPS32 = 2 ** -23;
const gpu = Gpu.of(testDevice);
const SKELETONS: readonly Skeleton[] =
  gpu.subgroupSize === undefined ? ['plain', 'tiled', 'any'] : ['plain', 'tiled', 'any', 'broadcast'];

interface Case {
  readonly x: readonly [number, number, number, number];
  readonly weight: readonly [number, number, number, number];
  readonly window?: Pick<Conv2dOptions, 'stride' | 'padding' | 'dilation' | 'groups'>;
  readonly skeletons?: readonly Skeleton[];
}

const CASES: Readonly<Record<string, Case>> = {
  '1×1': { x: [2, 3, 5, 8], weight: [1, 1, 8, 36] },
  '3×3, 12 to 4 channels': { x: [2, 5, 4, 12], weight: [3, 3, 12, 4], window: { padding: 1 } },
  '3×3, 24 to 12 channels': { x: [2, 4, 5, 24], weight: [3, 3, 24, 12], window: { padding: 1, stride: [1, 2] } },
  '3×3 stride 2 on an even image': { x: [1, 6, 8, 4], weight: [3, 3, 4, 36], window: { stride: 2, padding: 1 } },
  '3×3 stride 2 on an odd image': { x: [1, 5, 7, 8], weight: [3, 3, 8, 8], window: { stride: 2, padding: 1 } },
  '3×2, stride (2, 1), padding (1, 0)': {
    x: [1, 6, 5, 4],
    weight: [3, 2, 4, 8],
    window: { stride: [2, 1], padding: [1, 0] },
  },
  '1×1 stride 2: three of four pixels are never read': { x: [1, 5, 6, 4], weight: [1, 1, 4, 8], window: { stride: 2 } },
  '1×1 stride 2 of a padded image': { x: [1, 5, 4, 4], weight: [1, 1, 4, 4], window: { stride: 2, padding: 1 } },
  '2×3, four paddings, stride 3': {
    x: [1, 7, 6, 4],
    weight: [2, 3, 4, 4],
    window: { padding: [0, 1, 2, 3], stride: 3 },
  },
  '3×3, dilation (2, 3), stride (1, 2)': {
    x: [1, 8, 9, 4],
    weight: [3, 3, 4, 4],
    window: { dilation: [2, 3], padding: [2, 1], stride: [1, 2] },
  },
  'dilation 2 with stride 2': { x: [1, 7, 8, 4], weight: [3, 3, 4, 4], window: { dilation: 2, padding: 2, stride: 2 } },
  '3 to 5 channels': { x: [1, 4, 5, 3], weight: [3, 3, 3, 5], window: { padding: 1 }, skeletons: ['plain'] },
  'two groups': { x: [2, 4, 3, 8], weight: [3, 3, 4, 12], window: { groups: 2, padding: 1 }, skeletons: ['plain'] },
  'depthwise, batch 3': {
    x: [3, 5, 6, 12],
    weight: [3, 3, 1, 12],
    window: { groups: 12, padding: 1 },
    skeletons: ['plain'],
  },
  'depthwise in rectangles of several strips and rows': {
    x: [2, 5, 9, 512],
    weight: [3, 3, 1, 512],
    window: { groups: 512, padding: 1 },
    skeletons: ['plain'],
  },
  'depthwise stride 2': {
    x: [1, 7, 6, 8],
    weight: [3, 3, 1, 8],
    window: { groups: 8, padding: 1, stride: 2 },
    skeletons: ['plain'],
  },
  'depthwise, 5 channels': {
    x: [1, 4, 6, 5],
    weight: [3, 3, 1, 5],
    window: { groups: 5, padding: 1 },
    skeletons: ['plain'],
  },
  'depthwise with two filters a channel': {
    x: [1, 4, 5, 4],
    weight: [2, 2, 1, 8],
    window: { groups: 4 },
    skeletons: ['plain'],
  },
};

/** Each gradient element sums at most that many products of values below 1. */
const terms = ({ x, weight }: Case) => Math.max(weight[0] * weight[1] * weight[3], x[0] * x[1] * x[2]);

for (const [name, data] of Object.entries(CASES)) {
  for (const skeleton of data.skeletons ?? SKELETONS) {
    test(`the gradients of conv2d are those of its twin: ${name}, ${skeleton}`, async () => {
      await checkOp({
        op: (x, weight, bias) => conv2dWith(skeleton, x, weight, { ...data.window, bias: bias }),
        twin: (x, weight, bias) => twin(x, weight, { ...data.window, bias: bias }),
        inputs: [values('x', data.x), values('weight', data.weight), values('bias', [data.weight[3]])],
        tolerance: 4 * EPS32 * (terms(data) + 4),
      });
    });
  }
}

test('the gradients of the epilogue f(conv·scale + shift + residual) are those of its twin', async () => {
  const channels = (array: Array64, of: Array64, combine: (value: number, other: number) => number) =>
    array64(
      array.shape,
      array.data.map((value, i) => combine(value, of.data[i % of.data.length]!)),
    );
  const shapes = { x: [2, 4, 3, 4], weight: [3, 3, 4, 8], scale: [8], shift: [8], residual: [2, 4, 3, 8] };
  await checkOp({
    op: (x, weight, scale, shift, residual) =>
      conv2d(x, weight, { padding: 1, scale: scale, shift: shift, residual: residual, slope: 0.125 }),
    twin: (x, weight, scale, shift, residual) => {
      const scaled = channels(twin(x, weight, { padding: 1 }), scale, (value, by) => value * by);
      const sums = channels(
        channels(scaled, shift, (value, by) => value + by),
        residual,
        (value, by) => value + by,
      );
      return array64(
        sums.shape,
        sums.data.map((value) => (value > 0 ? value : 0.125 * value)),
      );
    },
    inputs: Object.entries(shapes).map(([name, shape]) => values(name, shape)),
    tolerance: 4 * EPS32 * 100,
  });
});

for (const [name, { size, kernel, cin, cout }] of Object.entries({
  'the pixels of a weight gradient are split': { size: [40, 41], kernel: 3, cin: 8, cout: 36 },
  'a weight gradient of few input channels is computed in blocks of columns': {
    size: [11, 12],
    kernel: 5,
    cin: 4,
    cout: 64,
  },
} as const)) {
  test(`${name}, and the same bits come out again`, async () => {
    const [height, width] = size;
    const x = values('x', [1, height, width, cin]);
    const g = values('g', [1, height, width, cout]);
    using tx = Tensor.from(testDevice, Float32Array.from(x.data), x.shape);
    using tg = Tensor.from(testDevice, Float32Array.from(g.data), g.shape);
    using weight = Tensor.zeros(testDevice, [kernel, kernel, cin, cout]);
    const padding = (kernel - 1) / 2;
    const gradient = async (skeleton: Skeleton) => {
      using tape = new Tape(testDevice);
      tape.watch(weight);
      using loss = tape.record(() => {
        using y = conv2dWith(skeleton, tx, weight, { padding });
        using product = multiply(y, tg);
        return sum(product);
      });
      tape.backward(loss);
      return await tape.gradient(weight)!.read();
    };
    const exact = new Float64Array(weight.size);
    for (let ky = 0; ky < kernel; ky++)
      for (let kx = 0; kx < kernel; kx++)
        for (let oy = 0; oy < height; oy++)
          for (let ox = 0; ox < width; ox++) {
            const [iy, ix] = [oy + ky - padding, ox + kx - padding];
            if (iy < 0 || iy >= height || ix < 0 || ix >= width) continue;
            for (let c = 0; c < cin; c++)
              for (let o = 0; o < cout; o++)
                exact[((ky * kernel + kx) * cin + c) * cout + o]! +=
                  x.data[(iy * width + ix) * cin + c]! * g.data[(oy * width + ox) * cout + o]!;
          }
    for (const skeleton of SKELETONS) {
      const first = await gradient(skeleton);
      // Rounding errors of as many products below 1 add up as the root of their number, and each sum stays below that root.
      for (const [i, value] of exact.entries())
        assert.ok(Math.abs(first[i]! - value) < 4 * EPS32 * height * width, `${skeleton} ${i}`);
      assert.deepEqual(await gradient(skeleton), first, skeleton);
    }
  });
}

test.run();
