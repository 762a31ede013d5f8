import { map, zeros, type Array64 } from './array64.js';

export interface BatchNormOptions {
  readonly gamma: Array64;
  readonly beta: Array64;
  readonly runningMean: Array64;
  readonly runningVar: Array64;
  /** True: normalise by the batch's statistics and move the running ones; false: normalise by the running ones. */
  readonly training?: boolean;
  /** The share of the new statistics in the running ones, as PyTorch means it. */
  readonly momentum?: number;
  readonly eps?: number;
}

export interface BatchNormResult {
  readonly output: Array64;
  readonly runningMean: Array64;
  readonly runningVar: Array64;
}

/**
 * Normalises every channel (last axis) over all other axes: γ·(x − μ)/√(σ² + eps) + β. The batch normalises by its biased
 * variance and moves the running variance towards its unbiased one (divided by count − 1), as PyTorch does.
 */
export function batchNorm(x: Array64, options: BatchNormOptions): BatchNormResult {
  const { gamma, beta, runningMean, runningVar, training = false, momentum = 0.1, eps = 1e-5 } = options;
  const channels = gamma.data.length;
  const count = x.data.length / channels;
  let mean = runningMean;
  let variance = runningVar;
  if (training) {
    mean = zeros([channels]);
    variance = zeros([channels]);
    x.data.forEach((value, i) => (mean.data[i % channels]! += value / count));
    x.data.forEach((value, i) => (variance.data[i % channels]! += (value - mean.data[i % channels]!) ** 2 / count));
  }
  const output = map(x, (value, i) => {
    const c = i % channels;
    return ((value - mean.data[c]!) / Math.sqrt(variance.data[c]! + eps)) * gamma.data[c]! + beta.data[c]!;
  });
  if (!training) return { output, runningMean, runningVar };
  const towards = (running: number, batch: number) => (1 - momentum) * running + momentum * batch;
  return {
    output,
    runningMean: map(runningMean, (value, c) => towards(value, mean.data[c]!)),
    runningVar: map(runningVar, (value, c) => towards(value, (variance.data[c]! * count) / (count - 1))),
  };
}
