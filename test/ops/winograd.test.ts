import assert from 'node:assert/strict';
import { test } from 'uvu';
import { Gpu } from '../../src/gpu/gpu.js';
import { Tape } from '../../src/autograd/tape.js';
import type { Skeleton } from '../../src/ops/conv/choice.js';
import { weightGradient } from '../../src/ops/conv/backward.js';
import { winogradFits, winogradGradientPays, winogradPays, winogradWeight } from '../../src/ops/conv/winograd.js';
import { convGeometry, type WindowOptions } from '../../src/ops/conv/geometry.js';
import { conv2dWith } from '../../src/ops/conv2d.js';
import { sum } from '../../src/ops/sum.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { array64, type Array64 } from '../reference/array64.js';
import { conv2d as twin } from '../reference/conv2d.js';
import { assertClose, checkOp, values } from '../helpers/check_op.js';
import { testDevice } from '../helpers/device.js';

const EPS32 = 2 ** -23;
const gpu = Gpu.of(testDevice);
const WAYS: readonly Skeleton[] =
  gpu.subgroupSize === undefined ? ['winograd-tiled'] : ['winograd-broadcast', 'winograd-tiled'];

/** As for the direct ways: that many products below 1, and a margin; the transforms add less (the last test here). */
const tolerance = (terms: number) => 4 * EPS32 * (terms + 4);

const upload = (array: Array64) => Tensor.from(testDevice, Float32Array.from(array.data), array.shape);

interface Case {
  readonly x: readonly [number, number, number, number];
  readonly cout: number;
  readonly padding?: WindowOptions['padding'];
}

const CASES: Readonly<Record<string, Case>> = {
  'batch 3, 9×6, 12 to 36 channels': { x: [3, 9, 6, 12], cout: 36, padding: 1 },
  'four different paddings': { x: [1, 6, 7, 4], cout: 40, padding: [0, 1, 2, 3] },
  'one output': { x: [2, 3, 3, 8], cout: 64 },
};

for (const [name, { x, cout, padding = 0 }] of Object.entries(CASES)) {
  for (const way of WAYS) {
    test(`3×3 convolutions and their gradients by tiles of 4×4 are those of the twin: ${name}, ${way}`, async () => {
      await checkOp({
        op: (image, weight, bias) => conv2dWith(way, image, weight, { padding, bias }),
        twin: (image, weight, bias) => twin(image, weight, { padding, bias }),
        inputs: [values('x', x), values('weight', [3, 3, x[3], cout]), values('bias', [cout])],
        tolerance: tolerance(9 * Math.max(x[3], cout)),
      });
    });
  }
}

test('tiles: scale, shift, residual and rectifier follow, on channels of wider tensors, whose others stay', async () => {
  const [x, weight] = [values('x', [2, 5, 7, 8]), values('weight', [3, 3, 8, 36])];
  const [scale, shift, residual] = [values('scale', [36]), values('shift', [36]), values('residual', [2, 5, 7, 44])];
  const plain = twin(x, weight, { padding: 1 });
  const expected = plain.data.map((value, i) => {
    const [pixel, channel] = [Math.floor(i / 36), i % 36];
    const v = value * scale.data[channel]! + shift.data[channel]! + residual.data[pixel * 44 + 8 + channel]!;
    return v > 0 ? v : 0.125 * v;
  });
  using tx = upload(x);
  using tw = upload(weight);
  using ts = upload(scale);
  using tb = upload(shift);
  using tr = upload(residual);
  for (const way of WAYS) {
    using wide = Tensor.zeros(testDevice, [2, 5, 7, 48]);
    using into = wide.channels(4, 36);
    using from = tr.channels(8, 36);
    using y = conv2dWith(way, tx, tw, { padding: 1, scale: ts, shift: tb, residual: from, slope: 0.125, into });
    assert.equal(y.id, into.id);
    const all = await wide.read();
    const own = all.filter((_, i) => i % 48 >= 4 && i % 48 < 40);
    assertClose(own, array64(plain.shape, expected), tolerance(72), way);
    assert.ok(
      all.every((value, i) => (i % 48 >= 4 && i % 48 < 40) || value === 0),
      `${way}: neighbours`,
    );
  }
});

