import { map, type Array64 } from './array64.js';

/** max(x, 0). */
export function relu(x: Array64): Array64 {
  return map(x, (value) => Math.max(value, 0));
}
