import assert from 'node:assert/strict';
import { test } from 'uvu';
import { checkFinite } from '../../src/autograd/check_finite.js';
import { Tape } from '../../src/autograd/tape.js';
import { NumericError } from '../../src/gpu/errors.js';
import { Gpu } from '../../src/gpu/gpu.js';
import { add } from '../../src/ops/add.js';
import { multiply } from '../../src/ops/multiply.js';
import { relu } from '../../src/ops/relu.js';
import { sum } from '../../src/ops/sum.js';
import { scope } from '../../src/tensor/scope.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { testDevice as device } from '../helpers/device.js';

const gpu = Gpu.of(device);

test('the first operation that gives infinity is named, with the element and the shape', async () => {
  const before = gpu.memory().bytes;
  using x = Tensor.from(device, [1, 3e38, 2], [3]);
  const faulty = checkFinite(() => {
    scope(() => {
      const doubled = add(relu(x), x);
      sum(doubled);
    });
  });
  await assert.rejects(faulty, (error: Error) => {
    assert.ok(error instanceof NumericError);
    assert.match(error.message, /^add: .*Infinity at element 1 of \[3\]/s);
    return true;
  });
  x.dispose();
  assert.equal(gpu.memory().bytes, before);
});

test('a gradient that is not finite is named by its operation and input', async () => {
  using x = Tensor.from(device, [1e-30, 1], [2]);
  using huge = Tensor.from(device, [1e30, 1], [2]);
  using tape = new Tape(device);
  tape.watch(x);
  const faulty = checkFinite(() => {
    // Forward 1e-30·1e30·1e30; backward to x 1e30·1e30, more than float32 holds.
    const loss = tape.record(() => scope(() => sum(multiply(multiply(x, huge), huge))));
    tape.backward(loss);
    loss.dispose();
  });
  await assert.rejects(faulty, (error: Error) => {
    assert.ok(error instanceof NumericError);
    assert.match(error.message, /^gradient of multiply, to its a: /);
    return true;
  });
});

test('finite computations answer what they answer, and leave nothing behind', async () => {
  const before = gpu.memory().bytes;
  using x = Tensor.from(device, [1, -2, 3], [3]);
  using total = await checkFinite(() => scope(() => sum(relu(x))));
  assert.deepEqual([...(await total.read())], [4]);
  x.dispose();
  total.dispose();
  assert.equal(gpu.memory().bytes, before);
});

test.run();
