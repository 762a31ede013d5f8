import { map, zeros, type Array64 } from './array64.js';

/** ln softmax over the last axis, shifted by the maximum so that no exponential overflows. */
export function logSoftmax(x: Array64): Array64 {
  const classes = x.shape.at(-1)!;
  const output = zeros(x.shape);
  for (let row = 0; row < x.data.length; row += classes) {
    const values = x.data.subarray(row, row + classes);
    const maximum = Math.max(...values);
    const total = values.reduce((sum, value) => sum + Math.exp(value - maximum), 0);
    values.forEach((value, c) => (output.data[row + c] = value - maximum - Math.log(total)));
  }
  return output;
}

/** exp(x) / Σ exp(x) over the last axis. */
export function softmax(x: Array64): Array64 {
  return map(logSoftmax(x), Math.exp);
}
