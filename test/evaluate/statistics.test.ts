import assert from 'node:assert/strict';
import { test } from 'uvu';
import { pairedDifference, studentQuantile, summarise } from '../../src/evaluate/statistics.js';
import { ArgumentError } from '../../src/gpu/errors.js';

const near = (actual: number, expected: number, tolerance = 1e-9): void => {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} instead of ${expected}`);
};

test('mean, deviation with n − 1, and standard error', () => {
  const { count, mean, deviation, error } = summarise([1, 2, 3, 6]);
  assert.equal(count, 4);
  assert.equal(mean, 3);
  near(deviation, Math.sqrt(14 / 3));
  near(error, Math.sqrt(14 / 12));
});

test('one value has no deviation, and none has no mean', () => {
  assert.deepEqual(summarise([0.5]), { count: 1, mean: 0.5, deviation: NaN, error: NaN });
  assert.ok(Number.isNaN(summarise([]).mean));
});

test("Student's t as in the printed tables", () => {
  const table: readonly (readonly [degrees: number, at95: number, at99: number])[] = [
    [1, 12.706, 63.657],
    [2, 4.303, 9.925],
    [3, 3.182, 5.841],
    [4, 2.776, 4.604],
    [5, 2.571, 4.032],
    [9, 2.262, 3.25],
    [10, 2.228, 3.169],
    [30, 2.042, 2.75],
    [120, 1.98, 2.617],
  ];
  for (const [degrees, at95, at99] of table) {
    near(studentQuantile(0.95, degrees), at95, 5e-4);
    near(studentQuantile(0.99, degrees), at99, 5e-4);
  }
});

test('pairs tell a difference that the spread of the runs would hide', () => {
  const { pairs, mean, margin, sign } = pairedDifference([0.52, 0.71, 0.33], [0.5, 0.7, 0.31]);
  assert.equal(pairs, 3);
  near(mean, 0.05 / 3);
  near(margin, (4.302652729911275 * Math.sqrt(1 / 3) * 0.01) / Math.sqrt(3), 1e-9);
  assert.equal(sign, 1);
  assert.equal(pairedDifference([0.5, 0.7, 0.31], [0.52, 0.71, 0.33]).sign, -1);
});

test('what the interval does not tell apart is no difference, nor is that of one pair', () => {
  assert.equal(pairedDifference([0.5, 0.7, 0.3], [0.4, 0.75, 0.2]).sign, 0);
  const one = pairedDifference([0.9], [0.1]);
  assert.deepEqual([one.sign, one.margin], [0, NaN]);
  assert.equal(pairedDifference([1, 1], [1, 1]).sign, 0);
});

test('lists without pairs and impossible probabilities are refused', () => {
  assert.throws(() => pairedDifference([1], [1, 2]), ArgumentError);
  assert.throws(() => pairedDifference([], []), ArgumentError);
  assert.throws(() => studentQuantile(1, 2), ArgumentError);
  assert.throws(() => studentQuantile(0.95, 0), ArgumentError);
});

test.run();
