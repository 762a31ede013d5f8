import { ArgumentError } from '../gpu/errors.js';
import { CounterRandom, type Random } from '../tensor/random.js';

export { mix32, type Random } from '../tensor/random.js';

function checkWhole(operation: string, parts: readonly number[]): void {
  const wrong = parts.find((part) => !Number.isSafeInteger(part) || part < 0);
  if (wrong === undefined) return;
  throw new ArgumentError({
    operation,
    expected: `whole numbers of at least 0 and below 2^53`,
    got: String(wrong),
    remedy: 'Pass a seed, an epoch and an index that count.',
  });
}

/**
 * The draws that belong to a picture in an epoch: a function of the three numbers alone, so that a resumed run, or
 * another number of workers, draws the same.
 * @throws ArgumentError for what is no whole number of at least 0.
 */
export function randomOf(seed: number, epoch: number, index: number): Random {
  checkWhole('randomOf', [seed, epoch, index]);
  return new CounterRandom([seed, epoch, index]);
}

/**
 * All of 0 … length − 1 in the order of that epoch (Fisher and Yates's shuffle).
 * @throws ArgumentError for what is no whole number of at least 0.
 */
export function epochOrder(seed: number, epoch: number, length: number): Uint32Array {
  checkWhole('epochOrder', [seed, epoch, length]);
  // No picture has the index −1: the order's draws are nobody else's.
  const random = new CounterRandom([seed, epoch, -1]);
  const order = Uint32Array.from({ length }, (_, i) => i);
  for (let i = length - 1; i > 0; i--) {
    const j = random.int(i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}
