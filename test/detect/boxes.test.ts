import assert from 'node:assert/strict';
import { test } from 'uvu';
import { decodeBoxes } from '../../src/detect/boxes.js';
import { iouMatrix } from '../../src/detect/iou_matrix.js';
import { nms } from '../../src/detect/nms.js';
import { topK } from '../../src/detect/top_k.js';
import { Gpu } from '../../src/gpu/gpu.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { testDevice as device } from '../helpers/device.js';
import { array64 } from '../reference/array64.js';
import { iouMatrix as iouTwin } from '../reference/iou_matrix.js';
import { nms as nmsTwin } from '../reference/nms.js';
import { topK as topKTwin } from '../reference/top_k.js';

const gpu = Gpu.of(device);

/** Boxes with whole corners, many of them overlapping. */
function wholeBoxes(count: number): number[] {
  return Array.from({ length: count }, (_, i) => {
    const [x, y, w, h] = [(i * 7919) % 211, (i * 104_729) % 197, 7 + ((i * 31) % 23), 9 + ((i * 17) % 19)];
    return [x, y, x + w, y + h];
  }).flat();
}

/** Scores with many ties. */
const tiedScores = (count: number): number[] => Array.from({ length: count }, (_, i) => ((i * 13) % 97) / 97);

for (const plusOne of [false, true]) {
  test(`the IoU matrix is that of the twin${plusOne ? ', widths with their last pixel' : ''}`, async () => {
    const [a, b] = [wholeBoxes(37), wholeBoxes(5)];
    using left = Tensor.from(device, a, [37, 4]);
    using right = Tensor.from(device, b, [5, 4]);
    using matrix = iouMatrix(left, right, { plusOne });
    const expected = iouTwin(array64([37, 4], a), array64([5, 4], b), { plusOne });
    // One division of whole numbers: half a unit in the last place of float32, and WGSL grants a quotient 2.5.
    for (const [i, value] of (await matrix.read()).entries())
      assert.ok(Math.abs(value - expected.data[i]!) < 3 * 2 ** -24);
  });

  test(`suppression keeps exactly what the twin keeps of 0 to 1,500 boxes with ties${plusOne ? ', with +1' : ''}`, async () => {
    for (const count of [0, 1, 2, 33, 1500]) {
      const [corners, scores] = [wholeBoxes(count), tiedScores(count)];
      using boxes = Tensor.from(device, corners, [count, 4]);
      using values = Tensor.from(device, scores, [count]);
      // A threshold that no quotient of these whole areas comes near.
      const options = { iouThreshold: 0.400_137, plusOne };
      const expected = nmsTwin(array64([count, 4], corners), array64([count], scores), options);
      assert.deepEqual([...(await nms(boxes, values, options))], [...expected], `${count} boxes`);
    }
  });
}

test('a box whose IoU is exactly the threshold stays', async () => {
  using boxes = Tensor.from(device, [0, 0, 2, 1, 0, 0, 1, 1], [2, 4]);
  using scores = Tensor.from(device, [0.9, 0.8], [2]);
  assert.deepEqual([...(await nms(boxes, scores, { iouThreshold: 0.5 }))], [0, 1]);
  assert.deepEqual([...(await nms(boxes, scores, { iouThreshold: 0.49 }))], [0]);
});

test('topK is in descending order, ties by index, NaN last, row by row', async () => {
  const row = [3, Number.NaN, 5, 3, Number.NEGATIVE_INFINITY, 5, -2];
  using values = Tensor.from(device, [...row, ...[...row].reverse()], [2, 7]);
  const all = topK(values, 7);
  assert.deepEqual([...(await all.indices.read())], [2, 5, 0, 3, 6, 4, 1, 1, 4, 3, 6, 0, 2, 5]);
  const some = topK(values, 3);
  assert.deepEqual([...(await some.values.read())], [5, 5, 3, 5, 5, 3]);
  for (const tensor of [all.values, all.indices, some.values, some.indices]) tensor.dispose();
  assert.throws(() => topK(values, 8), { name: 'ArgumentError' });
});

/** Runs `compute` by the ways of a GPU, where workgroups share long rows. */
async function asOnGpu<T>(compute: () => Promise<T>): Promise<T> {
  const own = gpu.isFallback;
  const changed = gpu as { isFallback: boolean };
  changed.isFallback = false;
  try {
    return await compute();
  } finally {
    changed.isFallback = own;
  }
}

for (const [what, value] of [
  ['of many values, some of them equal', (i: number) => ((i * 7919) % 9973) - 4000.5],
  ['of three values', (i: number) => ((i * 31) % 7) % 3],
  ['of one value', () => -1],
  ['that differ in their last bit', (i: number) => 1 + ((i * 104_729) % 19_997) * 2 ** -23],
] as const) {
  test(`topK of long rows ${what}: the twin's, by one workgroup and by several a row`, async () => {
    const count = 20_001;
    const rows = [1, 3].map((step) => Array.from({ length: count }, (_, i) => value(step * i)));
    using values = Tensor.from(device, rows.flat(), [2, count]);
    for (const k of [1, 700]) {
      const expected = rows.flatMap((row) => topKTwin(array64([count], row), k));
      const select = async () => {
        const best = topK(values, k);
        using indices = best.indices;
        best.values.dispose();
        return [...(await indices.read())];
      };
      assert.deepEqual(await select(), expected);
      assert.deepEqual(await asOnGpu(select), expected);
    }
  });
}

test('boxes are decoded against shared and own anchors, and the exponent is clamped', async () => {
  using codes = Tensor.from(device, [1, -1, 0, 0, 0, 0, 99, 0.5], [1, 2, 4]);
  const places = [10, 20, 4, 8, 0, 0, 16, 16];
  for (const shape of [
    [2, 4],
    [1, 2, 4],
  ]) {
    using anchors = Tensor.from(device, places, shape);
    using boxes = decodeBoxes(codes, anchors, { variances: [0.1, 1] });
    const expected = [10.4, 19.2, 4, 8, 0, 0, 1000, 16 * Math.exp(0.5)];
    for (const [i, value] of (await boxes.read()).entries()) {
      assert.ok(Math.abs(value - expected[i]!) <= Math.abs(expected[i]!) * 1e-5, `${value} at ${i}`);
    }
  }
  using wrong = Tensor.from(device, [1, 2, 3, 4], [4]);
  assert.throws(() => decodeBoxes(codes, wrong, { variances: [1, 1] }), { name: 'ShapeError' });
});

test('nothing of it stays in memory', async () => {
  const before = gpu.memory().bytes;
  {
    using boxes = Tensor.from(device, wholeBoxes(50), [50, 4]);
    using scores = Tensor.from(device, tiedScores(50), [50]);
    await nms(boxes, scores, { iouThreshold: 0.5 });
    iouMatrix(boxes, boxes).dispose();
  }
  assert.equal(gpu.memory().bytes, before);
});

test.run();
