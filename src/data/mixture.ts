import { ArgumentError } from '../gpu/errors.js';
import { CounterRandom } from '../tensor/random.js';
import { epochOrder } from './random.js';

/** How many pictures a source of a mixture has, and how often it is drawn. */
export interface MixtureSource {
  readonly length: number;
  /** Times that each of its pictures is drawn in an epoch. 2: each twice. 0.5: half of them, the other half in the next. */
  readonly weight: number;
}

/** One epoch of a mixture, draw by draw in its order. */
export interface EpochDraws {
  /** Pictures, counted through all sources in the order in which they are listed. */
  readonly pictures: Uint32Array;
  /** A number of each draw in the epoch that its order does not change: two draws of one picture differ in it. */
  readonly slots: Uint32Array;
}

/** Draws of each source in an epoch: its pictures times its weight, at least one. */
function drawsOf({ length, weight }: MixtureSource): number {
  return Math.max(1, Math.round(length * weight));
}

/** Draws of all sources in an epoch. @throws ArgumentError for a weight that is no number above 0. */
export function mixtureLength(sources: readonly MixtureSource[]): number {
  const wrong = sources.find(({ weight }) => !(weight > 0 && Number.isFinite(weight)));
  if (wrong) {
    throw new ArgumentError({
      operation: 'mix sources of pictures',
      expected: 'a weight above 0 of each',
      got: String(wrong.weight),
      remedy: 'Pass how often a picture of that source is drawn in an epoch: 1 for once.',
    });
  }
  return sources.reduce((sum, source) => sum + drawsOf(source), 0);
}

/**
 * The pictures of an epoch, a function of seed, epoch and sources alone. Whole weights draw each picture that often; what is
 * left goes through a source's own shuffled rounds, on from where the epoch before ended, so that over the epochs all its
 * pictures are drawn equally often. One source of weight 1 is drawn in the order of `epochOrder`.
 * @throws ArgumentError for a seed or an epoch that is no whole number of at least 0, and what `mixtureLength` throws.
 */
export function epochDraws(seed: number, epoch: number, sources: readonly MixtureSource[]): EpochDraws {
  const slots = epochOrder(seed, epoch, mixtureLength(sources));
  const bySlot = new Uint32Array(slots.length);
  let slot = 0;
  let first = 0;
  for (const [place, source] of sources.entries()) {
    const { length } = source;
    const draws = drawsOf(source);
    const whole = Math.floor(draws / length) * length;
    for (let k = 0; k < whole; k++) bySlot[slot++] = first + (k % length);
    const rest = draws - whole;
    let round: { readonly at: number; readonly order: Uint32Array } | undefined;
    for (let k = 0; k < rest; k++) {
      const drawn = epoch * rest + k;
      const at = Math.floor(drawn / length);
      if (round?.at !== at) round = { at, order: roundOrder(seed, place, at, length) };
      bySlot[slot++] = first + round.order[drawn % length]!;
    }
    first += length;
  }
  return { pictures: slots.map((at) => bySlot[at]!), slots };
}

/** A source's pictures in the order of one of its rounds. */
function roundOrder(seed: number, source: number, round: number, length: number): Uint32Array {
  // No epoch is so late: the draws are nobody else's.
  const random = new CounterRandom([seed, 2 ** 52 + source, round]);
  return epochOrder(random.int(2 ** 32), round, length);
}
