import assert from 'node:assert/strict';
import { test } from 'uvu';
import { assertGolden, readGolden } from '../helpers/golden.js';
import { anchors, PUBLISHED_LEVELS, REPORT_LEVELS } from './anchors.js';
import { array64, zeros } from './array64.js';
import { decodeBoxes, encodeBoxes, MAXIMUM_EXPONENT, type BoxCode } from './decode_boxes.js';
import { iouMatrix, type IouOptions } from './iou_matrix.js';
import { nms, type NmsOptions } from './nms.js';
import { topK } from './top_k.js';

const goldens = readGolden('ops');

for (const golden of goldens.cases('iou_matrix')) {
  test(`${golden.name} is torchvision's`, () => {
    const matrix = iouMatrix(golden.array('a'), golden.array('b'), golden.options as IouOptions);
    assertGolden(matrix, golden.array('output'), golden.name);
  });
}

test('boxes without area, and boxes that only touch, have an IoU of 0', () => {
  const a = array64([2, 4], [3, 3, 3, 3, 0, 0, 2, 2]);
  const b = array64([2, 4], [3, 3, 3, 3, 2, 0, 4, 2]);
  assert.deepEqual([...iouMatrix(a, b).data], [0, 0, 0, 0]);
});

for (const golden of goldens.cases('nms')) {
  test(`${golden.name} keeps the boxes that torchvision keeps, in its order`, () => {
    const kept = nms(golden.array('boxes'), golden.array('scores'), golden.options as NmsOptions);
    assert.deepEqual(kept, golden.integers('kept'));
  });
}

test('suppression of no boxes keeps none', () => {
  assert.deepEqual(nms(zeros([0, 4]), zeros([0]), { iouThreshold: 0.4 }), []);
});

for (const golden of goldens.cases('top_k')) {
  test(`${golden.name} is a stable descending sort, cut off`, () => {
    const { k } = golden.options as { k: number };
    assert.deepEqual(topK(golden.array('scores'), k), golden.integers('indices'));
  });
}

test('more than there is gives all there is', () => {
  assert.deepEqual(topK(array64([2], [1, 2]), 5), [1, 0]);
});

for (const golden of goldens.cases('decode_boxes')) {
  test(`${golden.name} is torchvision's box coder`, () => {
    const boxes = decodeBoxes(golden.array('code'), golden.array('anchors'), golden.options as BoxCode);
    assertGolden(boxes, golden.array('output'), golden.name);
  });

  test(`${golden.name} is undone by encoding`, () => {
    const options = golden.options as Required<BoxCode>;
    const places = golden.array('anchors');
    const code = golden.array('code');
    const again = encodeBoxes(decodeBoxes(code, places, options), places, options);
    code.data.forEach((value, i) => {
      const clamped = i % 4 < 2 ? value : Math.min(value, MAXIMUM_EXPONENT / options.sizeVariance);
      // Corners of boxes grown up to 62.5-fold lose that factor of float64 precision.
      assert.ok(Math.abs(again.data[i]! - clamped) < 1e-11, `${i}: ${again.data[i]!} is not ${clamped}`);
    });
  });
}

test('at 640×640 the report has 102,300 anchors and the published networks 16,800', () => {
  assert.deepEqual(anchors(640, 640, REPORT_LEVELS).shape, [102300, 4]);
  assert.deepEqual(anchors(640, 640, PUBLISHED_LEVELS).shape, [16800, 4]);
});

test('anchors run over levels, rows, columns and edges, and levels of odd sizes are rounded up', () => {
  const boxes = anchors(9, 17, [
    { stride: 8, edges: [16, 32] },
    { stride: 16, edges: [64] },
  ]);
  assert.deepEqual(boxes.shape, [2 * 3 * 2 + 1 * 2, 4]);
  const box = (i: number) => [...boxes.data.subarray(4 * i, 4 * i + 4)];
  assert.deepEqual(box(0), [-4, -4, 12, 12]);
  assert.deepEqual(box(1), [-12, -12, 20, 20]);
  assert.deepEqual(box(2), [4, -4, 20, 12]);
  assert.deepEqual(box(6), [-4, 4, 12, 20]);
  assert.deepEqual(box(13), [-8, -24, 56, 40]);
});

test.run();
