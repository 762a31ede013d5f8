import assert from 'node:assert/strict';
import { Tape } from '../../src/autograd/tape.js';
import { Gpu } from '../../src/gpu/gpu.js';
import { multiply } from '../../src/ops/multiply.js';
import { sum } from '../../src/ops/sum.js';
import { scope } from '../../src/tensor/scope.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { array64, dot, type Array64 } from '../reference/array64.js';
import { directionalDerivative, numericGradient } from '../reference/gradient.js';
import { testDevice } from './device.js';
import { formulaTensor } from './formula.js';

/** What `checkOp` compares. */
export interface OpCheck {
  readonly op: (...inputs: Tensor[]) => Tensor;
  readonly twin: (...inputs: Array64[]) => Array64;
  readonly inputs: readonly Array64[];
  /** Largest |GPU − twin| over max(1, |twin|); 0 for operations that only move numbers. */
  readonly tolerance: number;
  /** The same for gradients; `tolerance` plus the error of the differences by default. */
  readonly gradientTolerance?: number;
  /** Inputs that have a gradient; all by default, none for a check of the forward alone. */
  readonly watched?: readonly number[];
}

/** Up to this many elements, the gradient is compared element by element; above, along one direction. */
const FULL_JACOBIAN = 256;

/** Error of central differences of a float64 twin whose third derivative is a few units (see `STEP`). */
const DIFFERENCES = 1e-7;

/** Values of [-1, 1) that depend on the name alone, exact in float32. */
export function values(name: string, shape: readonly number[]): Array64 {
  return array64(shape, formulaTensor(name, shape));
}

/** Fails where an element is further from its expected value than `tolerance` times max(1, |expected|). */
export function assertClose(actual: ArrayLike<number>, expected: Array64, tolerance: number, what: string): void {
  assert.equal(actual.length, expected.data.length, `${what}: number of elements`);
  expected.data.forEach((value, i) => {
    const error = Math.abs(actual[i]! - value) / Math.max(1, Math.abs(value));
    assert.ok(error <= tolerance, `${what}[${i}]: ${actual[i]} instead of ${value}, off by ${error} > ${tolerance}`);
  });
}

const upload = (array: Array64) => Tensor.from(testDevice, Float32Array.from(array.data), array.shape);

/**
 * Checks an op whole: its forward against the float64 twin; its backward, through a tape and a random output gradient,
 * against central differences of the twin; no gradient for inputs that are not watched; no memory left behind.
 */
export async function checkOp(check: OpCheck): Promise<void> {
  const { op, twin, inputs, tolerance, gradientTolerance = tolerance + DIFFERENCES } = check;
  const watched = check.watched ?? inputs.map((_, index) => index);
  const gpu = Gpu.of(testDevice);
  const before = gpu.memory().bytes;
  const expected = twin(...inputs);
  const tensors = inputs.map(upload);

  const plain = op(...tensors);
  assert.deepEqual(plain.shape, expected.shape, 'shape of the output');
  assertClose(await plain.read(), expected, tolerance, 'output');
  plain.dispose();

  const direction = values('output gradient', expected.shape);
  const g = upload(direction);
  const objective = (moved: readonly Array64[]) => dot(twin(...moved), direction);
  // Each input alone, too: a backward must do with any set of needs.
  const sets = watched.length > 1 ? [watched, ...watched.map((index) => [index])] : [watched];
  for (const set of sets.filter(({ length }) => length > 0)) {
    const tape = new Tape(testDevice);
    for (const index of set) tape.watch(tensors[index]!);
    const { loss, y } = tape.record(() =>
      scope(() => {
        const output = op(...tensors);
        return { y: output, loss: sum(multiply(output, g)) };
      }),
    );
    assertClose(await y.read(), expected, tolerance, 'output while recording');
    y.dispose();
    tape.backward(loss);
    loss.dispose();
    for (const [index, input] of inputs.entries()) {
      const gradient = tape.gradient(tensors[index]!);
      if (!set.includes(index)) {
        assert.equal(gradient, undefined, `input ${index} is not watched`);
        continue;
      }
      assert.ok(gradient, `input ${index} has a gradient`);
      assert.deepEqual(gradient.shape, input.shape);
      const actual = array64(input.shape, await gradient.read());
      if (input.data.length <= FULL_JACOBIAN) {
        assertClose(actual.data, numericGradient(objective, inputs, index), gradientTolerance, `gradient ${index}`);
      } else {
        const directions = inputs.map(({ shape }, k) =>
          k === index ? values('direction', shape) : array64(shape, new Float64Array(inputs[k]!.data.length)),
        );
        const slope = array64([], [directionalDerivative(objective, inputs, directions)]);
        // Rounding errors of independent elements add up as the root of their number.
        const bound = gradientTolerance * Math.sqrt(input.data.length);
        assertClose([dot(actual, directions[index]!)], slope, bound, `slope of input ${index}`);
      }
    }
    tape.dispose();
  }
  for (const tensor of [...tensors, g]) tensor.dispose();
  assert.equal(gpu.memory().bytes, before, 'all memory is given back');
}
