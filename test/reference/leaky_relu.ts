import { map, type Array64 } from './array64.js';

/** x where x > 0, else slope·x. */
export function leakyRelu(x: Array64, slope: number): Array64 {
  return map(x, (value) => (value > 0 ? value : slope * value));
}
