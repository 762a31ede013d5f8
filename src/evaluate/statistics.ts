import { ArgumentError } from '../gpu/errors.js';

/** What several runs of one thing say of it. */
export interface Summary {
  readonly count: number;
  /** NaN of none. */
  readonly mean: number;
  /** With n − 1 below the sum of squares; NaN of fewer than two. */
  readonly deviation: number;
  /** Of the mean: deviation / √n; NaN of fewer than two. */
  readonly error: number;
}

/** Mean, standard deviation and standard error of the mean. */
export function summarise(values: readonly number[]): Summary {
  const count = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const deviation = count < 2 ? NaN : Math.sqrt(squares / (count - 1));
  return { count, mean, deviation, error: deviation / Math.sqrt(count) };
}

/** A difference measured in pairs, as far as so few of them tell it. */
export interface PairedDifference {
  readonly pairs: number;
  readonly mean: number;
  /** Half of the interval that holds the true mean at the confidence asked for: t · standard error; NaN of one pair. */
  readonly margin: number;
  /** What the interval says of a − b: 0 where it holds zero, or where there is none. */
  readonly sign: -1 | 0 | 1;
}

/**
 * The mean of aᵢ − bᵢ and its interval by Student's t with one degree of freedom less than there are pairs.
 * @throws ArgumentError for lists of different lengths, or for none.
 */
export function pairedDifference(a: readonly number[], b: readonly number[], confidence = 0.95): PairedDifference {
  if (a.length !== b.length || a.length === 0) {
    throw new ArgumentError({
      operation: 'pairedDifference',
      expected: 'as many values of the one as of the other, and at least one',
      got: `${a.length} and ${b.length}`,
      remedy: 'Pass the values of both in the same order of their pairs.',
    });
  }
  const { count, mean, error } = summarise(a.map((value, i) => value - b[i]!));
  const margin = count < 2 ? NaN : studentQuantile(confidence, count - 1) * error;
  return { pairs: count, mean, margin, sign: Math.abs(mean) > margin ? (mean > 0 ? 1 : -1) : 0 };
}

/**
 * The t that a Student variable of so many degrees of freedom stays within, on both sides of zero, with that probability:
 * 4.303 for 95% and two.
 * @throws ArgumentError for a probability outside 0 to 1, or degrees that are no whole number of at least 1.
 */
export function studentQuantile(probability: number, degrees: number): number {
  if (!(probability > 0 && probability < 1 && Number.isInteger(degrees) && degrees >= 1)) {
    throw new ArgumentError({
      operation: 'studentQuantile',
      expected: 'a probability above 0 and below 1, and whole degrees of freedom of at least 1',
      got: `${probability} and ${degrees}`,
      remedy: 'Pass 0.95 and one degree less than there are values.',
    });
  }
  let [low, high] = [0, 1];
  while (within(high, degrees) < probability) high *= 2;
  // Halving ends at neighbouring numbers.
  for (let middle = (low + high) / 2; middle > low && middle < high; middle = (low + high) / 2) {
    if (within(middle, degrees) < probability) low = middle;
    else high = middle;
  }
  return high;
}

/** The probability of |T| ≤ t (Abramowitz and Stegun, 26.7.3 and 26.7.4). */
function within(t: number, degrees: number): number {
  const angle = Math.atan(t / Math.sqrt(degrees));
  const cosine = Math.cos(angle);
  const odd = degrees % 2 === 1;
  // Σ cos^k with coefficients 1, 2/3, 2·4/(3·5) … for odd degrees, 1, 1/2, 1·3/(2·4) … for even ones.
  let term = odd ? cosine : 1;
  let sum = degrees === 1 ? 0 : term;
  for (let k = odd ? 3 : 2; k <= degrees - 2; k += 2) {
    term *= ((k - 1) / k) * cosine * cosine;
    sum += term;
  }
  return odd ? (2 / Math.PI) * (angle + Math.sin(angle) * sum) : Math.sin(angle) * sum;
}
