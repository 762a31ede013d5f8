import assert from 'node:assert/strict';
import { test } from 'uvu';
import { averagePrecision } from '../../src/evaluate/average_precision.js';
import { chartSvg } from '../../src/evaluate/chart_svg.js';
import { groundTruthFromSamples } from '../../src/evaluate/ground_truth.js';
import { faultPage, faultPicture, worstFaults } from '../../src/evaluate/worst.js';
import { precisionRecallChart } from '../../src/node/evaluate_report.js';
import type { Picture } from '../../src/image/picture.js';

const pixel = ({ data, width }: Picture, x: number, y: number): number[] => [
  ...data.subarray(4 * (y * width + x), 4 * (y * width + x) + 3),
];

test('an SVG chart escapes its words, ticks its axes and breaks lines at gaps', () => {
  const svg = chartSvg({
    title: 'A < B',
    xLabel: 'recall',
    xRange: [0, 1],
    yRange: [0, 2],
    lines: [
      { name: 'rising', colour: [0, 114, 178], points: [[0, 0], [0, 0], [1, 2]] }, // prettier-ignore
      { colour: [1, 2, 3], points: [[0, 1], [0.5, 1], [Number.NaN, 1], [0.75, 1], [1, 1]], opacity: 0.5 }, // prettier-ignore
    ],
  });
  assert.match(svg, /^<svg [^>]*viewBox="0 0 800 600"/);
  assert.match(svg, />A &#60; B</);
  for (const label of ['0', '0.2', '0.8', '1', '2', 'recall', 'rising']) assert.ok(svg.includes(`>${label}<`), label);
  assert.match(svg, /d="M72 540L776 84".*rgb\(0,114,178\)/);
  assert.match(svg, /d="M72 312L424 312M600 312L776 312".*opacity="0\.5"/);
});

test('precision is drawn from the first face found on', () => {
  const { curves, ...figures } = averagePrecision(truth, found);
  const { lines } = precisionRecallChart({ ...figures, curves }, 'mine');
  assert.deepEqual(
    lines.map(({ name }) => name?.slice(0, 10)),
    ['easy AP 0.', 'medium AP ', 'hard AP 0.'],
  );
  assert.deepEqual(lines[0]?.points[0], [0.25, 1]);
});

const truth = groundTruthFromSamples([
  { name: 'a.png', faces: [{ box: [0, 0, 10, 10] }, { box: [50, 50, 90, 90] }, { box: [20, 20, 30, 30] }] },
  { name: 'b.png', faces: [{ box: [5, 5, 25, 25] }] },
]);
const found = new Map([
  [
    'a',
    {
      boxes: Float64Array.of(20, 20, 30, 30, 20, 20, 31, 30, 0, 60, 10, 70),
      scores: Float64Array.of(0.9, 0.4, 0.8),
    },
  ],
]);

test('the worst misses are the largest faces, the worst false alarms the surest', () => {
  const { misses, falseAlarms } = worstFaults(truth, found);
  assert.deepEqual(misses, [
    { name: 'a', box: [50, 50, 90, 90] },
    { name: 'b', box: [5, 5, 25, 25] },
    { name: 'a', box: [0, 0, 10, 10] },
  ]);
  assert.deepEqual(falseAlarms, [
    { name: 'a', box: [0, 60, 10, 70], score: 0.8 },
    { name: 'a', box: [20, 20, 31, 30], score: 0.4 },
  ]);
  assert.equal(worstFaults(truth, found, { limit: 1 }).misses.length, 1);
});

test('a fault is shown in its place, framed in red, faces in green', () => {
  const data = new Uint8Array(4 * 100 * 100).fill(200);
  const fault = { name: 'a', box: [40, 40, 72, 72] as const };
  const picture = faultPicture({ data, width: 100, height: 100 }, fault, Float64Array.of(10, 40, 30, 60));
  // A square of 96 pixels from (8, 8) on, doubled.
  assert.deepEqual([picture.width, picture.height], [192, 192]);
  assert.deepEqual(pixel(picture, 64, 100), [255, 64, 64]);
  assert.deepEqual(pixel(picture, 4, 80), [64, 220, 96]);
  assert.deepEqual(pixel(picture, 100, 100), [200, 200, 200]);
  assert.deepEqual(pixel(picture, 190, 190), [128, 128, 128]);
});

test('the page of faults names each picture and escapes what it names', () => {
  const fault = { name: 'a<b', box: [0, 0, 10, 12] as const, file: 'worst/miss_01.jpg' };
  const page = faultPage('Worst', [fault], []);
  assert.match(page, /src="worst\/miss_01\.jpg"/);
  assert.match(page, /a&#60;b: 10×12 pixels/);
  assert.match(page, /<p>None\.<\/p>/);
});

test.run();
