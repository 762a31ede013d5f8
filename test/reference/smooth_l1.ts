import assert from 'node:assert/strict';
import { map, type Array64, type Reduction } from './array64.js';
import { mean } from './mean.js';
import { sum } from './sum.js';

export interface SmoothL1Options {
  /** Where the parabola d²/2β passes into the line d − β/2. */
  readonly beta?: number;
  readonly reduction?: Reduction;
  /** A factor per row (all axes but the last); 0 leaves a row out. 1 by default. */
  readonly weights?: Array64;
}

/**
 * The smooth L1 distance of x and target, which have one shape; d = |x − target|. `mean` (the default) is over all elements,
 * weighted by their rows' weights; it is 0 where all weights are 0.
 */
export function smoothL1(
  x: Array64,
  target: Array64,
  { beta = 1, reduction = 'mean', weights }: SmoothL1Options = {},
): Array64 {
  assert.deepEqual(x.shape, target.shape);
  const width = x.shape.at(-1) ?? 1;
  const losses = map(x, (value, i) => {
    const d = Math.abs(value - target.data[i]!);
    return (weights?.data[Math.floor(i / width)] ?? 1) * (d < beta ? (0.5 * d * d) / beta : d - 0.5 * beta);
  });
  if (reduction === 'none') return losses;
  if (reduction === 'sum') return sum(losses);
  if (!weights) return mean(losses);
  const total = width * sum(weights).data[0]!;
  return map(sum(losses), (loss) => (total === 0 ? 0 : loss / total));
}