test('more tiles than fit at once are done in bands, with the same bits again', async () => {
  // 61 × 61 tiles of 64 channels: 36 values each are more than 32 MiB.
  const [h, w] = [243, 242];
  const x = values('x', [1, h, w, 4]);
  const weight = values('weight', [3, 3, 4, 64]);
  using tx = upload(x);
  using tw = upload(weight);
  using direct = conv2dWith('plain', tx, tw, { padding: 1 });
  const expected = await direct.read();
  for (const way of WAYS) {
    using y = conv2dWith(way, tx, tw, { padding: 1 });
    using again = conv2dWith(way, tx, tw, { padding: 1 });
    const first = await y.read();
    // 3.8 million numbers: one assertion for all.
    let error = 0;
    for (let i = 0; i < first.length; i++) error = Math.max(error, Math.abs(first[i]! - expected[i]!));
    assert.ok(error <= 2 * tolerance(36), `${way}: off by ${error}`);
    assert.deepEqual(await again.read(), first, way);
  }
});

test('the gradient of the weights adds up bands of tiles', async () => {
  // 16 × 16 tiles, of which 227 at a time take 32 MiB at 1,024 channels.
  const x = values('x', [1, 61, 62, 4]);
  const gradient = values('gradient', [1, 61, 62, 1024]);
  const geometry = convGeometry('conv2d', x.shape, [3, 3, 4, 1024], { padding: 1 });
  using tx = upload(x);
  using tg = upload(gradient);
  const compute = async (way: Skeleton) => {
    using found = weightGradient(way, geometry, tx, tg);
    return await found.read();
  };
  const expected = await compute('plain');
  for (const way of WAYS) {
    const found = await compute(way);
    let error = 0;
    for (const [i, value] of expected.entries()) error = Math.max(error, Math.abs(found[i]! - value));
    assert.ok(error <= 2 * tolerance(61 * 62), `${way}: off by ${error}`);
  }
});

// Half a unit in the last place of a sum, 6e-8, is a sixteenth of it.
test('gradients of weights by tiles, sums over 1,600 pixels, are as near to float64 as said: a millionth of their size', async () => {
  const [side, cin, cout] = [40, 4, 32];
  const x = values('x', [1, side, side, cin]);
  const gradient = values('gradient', [1, side, side, cout]);
  const geometry = convGeometry('conv2d', x.shape, [3, 3, cin, cout], { padding: 1 });
  const exact = new Float64Array(9 * cin * cout);
  for (let tap = 0; tap < 9; tap++)
    for (let pixel = 0; pixel < side * side; pixel++) {
      const [iy, ix] = [Math.floor(pixel / side) + Math.floor(tap / 3) - 1, (pixel % side) + (tap % 3) - 1];
      if (iy < 0 || iy >= side || ix < 0 || ix >= side) continue;
      for (let c = 0; c < cin; c++)
        for (let o = 0; o < cout; o++)
          exact[(tap * cin + c) * cout + o]! += x.data[(iy * side + ix) * cin + c]! * gradient.data[pixel * cout + o]!;
    }
  using tx = upload(x);
  using tg = upload(gradient);
  const error = async (way: Skeleton) => {
    using found = weightGradient(way, geometry, tx, tg);
    const got = await found.read();
    const squares = exact.reduce((total, value, i) => total + (got[i]! - value) ** 2, 0);
    return Math.sqrt(squares / exact.reduce((total, value) => total + value ** 2, 0));
  };
  for (const way of WAYS) assert.ok((await error(way)) <= 1.2e-6, `${way}: ${await error(way)}`);
});

