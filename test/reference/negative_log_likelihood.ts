import assert from 'node:assert/strict';
import { array64, type Array64, type Reduction } from './array64.js';
import { logSoftmax } from './softmax.js';

export interface NegativeLogLikelihoodOptions {
  /** A factor per row; 0 leaves a row out. 1 by default. */
  readonly weights?: Array64;
  readonly reduction?: Reduction;
}

/**
 * −w·ln softmax(logits)[label] per row of logits [rows, classes]. `mean` (the default) divides by the sum of the weights, as
 * PyTorch's weighted cross entropy does, so that rows of weight 0 do not count; it is 0 where all weights are 0.
 */
export function negativeLogLikelihood(
  logits: Array64,
  labels: readonly number[],
  { weights, reduction = 'mean' }: NegativeLogLikelihoodOptions = {},
): Array64 {
  const [rows, classes] = [logits.shape[0]!, logits.shape[1]!];
  assert.equal(labels.length, rows, 'one label per row');
  const logarithms = logSoftmax(logits);
  const losses = labels.map((label, row) => -(weights?.data[row] ?? 1) * logarithms.data[row * classes + label]!);
  if (reduction === 'none') return array64([rows], losses);
  const total = losses.reduce((sum, loss) => sum + loss, 0);
  if (reduction === 'sum') return array64([], [total]);
  const count = weights ? weights.data.reduce((sum, weight) => sum + weight, 0) : rows;
  return array64([], [count === 0 ? 0 : total / count]);
}
