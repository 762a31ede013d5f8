import { ArgumentError } from '../gpu/errors.js';

/** Draws that are the same wherever and whenever they are repeated. */
export interface Random {
  /** Uniform in [0, 1), in steps of 2⁻³². */
  next(): number;
  /** Uniform among 0 … n − 1. */
  int(n: number): number;
  /** Normal, mean 0 and deviation 1 (Box and Muller). */
  normal(): number;
  /** Uniform in [low, high). */
  between(low: number, high: number): number;
  /** True with this probability. */
  chance(probability: number): boolean;
  /** One of the list. @throws ArgumentError for an empty one. */
  pick<T>(list: readonly T[]): T;
}

/** Mixes 32 bits so that each depends on all (multipliers of Wellons's `lowbias32`). */
export function mix32(value: number): number {
  let x = value | 0;
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}

const GOLDEN = 0x9e3779b9;

/** Both halves of a whole number, mixed into a key. */
function absorb(key: number, value: number): number {
  const low = mix32((key + GOLDEN) ^ (value >>> 0));
  return mix32(low ^ (Math.floor(value / 2 ** 32) | 0));
}

/** Counts instead of carrying a state: draw k is a function of the key (whole numbers) and k. */
export class CounterRandom implements Random {
  readonly #first: number;
  readonly #second: number;
  #counter = 0;

  constructor(parts: readonly number[]) {
    this.#first = parts.reduce(absorb, 0x243f6a88);
    this.#second = parts.reduce(absorb, 0x13198a2e);
  }

  next(): number {
    return mix32(mix32(this.#counter++ ^ this.#first) + this.#second) / 2 ** 32;
  }

  int(n: number): number {
    return Math.floor(this.next() * n);
  }

  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.next()));
    return radius * Math.cos(2 * Math.PI * this.next());
  }

  between(low: number, high: number): number {
    return low + (high - low) * this.next();
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(list: readonly T[]): T {
    const [first] = list;
    if (first === undefined) {
      throw new ArgumentError({
        operation: 'pick',
        expected: 'a list of at least one',
        got: 'an empty one',
        remedy: 'Pass the values to choose from.',
      });
    }
    return list[this.int(list.length)] ?? first;
  }
}
