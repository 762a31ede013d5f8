import assert from 'node:assert/strict';
import { test } from 'uvu';
import { rooflineSvg } from '../../bench/roofline/chart.js';
import { leastSeconds, type Peaks, rateOf } from '../../bench/roofline/peaks.js';
import { measurePoints } from '../../bench/roofline/points.js';
import { Gpu } from '../../src/gpu/gpu.js';
import { conv2d } from '../../src/ops/conv2d.js';
import { relu } from '../../src/ops/relu.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { testDevice as device } from '../helpers/device.js';

const gpu = Gpu.of(device);

const MIB = 2 ** 20;
/** A cache of 4 MiB that gives ten times what memory does; a small array costs more to begin with than to read. */
const PEAKS: Peaks = {
  flops: 100e9,
  memory: [
    { bytes: MIB / 4, rate: 20e9 },
    { bytes: 4 * MIB, rate: 100e9 },
    { bytes: 64 * MIB, rate: 10e9 },
  ],
};

test('memory gives what the best of the sizes gives that hold the bytes', () => {
  assert.equal(rateOf(PEAKS, 1000), 100e9);
  assert.equal(rateOf(PEAKS, 4 * MIB), 100e9);
  assert.equal(rateOf(PEAKS, 5 * MIB), 10e9);
  assert.equal(rateOf(PEAKS, 1000 * MIB), 10e9);
});

test('the roof is what arithmetic or memory takes, whichever is more', () => {
  assert.equal(leastSeconds(PEAKS, 100e9, 1000), 1);
  assert.equal(leastSeconds(PEAKS, 0, 10e9), 1);
});

test('each kernel of a computation is a point, at the work of its shape', async () => {
  if (!gpu.device.features.has('timestamp-query')) return;
  using x = Tensor.from(gpu, new Float32Array(2 * 12 * 10 * 16).fill(1), [2, 12, 10, 16]);
  using weight = Tensor.from(gpu, new Float32Array(16 * 16 * 9).fill(1), [3, 3, 16, 16]);
  using depthwise = Tensor.from(gpu, new Float32Array(16 * 9).fill(1), [3, 3, 1, 16]);
  const points = await measurePoints(
    gpu,
    PEAKS,
    () => {
      using a = conv2d(x, weight, { stride: 2, padding: 1 });
      using b = relu(a);
      using c = relu(b);
      conv2d(c, depthwise, { padding: 1, groups: 16 }).dispose();
    },
    1,
  );
  const found = points.map(({ kernel, count, flops, bytes }) => ({
    kernel: kernel.replace(/forward_(?!depthwise).*/, 'forward'),
    ...{ count, flops, bytes },
  }));
  const output = 2 * 6 * 5 * 16;
  assert.deepEqual(found, [
    {
      kernel: 'conv2d_forward',
      count: 1,
      flops: 2 * output * 9 * 16,
      bytes: 4 * (2 * 12 * 10 * 16 + 9 * 16 * 16 + output),
    },
    { kernel: 'relu', count: 2, flops: output, bytes: 8 * output },
    { kernel: 'conv2d_forward_depthwise', count: 1, flops: 2 * output * 9, bytes: 4 * (2 * output + 9 * 16) },
  ]);
  for (const { seconds, flops, bytes, intensity, share } of points) {
    assert.ok(seconds >= 0);
    assert.equal(intensity, flops / bytes);
    assert.equal(share, leastSeconds(PEAKS, flops, bytes) / seconds);
  }
});

test('the picture has a circle for each point, also for what computes nothing', () => {
  const base = { kernel: 'relu', shape: 'a < b', count: 2, seconds: 1e-3, share: 0.5 } as const;
  const points = [
    { ...base, flops: 1e6, bytes: 8e6, intensity: 1 / 8 },
    { ...base, kernel: 'copy_rows' as const, flops: 0, bytes: 8e6, intensity: 0 },
  ];
  const svg = rooflineSvg('a device', PEAKS, [
    { title: 'one', points },
    { title: 'two', points },
  ]);
  assert.equal(svg.match(/<circle [^>]*><title>/g)?.length, 4);
  assert.match(svg, /<title>relu: a &#60; b\n2 × 1\.00 ms, 50\.0% of the time; 1 GFLOP\/s, 8 GB\/s, 50% of the roof/);
  assert.doesNotMatch(svg, /NaN|Infinity|undefined/);
});

test.run();
