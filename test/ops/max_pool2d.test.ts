import assert from 'node:assert/strict';
import { test } from 'uvu';
import { Tape } from '../../src/autograd/tape.js';
import { ArgumentError } from '../../src/gpu/errors.js';
import { maxPool2d } from '../../src/ops/max_pool2d.js';
import { sum } from '../../src/ops/sum.js';
import { scope } from '../../src/tensor/scope.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { map } from '../reference/array64.js';
import { maxPool2d as twin } from '../reference/max_pool2d.js';
import { checkOp, values } from '../helpers/check_op.js';
import { testDevice } from '../helpers/device.js';

for (const channels of [4, 3]) {
  test(`windows over ${channels} channels, uneven in every way, hold their maximum and pass its gradient on`, async () => {
    const options = { kernel: [3, 2], stride: [2, 1], padding: [1, 0] } as const;
    await checkOp({
      op: (x) => maxPool2d(x, options),
      twin: (x) => twin(x, options),
      inputs: [values('pool', [2, 5, 4, channels])],
      tolerance: 0,
      gradientTolerance: 1e-6,
    });
  });
}

test('padding never wins over negative numbers', async () => {
  const options = { kernel: 3, stride: 2, padding: 1 };
  await checkOp({
    op: (x) => maxPool2d(x, options),
    twin: (x) => twin(x, options),
    inputs: [map(values('negative', [1, 6, 7, 4]), (value) => value - 2)],
    tolerance: 0,
    gradientTolerance: 1e-6,
  });
});

test('of equal numbers the first in row-major order gets the gradient', async () => {
  using x = Tensor.from(testDevice, new Float32Array(9).fill(2), [1, 3, 3, 1]);
  using tape = new Tape(testDevice);
  tape.watch(x);
  using loss = tape.record(() => scope(() => sum(maxPool2d(x, { kernel: 2, stride: 1 }))));
  tape.backward(loss);
  assert.deepEqual([...(await tape.gradient(x)!.read())], [1, 1, 0, 1, 1, 0, 0, 0, 0]);
});

test('padding of more than half the kernel is refused', () => {
  using x = Tensor.from(testDevice, new Float32Array(16), [1, 4, 4, 1]);
  assert.throws(() => maxPool2d(x, { kernel: 3, padding: 2 }), ArgumentError);
});

test.run();
