import assert from 'node:assert/strict';
import { test } from 'uvu';
import type { Detections } from '../../src/evaluate/detections.js';
import { groundTruthFromSamples } from '../../src/evaluate/ground_truth.js';
import { evaluateHeights, heightName, meanPrecision } from '../../src/evaluate/heights.js';

const POINTS = [2, 2, 12, 2, 7, 9, 3, 20, 12, 20];
const at = (x: number) => POINTS.map((value, i) => (i % 2 === 0 ? value + x : value));

/** Faces of 60, 30, 24 and 10 pixels, side by side; the first two with landmarks. */
const TRUTH = groundTruthFromSamples([
  {
    name: 'a.png',
    faces: [
      { box: [0, 0, 40, 60], landmarks: at(0) },
      { box: [100, 0, 120, 30], landmarks: at(100) },
      { box: [200, 0, 216, 24] },
      { box: [300, 0, 308, 10] },
    ],
  },
]);

const found = (boxes: readonly (readonly number[])[], scores: readonly number[]): ReadonlyMap<string, Detections> =>
  new Map([
    [
      'a',
      {
        boxes: Float64Array.from(boxes.flat()),
        scores: Float64Array.from(scores),
        landmarks: Float64Array.from(boxes.flatMap(([x]) => at(x!))),
      },
    ],
  ]);

test('faces below a height are neither missed nor false', () => {
  // All are found; the smallest first, which the others do not count.
  const boxes = [
    [300, 0, 308, 10],
    [0, 0, 40, 60],
    [100, 0, 120, 30],
    [200, 0, 216, 24],
  ];
  const { precisions } = evaluateHeights(TRUTH, found(boxes, [0.9, 0.8, 0.7, 0.6]));
  assert.deepEqual(
    precisions.map(({ least, faces }) => [heightName(least), faces]),
    [
      ['from 50 px', 1],
      ['from 24 px', 3],
      ['all', 4],
    ],
  );
  for (const { averagePrecision } of precisions) assert.ok(Math.abs(averagePrecision - 1) < 1e-12);
});

test('each height has the precision of its own faces, and their mean is over those that have any', () => {
  // Only the tall face is found, after a false one.
  const result = evaluateHeights(
    TRUTH,
    found(
      [
        [400, 0, 440, 60],
        [0, 0, 40, 60],
      ],
      [0.9, 0.5],
    ),
  );
  const [tall, middle, all] = result.precisions.map(({ averagePrecision }) => averagePrecision) as [
    number,
    number,
    number,
  ];
  assert.ok(Math.abs(tall - 1 / 2) < 1e-12);
  assert.ok(Math.abs(middle - 1 / 6) < 1e-12);
  assert.ok(Math.abs(all - 1 / 8) < 1e-12);
  assert.ok(Math.abs(meanPrecision(result) - (1 / 2 + 1 / 6 + 1 / 8) / 3) < 1e-12);
  const small = groundTruthFromSamples([{ name: 'a', faces: [{ box: [0, 0, 8, 10] }] }]);
  const few = evaluateHeights(small, found([[0, 0, 8, 10]], [0.5]));
  assert.ok(Number.isNaN(few.precisions[0]!.averagePrecision));
  assert.equal(meanPrecision(few), 1);
});

test('landmarks are measured on faces from 40 pixels on', () => {
  const boxes = [
    [0, 0, 40, 60],
    [100, 0, 120, 30],
  ];
  const { landmarks } = evaluateHeights(TRUTH, found(boxes, [0.9, 0.8]));
  assert.deepEqual([landmarks!.faces, landmarks!.found, landmarks!.meanError], [1, 1, 0]);
});

test.run();
