import assert from 'node:assert/strict';
import { test } from 'uvu';
import type { Picture } from '../../src/image/picture.js';
import { drawCurves } from '../../src/train/curves.js';
import type { LogEntry } from '../../src/train/event_log.js';

/** How many pixels have about this colour. */
function count({ data }: Picture, [red, green, blue]: readonly [number, number, number]): number {
  let found = 0;
  for (let i = 0; i < data.length; i += 4) {
    const off = Math.max(Math.abs(data[i]! - red), Math.abs(data[i + 1]! - green), Math.abs(data[i + 2]! - blue));
    if (off < 40) found++;
  }
  return found;
}

const CLASS = [0, 114, 178] as const;
const BOX = [213, 94, 0] as const;
const NORM = [204, 121, 167] as const;

const entriesOf = (steps: number, more: (step: number) => object = () => ({})): LogEntry[] =>
  Array.from({ length: steps }, (_, i) => ({
    step: i + 1,
    epoch: 0,
    total: 9 / (i + 1),
    class: 5 / (i + 1),
    ...more(i),
  }));

test('losses that were logged are drawn in their colours, and what was not logged is not', () => {
  const picture = drawCurves(entriesOf(100));
  assert.ok(count(picture, CLASS) > 50);
  assert.equal(count(picture, BOX), 0);
  assert.equal(count(picture, NORM), 0);
});

test('learning rate, norm and precision get charts of their own below', () => {
  const entries = entriesOf(60, (step) => ({ box: 1, rate: 1e-3, gradientNorm: 3, ...(step % 20 ? {} : { AP: 0.5 }) }));
  const picture = drawCurves(entries, { width: 1280, height: 960 });
  assert.deepEqual([picture.width, picture.height], [1280, 960]);
  const below = { ...picture, data: picture.data.slice(4 * 1280 * 595), height: 365 };
  assert.ok(count(picture, BOX) > 50);
  assert.equal(count(below, BOX), 0);
  // Each a third of the width but for its axis; rate and precision in one colour.
  assert.ok(count(below, CLASS) > 500);
  assert.ok(count(below, NORM) > 200);
});

test('a training of no, one and a hundred thousand steps makes a picture', () => {
  for (const steps of [0, 1]) assert.ok(count(drawCurves(entriesOf(steps)), [255, 255, 255]) > 1_000_000);
  const long = drawCurves(
    entriesOf(100_000, (step) => (step === 500 ? { total: NaN } : {})),
    { width: 300, height: 200 },
  );
  assert.ok(count(long, CLASS) > 20);
});

test.run();
