import { checkAtOnce, checkOptions } from '../gpu/arguments.js';
import { NumericError } from '../gpu/errors.js';
import { keep } from '../tensor/scope.js';
import { formatShape } from '../tensor/shape.js';
import type { Tensor } from '../tensor/tensor.js';

interface Seen {
  readonly what: string;
  readonly tensor: Tensor;
}

let seen: Seen[] | undefined;

/** True inside of `checkFinite`, which looks at results as they are computed. */
export function checking(): boolean {
  return seen !== undefined;
}

/** For operations and the tape: shows a result to the check around, if there is one. */
export function observe(what: string, tensor: Tensor): void {
  if (tensor.dtype === 'f32') seen?.push({ what, tensor: keep(tensor.alias()) });
}

/**
 * Runs `compute` (forward, and `tape.backward` if it is called inside) and looks at every result of every operation, in the
 * order in which they were computed. Costs a read of each and the memory of all: for finding a fault, not for training.
 *
 * ```ts
 * await checkFinite(() => tape.backward(tape.record(() => loss(network.forward(x)))));
 * ```
 * @throws NumericError naming the first operation, or the first gradient, that holds NaN or infinity.
 */
export async function checkFinite<T>(compute: () => T): Promise<T> {
  checkOptions('checkFinite', { compute }, { compute: 'function!' });
  const results: Seen[] = [];
  const outer = seen;
  seen = results;
  try {
    let answer: T;
    try {
      answer = compute();
      checkAtOnce('checkFinite', answer);
    } finally {
      seen = outer;
    }
    for (const { what, tensor } of results) {
      if (!tensor.contiguous) continue;
      const values = await tensor.read();
      const at = values.findIndex((value: number) => !Number.isFinite(value));
      if (at < 0) continue;
      throw new NumericError({
        operation: what,
        expected: 'finite numbers',
        got: `${values[at]} at element ${at} of ${formatShape(tensor.shape)}`,
        remedy: 'All results before it are finite: look at what goes into this one.',
      });
    }
    return answer;
  } finally {
    for (const { tensor } of results) tensor.dispose();
  }
}
