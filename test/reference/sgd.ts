import { map, type Array64 } from './array64.js';

/** One parameter between two steps. */
export interface SgdState {
  readonly value: Array64;
  /** The momentum; zeros before the first step. */
  readonly moment: Array64;
  readonly rateMultiplier?: number;
  readonly decayMultiplier?: number;
}

export interface SgdStepOptions {
  readonly learningRate: number;
  readonly momentum: number;
  readonly weightDecay: number;
  readonly clipNorm?: number;
}

/** The Euclidean length of all gradients together. */
export function gradientNorm(gradients: readonly (Array64 | undefined)[]): number {
  return Math.sqrt(gradients.reduce((total, g) => total + (g ? g.data.reduce((sum, x) => sum + x * x, 0) : 0), 0));
}

/**
 * One step of torch.optim.SGD: m ← momentum·m + (g + decay·p), p ← p − rate·m, after clip_grad_norm_ where `clipNorm` is
 * given. A parameter without a gradient stays as it is.
 */
export function sgd(
  states: readonly SgdState[],
  gradients: readonly (Array64 | undefined)[],
  { learningRate, momentum, weightDecay, clipNorm }: SgdStepOptions,
): SgdState[] {
  const factor = clipNorm === undefined ? 1 : Math.min(1, clipNorm / (gradientNorm(gradients) + 1e-6));
  return states.map((state, index) => {
    const gradient = gradients[index];
    if (!gradient) return state;
    const { rateMultiplier = 1, decayMultiplier = 1, value } = state;
    const moment = map(
      state.moment,
      (m, i) => momentum * m + (factor * gradient.data[i]! + weightDecay * decayMultiplier * value.data[i]!),
    );
    return { ...state, moment, value: map(value, (p, i) => p - learningRate * rateMultiplier * moment.data[i]!) };
  });
}
