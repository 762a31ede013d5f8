import assert from 'node:assert/strict';
import { map, type Array64, type Reduction } from './array64.js';
import { mean } from './mean.js';
import { sum } from './sum.js';

export interface SmoothL1Options {
  /** Where the parabola d²/2β passes into the line d − β/2. */
  readonly beta?: number;
  readonly reduction?: Reduction;
}

/** The smooth L1 distance of x and target, which have one shape; d = |x − target|. */
export function smoothL1(x: Array64, target: Array64, { beta = 1, reduction = 'mean' }: SmoothL1Options = {}): Array64 {
  assert.deepEqual(x.shape, target.shape);
  const losses = map(x, (value, i) => {
    const d = Math.abs(value - target.data[i]!);
    return d < beta ? (0.5 * d * d) / beta : d - 0.5 * beta;
  });
  if (reduction === 'none') return losses;
  return reduction === 'sum' ? sum(losses) : mean(losses);
}