// The one place where the points of the transforms matter: ±1 and ±2 would double both ratios.
test('sums of 2,304 products by tiles are as near to float64 as said: 2.5 times the plain error, 1.5 behind a ReLU', async () => {
  const weight = values('weight', [3, 3, 256, 36]);
  using tw = upload(weight);
  for (const [values64, limit] of [
    [values('x', [1, 8, 8, 256]), 2.5],
    [array64([1, 8, 8, 256], values('x', [1, 8, 8, 256]).data.map(Math.abs)), 1.5],
  ] as const) {
    const { data } = twin(values64, weight, { padding: 1 });
    using tx = upload(values64);
    const error = async (way: Skeleton) => {
      using y = conv2dWith(way, tx, tw, { padding: 1 });
      const got = await y.read();
      return Math.sqrt(data.reduce((total, value, i) => total + (got[i]! - value) ** 2, 0) / data.length);
    };
    const plain = await error('plain');
    for (const way of WAYS) {
      const tiles = await error(way);
      assert.ok(tiles <= limit * plain, `${way}: ${tiles / plain} times`);
    }
  }
});

test('tiles are for 3×3 windows of stride 1 in one group, and for layers wide and large enough', () => {
  const geometry = (x: readonly number[], weight: readonly number[], window: WindowOptions = {}) =>
    convGeometry('test', x, weight, { padding: 1, ...window });
  const wide = geometry([1, 40, 40, 256], [3, 3, 256, 256]);
  assert.ok(winogradFits(gpu, wide) && winogradPays(wide, false));
  assert.ok(!winogradPays(geometry([1, 40, 40, 8], [3, 3, 8, 8]), true), 'the transforms outweigh 8 channels');
  const one = geometry([1, 1, 1, 512], [3, 3, 512, 512]);
  assert.ok(!winogradPays(one, true), 'a tile for one pixel');
  assert.ok(winogradGradientPays(wide) && !winogradGradientPays(one), 'of weights');
  const few = geometry([1, 10, 10, 512], [3, 3, 512, 512]);
  assert.ok(winogradPays(few, true) && !winogradGradientPays(few), '36 sums are more to write than 9');
  for (const other of [
    geometry([1, 40, 40, 256], [3, 3, 256, 256], { stride: 2 }),
    geometry([1, 40, 40, 256], [3, 3, 256, 256], { dilation: [1, 2] }),
    geometry([1, 40, 40, 256], [3, 3, 128, 256], { groups: 2 }),
    geometry([1, 40, 40, 256], [5, 5, 256, 256]),
    geometry([1, 40, 40, 6], [3, 3, 6, 256]),
    geometry([1, 40, 40, 4096], [3, 3, 4096, 4096]),
  ])
    assert.ok(!winogradFits(gpu, other));
});

test('the values of weights that a layer keeps give the bits of those made anew', async () => {
  using x = upload(values('x', [1, 9, 8, 12]));
  using weight = upload(values('weight', [3, 3, 12, 36]));
  using kept = winogradWeight(weight);
  for (const way of WAYS) {
    using fresh = conv2dWith(way, x, weight, { padding: 1 });
    using y = conv2dWith(way, x, weight, { padding: 1 }, kept);
    assert.deepEqual(await y.read(), await fresh.read(), way);
    using other = Tensor.zeros(testDevice, kept.shape);
    using none = conv2dWith(way, x, weight, { padding: 1 }, other);
    assert.ok(
      (await none.read()).every((value) => value === 0),
      `${way}: they are what is multiplied with`,
    );
  }
});

test('a wide convolution takes tiles by itself on a CPU adapter, forward and for the gradients of input and weights', async () => {
  if (!gpu.isFallback || gpu.subgroupSize === undefined) return;
  using x = upload(values('x', [1, 16, 16, 64]));
  using weight = upload(values('weight', [3, 3, 64, 64]));
  const run = async (way: Skeleton | undefined) => {
    using tape = new Tape(testDevice);
    tape.watch(x);
    tape.watch(weight);
    const { y, loss } = tape.record(() => {
      const output = conv2dWith(way, x, weight, { padding: 1, slope: 0 });
      return { y: output, loss: sum(output) };
    });
    const forward = await y.read();
    tape.backward(loss);
    loss.dispose();
    y.dispose();
    return [forward, await tape.gradient(x)!.read(), await tape.gradient(weight)!.read()];
  };
  const [own, tiles, direct] = [await run(undefined), await run('winograd-broadcast'), await run('broadcast')];
  assert.deepEqual(own, tiles);
  for (const [i, found] of own.entries()) assert.notDeepEqual(found, direct[i]);
});

test.run();
