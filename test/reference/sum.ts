import { array64, type Array64 } from './array64.js';

/** The sum of all elements, shape []. */
export function sum(x: Array64): Array64 {
  return array64([], [x.data.reduce((total, value) => total + value, 0)]);
}
