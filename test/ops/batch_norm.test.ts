import assert from 'node:assert/strict';
import { test } from 'uvu';
import { ShapeError } from '../../src/gpu/errors.js';
import { batchNorm, foldBatchNorm } from '../../src/ops/batch_norm.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { map } from '../reference/array64.js';
import { batchNorm as twin } from '../reference/batch_norm.js';
import { assertClose, checkOp, values } from '../helpers/check_op.js';
import { testDevice } from '../helpers/device.js';

const EPS32 = 2 ** -24;
/** A dozen roundings, each of a number of a few units. */
const TOLERANCE = 64 * EPS32;

const parameters = (channels: number) => ({
  gamma: values('norm.weight', [channels]),
  beta: values('norm.bias', [channels]),
  runningMean: values('norm.running_mean', [channels]),
  runningVar: values('norm.running_var', [channels]),
});

for (const training of [false, true]) {
  for (const channels of [4, 3]) {
    test(`${channels} channels are normalised by the ${training ? 'batch' : 'running statistics'}, with all gradients`, async () => {
      const { gamma, beta, runningMean, runningVar } = parameters(channels);
      await checkOp({
        op: (x, g, b, mean, variance) =>
          batchNorm(x, { gamma: g, beta: b, runningMean: mean, runningVar: variance, training, momentum: 0 }),
        twin: (x, g, b) => twin(x, { gamma: g, beta: b, runningMean, runningVar, training }).output,
        inputs: [values('x', [2, 5, 7, channels]), gamma, beta, runningMean, runningVar],
        watched: [0, 1, 2],
        tolerance: TOLERANCE,
        // The sums behind a gradient run over 70 rows.
        gradientTolerance: TOLERANCE * Math.sqrt(70),
      });
    });
  }
}

for (const training of [false, true]) {
  for (const channels of [4, 3]) {
    test(`a residual and a leaky ReLU behind the norm (${training ? 'batch' : 'running statistics'}, ${channels} channels) have their gradients`, async () => {
      const { gamma, beta, runningMean, runningVar } = parameters(channels);
      const shape = [2, 3, 5, channels];
      // Far enough from the norm's values, which stay within 3, that no difference crosses the kink at 0.
      const away = map(values('residual', shape), (value) => (value < 0 ? value - 4 : value + 4));
      await checkOp({
        op: (x, g, b, residual, mean, variance) =>
          batchNorm(x, {
            gamma: g,
            beta: b,
            runningMean: mean,
            runningVar: variance,
            training,
            momentum: 0,
            residual,
            slope: 0.25,
          }),
        twin: (x, g, b, residual) => {
          const { output } = twin(x, { gamma: g, beta: b, runningMean, runningVar, training });
          return map(output, (value, i) => {
            const sum = value + residual.data[i]!;
            return sum > 0 ? sum : 0.25 * sum;
          });
        },
        inputs: [values('x', shape), gamma, beta, away, runningMean, runningVar],
        watched: [0, 1, 2, 3],
        tolerance: TOLERANCE,
        gradientTolerance: TOLERANCE * Math.sqrt(30),
      });
    });
  }
}

for (const channels of [4, 3]) {
  test(`a leaky ReLU behind the norm has its gradients, whose sign is found again from the input: ${channels} channels`, async () => {
    const { runningMean, runningVar } = parameters(channels);
    // Two clouds of values, so that no difference crosses the kink at 0: the first two channels are shifted to one side of
    // it, of the others one cloud lies on each.
    const x64 = map(values('x', [2, 3, 5, channels]), (value) => (value < 0 ? value - 4 : value + 4));
    const gamma = map(values('norm.weight', [channels]), (value) => (value < 0 ? value - 0.5 : value + 0.5));
    const beta = map(values('norm.bias', [channels]), (value, c) => [6, -6][c] ?? value / 8);
    await checkOp({
      op: (x, g, b, mean, variance) =>
        batchNorm(x, {
          gamma: g,
          beta: b,
          runningMean: mean,
          runningVar: variance,
          training: true,
          momentum: 0,
          slope: 0.25,
        }),
      twin: (x, g, b) =>
        map(twin(x, { gamma: g, beta: b, runningMean, runningVar, training: true }).output, (value) =>
          value > 0 ? value : 0.25 * value,
        ),
      inputs: [x64, gamma, beta, runningMean, runningVar],
      watched: [0, 1, 2],
      tolerance: TOLERANCE,
      gradientTolerance: TOLERANCE * Math.sqrt(30),
    });
  });
}

test('training moves the running statistics as PyTorch does, also where the mean is far from zero', async () => {
  const { gamma, beta, runningMean, runningVar } = parameters(3);
  const x = map(values('far', [1, 300, 31, 3]), (value) => Math.fround(value + 64));
  const expected = twin(x, { gamma, beta, runningMean, runningVar, training: true, momentum: 0.25 });
  const [gpuX, g, b, mean, variance] = [x, gamma, beta, runningMean, runningVar].map(({ data, shape }) =>
    Tensor.from(testDevice, Float32Array.from(data), shape),
  ) as [Tensor, Tensor, Tensor, Tensor, Tensor];
  using y = batchNorm(gpuX, {
    gamma: g,
    beta: b,
    runningMean: mean,
    runningVar: variance,
    training: true,
    momentum: 0.25,
  });
  assertClose(await mean.read(), expected.runningMean, TOLERANCE, 'running mean');
  assertClose(await variance.read(), expected.runningVar, TOLERANCE, 'running variance');
  // A mean of 64 is known to 64·eps32 times the roundings of a chunk of 37 rows.
  assertClose(await y.read(), expected.output, 64 * 37 * EPS32, 'output');
  for (const tensor of [gpuX, g, b, mean, variance]) tensor.dispose();
});

test('folded, the running statistics are one scale and one shift', async () => {
  const all = parameters(5);
  const tensors = Object.values(all).map(({ data, shape }) => Tensor.from(testDevice, Float32Array.from(data), shape));
  const [gamma, beta, runningMean, runningVar] = tensors as [Tensor, Tensor, Tensor, Tensor];
  const { scale, shift } = foldBatchNorm({ gamma, beta, runningMean, runningVar });
  const expected = map(all.gamma, (value, c) => value / Math.sqrt(all.runningVar.data[c]! + 1e-5));
  assertClose(await scale.read(), expected, 8 * EPS32, 'scale');
  const offset = map(all.beta, (value, c) => value - all.runningMean.data[c]! * expected.data[c]!);
  assertClose(await shift.read(), offset, 8 * EPS32, 'shift');
  for (const tensor of [...tensors, scale, shift]) tensor.dispose();
});

test('parameters of another width and a batch of one value are refused', () => {
  using x = Tensor.from(testDevice, [1, 2, 3], [1, 3]);
  using three = Tensor.from(testDevice, [1, 2, 3], [3]);
  using two = Tensor.from(testDevice, [1, 2], [2]);
  const right = { gamma: three, beta: three, runningMean: three, runningVar: three };
  assert.throws(() => batchNorm(x, { ...right, beta: two }), ShapeError);
  assert.throws(() => batchNorm(x, { ...right, training: true }), ShapeError);
});

test.run();
