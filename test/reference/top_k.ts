import { type Array64 } from './array64.js';

/** The indices of the k greatest of values [n], greatest first, equal ones by index; all n where k > n. */
export function topK(values: Array64, k: number): number[] {
  return [...values.data.keys()].sort((i, j) => values.data[j]! - values.data[i]! || i - j).slice(0, k);
}
