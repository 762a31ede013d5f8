// Gradients that are written into memory of the caller, as a trainer's are into its buckets.
import assert from 'node:assert/strict';
import { test } from 'uvu';
import { Tape } from '../../src/autograd/tape.js';
import { Gpu } from '../../src/gpu/gpu.js';
import { batchNorm } from '../../src/ops/batch_norm.js';
import { concat } from '../../src/ops/concat.js';
import { conv2d } from '../../src/ops/conv2d.js';
import { multiply } from '../../src/ops/multiply.js';
import { sum } from '../../src/ops/sum.js';
import { mix32 } from '../../src/tensor/random.js';
import { scope } from '../../src/tensor/scope.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { testDevice as device } from '../helpers/device.js';

const gpu = Gpu.of(device);

let seed = 1;
const draw = (shape: readonly number[]): Tensor<'f32'> =>
  Tensor.from(
    device,
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => mix32(seed++) / 2 ** 31 - 1),
    shape,
  );

/** What stands in a place before, and behind its elements afterwards. */
const UNTOUCHED = 123;

/**
 * The gradients of `loss` in the watched tensors, computed without places, and with a place each in one flat tensor; of the
 * latter whether they came to lie there.
 */
async function bothWays(watched: readonly Tensor[], loss: () => Tensor) {
  using tape = new Tape(device);
  for (const tensor of watched) tape.watch(tensor);
  const gradients = (places?: Map<number, Tensor>) => {
    using value = tape.record(() => scope(loss));
    tape.backward(value, places);
    return watched.map((tensor) => tape.gradient(tensor)!);
  };
  const expected = await Promise.all(gradients().map((gradient) => gradient.read()));
  const ROOM = 512;
  using bucket = Tensor.from(device, new Float32Array(ROOM * watched.length).fill(UNTOUCHED), [ROOM * watched.length]);
  const parts = watched.map(({ shape }, i) => bucket.part(ROOM * i, shape));
  const found = gradients(new Map(watched.map(({ id }, i) => [id, parts[i]!])));
  const placed = found.map((gradient, i) => gradient.sharesMemoryWith(parts[i]!));
  const got = await Promise.all(found.map((gradient) => gradient.read()));
  assert.deepEqual(got, expected);
  const all = await bucket.read();
  for (const [i, values] of expected.entries()) {
    const size = placed[i] ? values.length : 0;
    if (size > 0) assert.deepEqual(all.subarray(ROOM * i, ROOM * i + size), values);
    assert.ok(all.subarray(ROOM * i + size, ROOM * (i + 1)).every((value) => value === UNTOUCHED));
  }
  for (const tensor of [...watched, ...parts]) tensor.dispose();
  return placed;
}

for (const [name, { cin, cout, groups = 1, kernel, side }] of Object.entries({
  'a dense convolution': { cin: 4, cout: 12, kernel: 3, side: 9 },
  'many channels': { cin: 4, cout: 32, kernel: 1, side: 9 },
  'Winograd’s way': { cin: 8, cout: 4, kernel: 3, side: 12 },
  'odd channels': { cin: 3, cout: 5, kernel: 3, side: 7 },
  'a depthwise convolution': { cin: 8, cout: 8, groups: 8, kernel: 3, side: 40 },
})) {
  test(`gradients of ${name} and its bias are written into their places, to the bit`, async () => {
    const before = gpu.memory().bytes;
    using x = draw([2, side, side + 1, cin]);
    const [weight, bias] = [draw([kernel, kernel, cin / groups, cout]), draw([cout])];
    using factor = draw([2, side, side + 1, cout]);
    const loss = () => sum(multiply(conv2d(x, weight, { bias, groups, padding: (kernel - 1) / 2 }), factor));
    assert.deepEqual(await bothWays([weight, bias], loss), [true, true]);
    x.dispose();
    factor.dispose();
    assert.equal(gpu.memory().bytes, before);
  });
}

test('gradients of batch norms, and of tensors that are joined, are written into their places', async () => {
  using x = draw([3, 5, 6, 7]);
  const [left, right, beta, scale, shift] = [draw([3]), draw([4]), draw([7]), draw([7]), draw([7])];
  using factor = draw([3, 5, 6, 7]);
  using runningMean = Tensor.zeros(device, [7]);
  using runningVar = Tensor.zeros(device, [7]);
  const loss = () => {
    const gamma = concat([left, right], 0);
    const running = { runningMean, runningVar, training: true };
    const normed = batchNorm(multiply(x, factor), { gamma: scale, beta: shift, ...running });
    return sum(multiply(batchNorm(normed, { gamma, beta, ...running, slope: 0.1 }), factor));
  };
  assert.deepEqual(await bothWays([left, right, beta, scale, shift], loss), [true, true, true, true, true]);
});

test('several gradients of one tensor add up in memory of the tape', async () => {
  using x = draw([1, 4, 5, 4]);
  const [weight, both] = [draw([1, 1, 4, 4]), draw([4])];
  using runningMean = Tensor.zeros(device, [4]);
  using runningVar = Tensor.zeros(device, [4]);
  using factor = draw([1, 4, 5, 4]);
  const loss = () => {
    const twice = conv2d(conv2d(x, weight), weight, { bias: both });
    const normed = batchNorm(twice, { gamma: both, beta: both, runningMean, runningVar, training: true });
    return sum(multiply(normed, factor));
  };
  using tape = new Tape(device);
  for (const tensor of [weight, both]) tape.watch(tensor);
  const gradients = (places?: Map<number, Tensor>) => {
    using value = tape.record(() => scope(loss));
    tape.backward(value, places);
    return Promise.all([weight, both].map((tensor) => tape.gradient(tensor)!.read()));
  };
  const expected = await gradients();
  using place = Tensor.zeros(device, [1, 1, 4, 4]);
  using other = Tensor.zeros(device, [4]);
  assert.deepEqual(
    await gradients(
      new Map([
        [weight.id, place],
        [both.id, other],
      ]),
    ),
    expected,
  );
  weight.dispose();
  both.dispose();
});

test.run();
