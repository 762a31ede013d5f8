import assert from 'node:assert/strict';
import { test } from 'uvu';
import { epochDraws, mixtureLength } from '../../src/data/mixture.js';
import { epochOrder } from '../../src/data/random.js';
import { ArgumentError } from '../../src/gpu/errors.js';

/** How often each picture is drawn in some epochs. */
function timesDrawn(sources: Parameters<typeof epochDraws>[2], epochs: readonly number[]): number[] {
  const times = Array<number>(sources.reduce((sum, { length }) => sum + length, 0)).fill(0);
  for (const epoch of epochs) for (const picture of epochDraws(7, epoch, sources).pictures) times[picture]!++;
  return times;
}

test('one source of weight 1 is drawn in the order of the epoch', () => {
  for (const epoch of [0, 3]) {
    const { pictures, slots } = epochDraws(5, epoch, [{ length: 9, weight: 1 }]);
    assert.deepEqual(pictures, epochOrder(5, epoch, 9));
    assert.deepEqual(slots, pictures);
  }
});

test('each picture is drawn as often as its source weighs, and all are shuffled together', () => {
  const sources = [
    { length: 3, weight: 2 },
    { length: 5, weight: 1 },
  ];
  assert.equal(mixtureLength(sources), 11);
  assert.deepEqual(timesDrawn(sources, [4]), [2, 2, 2, 1, 1, 1, 1, 1]);
  const { pictures, slots } = epochDraws(7, 4, sources);
  assert.deepEqual(
    [...slots].sort((a, b) => a - b),
    [...Array(11).keys()],
  );
  assert.notDeepEqual(
    [...pictures].sort((a, b) => a - b),
    [...pictures],
  );
});

test('what whole rounds leave goes through all pictures, epoch by epoch', () => {
  const sources = [
    { length: 6, weight: 0.5 },
    { length: 4, weight: 1.25 },
  ];
  assert.equal(mixtureLength(sources), 8);
  assert.deepEqual(timesDrawn(sources, [0, 1]).slice(0, 6), Array(6).fill(1));
  assert.deepEqual(timesDrawn(sources, [2, 3]).slice(0, 6), Array(6).fill(1));
  assert.deepEqual(timesDrawn(sources, [4, 5, 6, 7]), [...Array<number>(6).fill(2), ...Array<number>(4).fill(5)]);
  // Other rounds have other orders.
  const halves = [0, 2, 4, 6, 8].map((epoch) => [...epochDraws(7, epoch, sources.slice(0, 1)).pictures].sort().join());
  assert.ok(new Set(halves).size > 1);
});

test('an epoch follows from seed and epoch alone', () => {
  const sources = [
    { length: 40, weight: 0.3 },
    { length: 7, weight: 2.5 },
  ];
  assert.deepEqual(epochDraws(1, 6, sources), epochDraws(1, 6, sources));
  assert.notDeepEqual(epochDraws(1, 6, sources), epochDraws(2, 6, sources));
  assert.notDeepEqual(epochDraws(1, 6, sources), epochDraws(1, 7, sources));
});

test('weights out of range are refused', () => {
  for (const weight of [0, -1, NaN, Infinity])
    assert.throws(() => mixtureLength([{ length: 1, weight }]), ArgumentError);
});

test.run();
