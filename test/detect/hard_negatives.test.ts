import assert from 'node:assert/strict';
import { test } from 'uvu';
import { type HardNegativeOptions, selectHardNegatives } from '../../src/detect/hard_negatives.js';
import { Gpu } from '../../src/gpu/gpu.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { testDevice as device } from '../helpers/device.js';
import { selectHardNegatives as twin } from '../reference/hard_negatives.js';

const gpu = Gpu.of(device);

async function select(losses: readonly number[][], labels: readonly number[][], options: HardNegativeOptions) {
  const shape = [losses.length, losses[0]!.length];
  using l = Tensor.from(device, losses.flat(), shape);
  using c = Tensor.from(device, Uint32Array.from(labels.flat()), shape);
  using selected = selectHardNegatives(l, c, options);
  return [...(await selected.read())];
}

/** Losses in multiples of 1/64, so that many are equal, and labels of which every `every`-th is positive, some ignored. */
function image(seed: number, count: number, every: number): { losses: number[]; labels: number[] } {
  let state = seed;
  const next = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state >>> 16;
  };
  return {
    losses: Array.from({ length: count }, () => (next() % 512) / 64),
    labels: Array.from({ length: count }, (_, i) => (i % every === 3 ? 1 : next() % 5 === 0 ? 2 : 0)),
  };
}

for (const count of [1, 5, 255, 256, 257, 5001]) {
  for (const [negativeRatio, minimumNegatives] of [
    [3, 30],
    [7, 0],
    [0.5, 1],
    [0, 4],
  ] as const) {
    test(`of ${count} anchors, ${negativeRatio} per positive or ${minimumNegatives}: the twin's`, async () => {
      // Few positives, many (fewer candidates than are wanted), none.
      const images = [image(1, count, 41), image(2, count, 4), image(3, count, Number.POSITIVE_INFINITY)];
      const options = { negativeRatio, minimumNegatives };
      const got = await select(
        images.map(({ losses }) => losses),
        images.map(({ labels }) => labels),
        options,
      );
      assert.deepEqual(
        got,
        images.flatMap(({ losses, labels }) => twin(losses, labels, options)),
      );
    });
  }
}

test('losses that differ in their last bit only are told apart', async () => {
  // 1 + k·2^-23, shuffled, and the same numbers scaled down to the edge of the normal ones.
  const order = Array.from({ length: 300 }, (_, i) => (i * 7) % 300);
  const options = { negativeRatio: 100, minimumNegatives: 0 };
  for (const scale of [1, 2 ** -126, 2 ** 100]) {
    const losses = [0, ...order.map((k) => scale * (1 + k * 2 ** -23))];
    const labels = losses.map((_, i) => (i === 0 ? 1 : 0));
    assert.deepEqual(await select([losses], [labels], options), twin(losses, labels, options));
  }
});

test('equal losses go by the lower index, zeros and infinities included', async () => {
  const labels = [1, 0, 0, 0, 0];
  const options = { negativeRatio: 2, minimumNegatives: 0 };
  assert.deepEqual(await select([[9, 0, 0, 0, 0]], [labels], options), [1, 1, 1, 0, 0]);
  const infinite = [0, 1, Number.POSITIVE_INFINITY, 3e38, Number.POSITIVE_INFINITY];
  assert.deepEqual(await select([infinite], [labels], options), [1, 0, 1, 0, 1]);
});

test('a loss that is not a number is among the hardest', async () => {
  const losses = [0, 1, Number.POSITIVE_INFINITY, Number.NaN, 2];
  assert.deepEqual(
    await select([losses], [[1, 0, 0, 0, 0]], { negativeRatio: 1, minimumNegatives: 0 }),
    [1, 0, 0, 1, 0],
  );
});

test('memory is back where it was', async () => {
  const before = gpu.memory().bytes;
  await select([[1, 2, 3]], [[1, 0, 0]], { negativeRatio: 1, minimumNegatives: 0 });
  assert.equal(gpu.memory().bytes, before);
});

test('what does not fit is refused', () => {
  using losses = Tensor.from(device, [1, 2], [1, 2]);
  using labels = Tensor.from(device, Uint32Array.of(1, 0), [1, 2]);
  using flat = Tensor.from(device, [1, 2], [2]);
  using flatLabels = Tensor.from(device, Uint32Array.of(1, 0), [2]);
  const options = { negativeRatio: 3, minimumNegatives: 0 };
  assert.throws(() => selectHardNegatives(flat, flatLabels, options), { name: 'ShapeError' });
  assert.throws(() => selectHardNegatives(losses, flatLabels, options), { name: 'ShapeError' });
  for (const wrong of [
    { negativeRatio: -1 },
    { negativeRatio: Number.NaN },
    { negativeRatio: Number.POSITIVE_INFINITY },
    { minimumNegatives: -1 },
    { minimumNegatives: 1.5 },
    { minimumNegatives: 2 ** 32 },
  ]) {
    assert.throws(() => selectHardNegatives(losses, labels, { ...options, ...wrong }), { name: 'ArgumentError' });
  }
});

test.run();
