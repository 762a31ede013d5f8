import { test } from 'uvu';
import { assertGolden, readGolden } from '../helpers/golden.js';
import { formulaTensor } from '../helpers/formula.js';
import { array64, zeros } from './array64.js';
import { gradientNorm, sgd, type SgdState } from './sgd.js';

interface Run {
  readonly shapes: readonly (readonly number[])[];
  readonly multipliers: readonly (readonly [rate: number, decay: number])[];
  readonly momentum: number;
  readonly weightDecay: number;
  readonly clipNorm?: number;
  readonly rates: readonly number[];
  readonly without?: readonly (readonly number[])[];
}

for (const golden of readGolden('sgd').cases('sgd')) {
  test(`${golden.name}: values, momentum and norms are PyTorch's after every step`, () => {
    const { shapes, multipliers, rates, without, ...options } = golden.options as Run;
    let states: SgdState[] = shapes.map((shape, i) => ({
      value: array64(shape, formulaTensor(`value${i}`, shape)),
      moment: zeros(shape),
      rateMultiplier: multipliers[i]![0],
      decayMultiplier: multipliers[i]![1],
    }));
    for (const [step, learningRate] of rates.entries()) {
      const gradients = shapes.map((shape, i) =>
        without?.[step]?.includes(i) ? undefined : array64(shape, formulaTensor(`gradient${i}.${step}`, shape)),
      );
      assertGolden(array64([], [gradientNorm(gradients)]), golden.array(`norm.${step}`), `norm.${step}`);
      states = sgd(states, gradients, { learningRate, ...options });
      for (const [i, { value }] of states.entries()) {
        assertGolden(value, golden.array(`value${i}.${step}`), `value${i}.${step}`);
      }
    }
    for (const [i, { moment }] of states.entries()) {
      const expected = golden.optional(`moment${i}`);
      if (expected) assertGolden(moment, expected, `moment${i}`);
    }
  });
}

test.run();
