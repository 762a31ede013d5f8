import assert from 'node:assert/strict';
import { map, type Array64 } from './array64.js';

/** a·b; b's shape is a's or the end of it (one value per channel, or a single value), repeated over the axes before. */
export function multiply(a: Array64, b: Array64): Array64 {
  assert.deepEqual(a.shape.slice(a.shape.length - b.shape.length), b.shape, 'b has the last axes of a');
  return map(a, (value, i) => value * b.data[i % b.data.length]!);
}
