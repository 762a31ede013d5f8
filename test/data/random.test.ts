import assert from 'node:assert/strict';
import { test } from 'uvu';
import { epochOrder, randomOf } from '../../src/data/random.js';
import { ArgumentError } from '../../src/gpu/errors.js';

const draws = (count: number, ...[seed, epoch, index]: readonly number[]): number[] => {
  const random = randomOf(seed!, epoch!, index!);
  return Array.from({ length: count }, () => random.next());
};

test('the same seed, epoch and index draw the same, and any other of them draws otherwise', () => {
  const reference = draws(8, 7, 3, 11);
  assert.deepEqual(draws(8, 7, 3, 11), reference);
  for (const key of [
    [8, 3, 11],
    [7, 4, 11],
    [7, 3, 12],
    [3, 7, 11],
    [7 + 2 ** 32, 3, 11],
  ] as const) {
    assert.notDeepEqual(draws(8, ...key), reference);
  }
});

test('draws are uniform, whole, and not correlated with those of the next picture', () => {
  const count = 20_000;
  const one = draws(count, 1, 0, 0);
  const next = draws(count, 1, 0, 1);
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  // Deviations of a mean of 20,000 uniform draws: 0.2887 / √20,000 = 0.002; five of them.
  assert.ok(Math.abs(mean(one) - 0.5) < 0.0102);
  assert.ok(Math.abs(mean(one.map((value, i) => (value - 0.5) * (next[i]! - 0.5)))) < (5 / 12) * 0.00708);
  assert.ok(Math.abs(mean(one.slice(1).map((value, i) => (value - 0.5) * (one[i]! - 0.5)))) < (5 / 12) * 0.00708);
  const random = randomOf(5, 1, 2);
  const counts = new Array<number>(7).fill(0);
  for (let i = 0; i < 7000; i++) counts[random.int(7)]!++;
  for (const each of counts) assert.ok(Math.abs(each - 1000) < 5 * Math.sqrt(1000));
});

test('normal draws have mean 0, deviation 1 and the usual tails', () => {
  const random = randomOf(2, 0, 0);
  const values = Array.from({ length: 20_000 }, () => random.normal());
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  assert.ok(Math.abs(mean) < 5 / Math.sqrt(20_000));
  assert.ok(Math.abs(variance - 1) < 5 * Math.sqrt(2 / 20_000));
  const beyond = values.filter((value) => Math.abs(value) > 1.96).length / values.length;
  assert.ok(Math.abs(beyond - 0.05) < 0.008);
});

test('an epoch holds every picture once, in an order of its own', () => {
  const order = epochOrder(4, 0, 1000);
  assert.deepEqual(
    [...order].sort((a, b) => a - b),
    Array.from({ length: 1000 }, (_, i) => i),
  );
  assert.deepEqual(epochOrder(4, 0, 1000), order);
  assert.notDeepEqual(epochOrder(4, 1, 1000), order);
  assert.notDeepEqual(epochOrder(5, 0, 1000), order);
  assert.deepEqual([...epochOrder(1, 1, 0)], []);
  assert.deepEqual([...epochOrder(1, 1, 1)], [0]);
});

test('keys that do not count are refused', () => {
  for (const wrong of [-1, 0.5, Number.NaN, 2 ** 53]) {
    assert.throws(() => randomOf(wrong, 0, 0), ArgumentError);
    assert.throws(() => epochOrder(0, wrong, 3), ArgumentError);
  }
  assert.throws(() => randomOf(0, 0, 0).pick([]), ArgumentError);
});

test.run();
