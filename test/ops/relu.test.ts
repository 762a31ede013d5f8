import assert from 'node:assert/strict';
import { test } from 'uvu';
import { add } from '../../src/ops/add.js';
import { batchNorm } from '../../src/ops/batch_norm.js';
import { conv2dWith } from '../../src/ops/conv2d.js';
import { leakyRelu, rectifierGradient, relu } from '../../src/ops/relu.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { leakyRelu as leakyTwin } from '../reference/leaky_relu.js';
import { relu as twin } from '../reference/relu.js';
import { checkOp, values } from '../helpers/check_op.js';
import { testDevice as device } from '../helpers/device.js';

const EPS32 = 2 ** -24;

test('a rectifier passes what is positive, and its gradient', async () => {
  await checkOp({
    op: (x) => relu(x),
    twin: (x) => twin(x),
    inputs: [values('x', [3, 5, 3])],
    tolerance: EPS32,
  });
});

test('a leaky rectifier scales what is negative, and its gradient', async () => {
  await checkOp({
    op: (x) => leakyRelu(x, 0.125),
    twin: (x) => leakyTwin(x, 0.125),
    inputs: [values('x', [3, 5, 3])],
    tolerance: EPS32,
  });
});

const INFINITE = [-Infinity, -1, 2, Infinity];

test('a rectifier without a leak turns minus infinity into 0, one with a leak keeps it', async () => {
  using x = Tensor.from(device, INFINITE, [4]);
  using plain = relu(x);
  assert.deepEqual([...(await plain.read())], [0, 0, 2, Infinity]);
  using leaky = leakyRelu(x, 0.5);
  assert.deepEqual([...(await leaky.read())], [-Infinity, -0.5, 2, Infinity]);
});

test('an infinite gradient ends at a rectifier without a leak where its output is 0, as in PyTorch', async () => {
  using y = Tensor.from(device, [0, 0, 2, 1], [4]);
  using gradient = Tensor.from(device, [Infinity, -Infinity, Infinity, 3], [4]);
  using plain = rectifierGradient(y, gradient, 0);
  assert.deepEqual([...(await plain.read())], [0, 0, Infinity, 3]);
  using leaky = rectifierGradient(y, gradient, 0.5);
  assert.deepEqual([...(await leaky.read())], [Infinity, -Infinity, Infinity, 3]);
});

test('a rectifier passes NaN on', async () => {
  using x = Tensor.from(device, [NaN, -1, 1, 0], [4]);
  using y = relu(x);
  assert.deepEqual([...(await y.read())], [NaN, 0, 1, 0]);
});

test('a rectifier behind another kernel turns minus infinity into 0', async () => {
  using x = Tensor.from(device, INFINITE, [1, 1, 1, 4]);
  using zeros = Tensor.zeros(device, [1, 1, 1, 4]);
  for (const channels of [4, 2]) {
    const of = (value: number) => Tensor.from(device, new Float32Array(channels).fill(value), [channels]);
    using rows = x.view([1, 1, 4 / channels, channels]);
    using ones = of(1);
    using none = of(0);
    using normed = batchNorm(rows, { gamma: ones, beta: none, runningMean: none, runningVar: ones, eps: 0, slope: 0 });
    assert.deepEqual([...(await normed.read())], [0, 0, 2, Infinity], `batch norm, ${channels} channels`);
  }
  const columns = Array.from({ length: 16 }, (_, i) => (Math.floor(i / 4) === 0 ? INFINITE[i % 4]! : 0));
  // A finite input whose product with the first row of the weights is the vector above.
  using one = Tensor.from(device, [1, 0, 0, 0], [1, 1, 1, 4]);
  using weight = Tensor.from(
    device,
    columns.map((value) => (Number.isFinite(value) ? value : Math.sign(value) * 3e38)),
    [1, 1, 4, 4],
  );
  using scale = Tensor.from(device, [10, 1, 1, 10], [4]);
  for (const skeleton of ['plain', 'tiled', 'any', undefined] as const) {
    using y = conv2dWith(skeleton, one, weight, { scale, slope: 0 });
    assert.deepEqual([...(await y.read())], [0, 0, 2, Infinity], `convolution, ${skeleton ?? 'the fastest way'}`);
  }
  using total = add(x, zeros, { slope: 0 });
  assert.deepEqual([...(await total.read())], [0, 0, 2, Infinity]);
});

test.run();
