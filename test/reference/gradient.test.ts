import assert from 'node:assert/strict';
import { test } from 'uvu';
import { array64, type Array64 } from './array64.js';
import { directionalDerivative, numericGradient } from './gradient.js';

const x = array64([2], [0.5, -1.25]);
const y = array64([2], [2, 3]);
/** Σ sin(x)·y²: its derivatives are cos(x)·y² and 2·sin(x)·y. */
const f = ([a, b]: readonly Array64[]) =>
  a!.data.reduce((total, value, i) => total + Math.sin(value) * b!.data[i]! ** 2, 0);
/** h²/6 · 9 (the greatest y²), and rounding. */
const TOLERANCE = (2 ** -26 / 6) * 9 + 1e-11;

test('numeric gradients are the analytic ones', () => {
  const [gradX, gradY] = [numericGradient(f, [x, y], 0), numericGradient(f, [x, y], 1)];
  for (const i of [0, 1]) {
    assert.ok(Math.abs(gradX.data[i]! - Math.cos(x.data[i]!) * y.data[i]! ** 2) < TOLERANCE);
    assert.ok(Math.abs(gradY.data[i]! - 2 * Math.sin(x.data[i]!) * y.data[i]!) < TOLERANCE);
  }
  assert.deepEqual([...x.data], [0.5, -1.25]);
});

test('a directional derivative is the gradient along the directions of all inputs', () => {
  const directions = [array64([2], [1, -2]), array64([2], [0.5, 1])];
  const expected =
    Math.cos(0.5) * 4 * 1 + Math.cos(-1.25) * 9 * -2 + 2 * Math.sin(0.5) * 2 * 0.5 + 2 * Math.sin(-1.25) * 3 * 1;
  // The third derivative along (dx, dy) is at most a few times that along x alone, with |dx| = 2.
  assert.ok(Math.abs(directionalDerivative(f, [x, y], directions) - expected) < 16 * TOLERANCE);
});

test.run();
