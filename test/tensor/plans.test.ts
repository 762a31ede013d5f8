import assert from 'node:assert/strict';
import { test } from 'uvu';
import { Gpu } from '../../src/gpu/gpu.js';
import { add } from '../../src/ops/add.js';
import { multiply } from '../../src/ops/multiply.js';
import { relu } from '../../src/ops/relu.js';
import { Plans } from '../../src/tensor/plans.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { testDevice as device } from '../helpers/device.js';

const gpu = Gpu.of(device);

/** relu(x)·factor of `count` numbers. */
const planned = (values: readonly number[], factor: Tensor) => ({
  inputs: [{ shape: [values.length], dtype: 'f32' as const, label: 'x' }],
  fill: ([x]: readonly Tensor[]) => {
    (x as Tensor<'f32'>).write(Float32Array.from(values));
  },
  compute: ([x]: readonly Tensor[]) => ({ outputs: [multiply(relu(x!), factor)], note: undefined }),
});

async function run(plans: Plans, values: readonly number[], factor: Tensor): Promise<number[]> {
  using output = plans.run(String(values.length), planned(values, factor)).outputs[0]!;
  return [...(await output.read())];
}

test('a plan computes from what its inputs and the tensors outside hold at each use', async () => {
  const before = gpu.memory().bytes;
  const plans = new Plans(gpu);
  const factor = Tensor.from(device, [2, 2], [2]);
  for (let i = 0; i < 3; i++) assert.deepEqual(await run(plans, [i, -1], factor), [2 * i, 0]);
  const { bindGroups, buffers } = gpu.counters();
  factor.write(Float32Array.of(3, 3));
  assert.deepEqual(await run(plans, [5, 6], factor), [15, 18]);
  assert.deepEqual([gpu.counters().bindGroups, gpu.counters().buffers], [bindGroups, buffers]);
  // Another tensor in its place is noticed, though its key is the same.
  factor.dispose();
  using other = Tensor.from(device, [7, 7], [2]);
  assert.deepEqual(await run(plans, [1, 2], other), [7, 14]);
  plans.dispose();
  assert.equal(gpu.memory().bytes, before + other.buffer.bytes);
});

test('plans of several shapes and other work between them do not touch one another', async () => {
  using plans = new Plans(gpu, 2);
  using two = Tensor.from(device, [2, 2], [2]);
  using three = Tensor.from(device, [3, 3, 3], [3]);
  using four = Tensor.from(device, [4, 4, 4, 4], [4]);
  for (let i = 1; i < 6; i++) {
    assert.deepEqual(await run(plans, [i, -i], two), [2 * i, 0]);
    const kept = relu(two);
    assert.deepEqual(await run(plans, [i, -i, 1], three), [3 * i, 0, 3]);
    if (i === 3) gpu.trim();
    assert.deepEqual(await run(plans, [i, -i, 1, 2], four), [4 * i, 0, 4, 8]);
    assert.deepEqual([...(await kept.read())], [2, 2]);
    kept.dispose();
  }
});

test('a plan of several submissions keeps what it clears until its end, whatever the pool gives back meanwhile', async () => {
  using plans = new Plans(gpu);
  const chain = {
    ...planned([-1, 3], Tensor.from(device, [1, 1], [2])),
    compute: ([x]: readonly Tensor[]) => {
      const zero = Tensor.zeros(gpu, [2]);
      // More than is kept without a reason.
      for (const mebibytes of [100, 104, 108]) Tensor.empty(gpu, [mebibytes * 2 ** 18]);
      let y = relu(x!);
      for (let i = 0; i < 800; i++) y = relu(y);
      return { outputs: [add(y, zero)], note: undefined };
    },
  };
  gpu.trim();
  // Every submission finds that ten seconds are over.
  const clock = Object.getOwnPropertyDescriptor(performance, 'now');
  let now = performance.now();
  Object.defineProperty(performance, 'now', { value: () => (now += 11_000), configurable: true });
  try {
    for (let use = 0; use < 3; use++) {
      using output = plans.run('chain', chain).outputs[0]!;
      assert.deepEqual([...(await output.read())], [0, 3]);
    }
  } finally {
    if (clock) Object.defineProperty(performance, 'now', clock);
    else Reflect.deleteProperty(performance, 'now');
  }
});

test('a plan refuses data of the host, which it would repeat for ever', () => {
  using plans = new Plans(gpu);
  using factor = Tensor.from(device, [1], [1]);
  const uploads = {
    ...planned([1], factor),
    compute: () => ({ outputs: [Tensor.from(device, [1], [1])], note: undefined }),
  };
  plans.run('uploads', uploads).outputs[0]!.dispose();
  assert.throws(() => plans.run('uploads', uploads), { name: 'ArgumentError', message: /inside a plan/ });
});

test.run();
