import assert from 'node:assert/strict';
import { test } from 'uvu';
import { formatSeconds, smooth, Smoothed, Speed } from '../../src/train/metrics.js';

test('a smoothed value starts at the first one, keeps a constant, and forgets a jump by its span', () => {
  const smoothed = new Smoothed(9);
  assert.ok(Number.isNaN(smoothed.value));
  smoothed.add(5);
  assert.equal(smoothed.value, 5);
  for (let i = 0; i < 20; i++) smoothed.add(5);
  assert.ok(Math.abs(smoothed.value - 5) < 1e-12);
  for (let i = 0; i < 9; i++) smoothed.add(0);
  // (1 − 2/10)^9 = 0.134, about 1/e².
  assert.ok(Math.abs(smoothed.value - 5 * 0.8 ** 9) < 0.01, String(smoothed.value));
});

test('a curve is smoothed value by value, past what is no number', () => {
  // Weights halve: (3/2 + 1)/(1/2 + 1), (3/4 + 1/2 + 8)/(1/4 + 1/2 + 1).
  assert.deepEqual(smooth([NaN, 3, 1, Infinity, 8], 3), [NaN, 3, 2.5 / 1.5, 2.5 / 1.5, 9.25 / 1.75]);
  assert.deepEqual(smooth([4, 2], 1), [4, 2]);
});

test('speed is that of the last pieces, without the pauses between them', () => {
  const speed = new Speed(100, 2);
  assert.ok(Number.isNaN(speed.rate));
  assert.ok(Number.isNaN(speed.left(3)));
  speed.add(10, 105);
  assert.equal(speed.rate, 2);
  assert.equal(speed.left(8), 4);
  speed.resume(1000);
  speed.add(10, 1005);
  assert.equal(speed.rate, 2);
  speed.add(50, 1010);
  assert.equal(speed.rate, 6);
});

test('times are written in their two largest units', () => {
  const times = [0, 42.4, 59.6, 185, 7620, 7199.6, 86_400 * 4 + 3 * 3600, -1, NaN, Infinity];
  assert.deepEqual(times.map(formatSeconds), [
    '0 s',
    '42 s',
    '1 min 00 s',
    '3 min 05 s',
    '2 h 07 min',
    '2 h 00 min',
    '4 d 03 h',
    '0 s',
    '?',
    '?',
  ]);
});

test.run();
