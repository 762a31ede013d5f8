import { map, type Array64 } from './array64.js';
import { sum } from './sum.js';

/** The mean of all elements, shape []. */
export function mean(x: Array64): Array64 {
  return map(sum(x), (total) => total / x.data.length);
}
