import assert from 'node:assert/strict';
import { test } from 'uvu';
import { ArgumentError, WeightsError } from '../../src/gpu/errors.js';
import { Gpu } from '../../src/gpu/gpu.js';
import { relu } from '../../src/ops/relu.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { Sgd, type SgdOptions } from '../../src/train/sgd.js';
import { array64, map, zeros, type Array64 } from '../reference/array64.js';
import { gradientNorm, sgd, type SgdState } from '../reference/sgd.js';
import { assertClose, values } from '../helpers/check_op.js';
import { testDevice } from '../helpers/device.js';

const gpu = Gpu.of(testDevice);
const EPS32 = 2 ** -24;
/** A dozen roundings a step of numbers of a few units, over a handful of steps. */
const TOLERANCE = 64 * EPS32;
/** A tree over 5,000 squares is 16 deep. */
const NORM_TOLERANCE = 16 * EPS32;

const SHAPES = [[3, 3, 4, 5], [7], [], [1, 1, 6, 2], [65], [70, 70]];
const MULTIPLIERS = [
  [1, 1],
  [0.1, 0],
  [1, 1],
  [1, 0.5],
  [2, 1],
  [1, 1],
] as const;
const RATE = 0.1;

/** Parameters on the device and their twins, with the gradients of every step. */
function start(shapes: readonly (readonly number[])[] = SHAPES) {
  const twins: SgdState[] = shapes.map((shape, i) => ({
    value: values(`value${i}`, shape),
    moment: zeros(shape),
    rateMultiplier: MULTIPLIERS[i]![0],
    decayMultiplier: MULTIPLIERS[i]![1],
  }));
  const parameters = twins.map(({ value, rateMultiplier, decayMultiplier }, i) => ({
    name: `p${i}`,
    value: Tensor.from(gpu, Float32Array.from(value.data), value.shape, `p${i}`),
    rateMultiplier: rateMultiplier!,
    decayMultiplier: decayMultiplier!,
  }));
  const gradients = (step: number | string) => shapes.map((shape, i) => values(`gradient${i}.${step}`, shape));
  return { twins, parameters, gradients };
}

const upload = (array: Array64) => Tensor.from(gpu, Float32Array.from(array.data), array.shape);

/** Accumulates gradients by the order of the parameters, and frees them. */
function accumulate(optimiser: Sgd, gradients: readonly (Array64 | undefined)[], scale?: number): void {
  const tensors = gradients.map((gradient) => gradient && upload(gradient));
  optimiser.accumulate(({ name }) => tensors[Number(name.slice(1))], scale);
  for (const tensor of tensors) tensor?.dispose();
}

const readAll = (parameters: readonly { value: Tensor<'f32'> }[]) =>
  Promise.all(parameters.map(({ value }) => value.read()));

const freeAll = (...held: readonly { dispose(): void }[]) => {
  for (const one of held) one.dispose();
};

const RUNS: Readonly<Record<string, SgdOptions & { readonly without?: readonly (readonly number[])[] }>> = {
  'without momentum and decay': { momentum: 0, weightDecay: 0 },
  'with momentum and decay': { momentum: 0.9, weightDecay: 0.05 },
  'clipped, in several buckets': { momentum: 0.9, weightDecay: 0.05, clipNorm: 8, bucketBytes: 1024 },
  'under the limit of clipping': { clipNorm: 1000 },
  'with gradients missing in some steps': { weightDecay: 0.05, without: [[0, 5], [0, 2], [], [1]] },
};

for (const [label, { without, ...options }] of Object.entries(RUNS)) {
  test(`steps ${label} are those of the twin, at a rate that changes from step to step`, async () => {
    const before = gpu.memory().bytes;
    const { twins, parameters, gradients } = start();
    const optimiser = new Sgd(gpu, parameters, options);
    let expected = twins;
    for (const [step, learningRate] of [0.1, 0.4, 0.01, 0.2].entries()) {
      const present = gradients(step).map((g, i) => (without?.[step]?.includes(i) ? undefined : g));
      accumulate(optimiser, present);
      optimiser.step(learningRate);
      const { momentum = 0.9, weightDecay = 5e-4, clipNorm } = options;
      expected = sgd(expected, present, {
        learningRate,
        momentum,
        weightDecay,
        ...(clipNorm === undefined ? {} : { clipNorm }),
      });
      const norm = array64([], [gradientNorm(present)]);
      assertClose(await optimiser.gradientNorm().read(), norm, NORM_TOLERANCE, `norm of step ${step}`);
      for (const [i, actual] of (await readAll(parameters)).entries()) {
        assertClose(actual, expected[i]!.value, TOLERANCE, `p${i} after step ${step}`);
      }
    }
    const state = await optimiser.state();
    for (const [i, { moment }] of expected.entries()) {
      assertClose(state.get(`p${i}`)!.data, moment, TOLERANCE, `momentum of p${i}`);
    }
    freeAll(optimiser, ...parameters.map(({ value }) => value));
    assert.equal(gpu.memory().bytes, before, 'all memory is given back');
  });
}

test('a step takes the rate that it is given: zero moves nothing, the next one all that is due', async () => {
  const { parameters, gradients } = start([[3]]);
  const optimiser = new Sgd(gpu, parameters, { momentum: 0, weightDecay: 0 });
  const [first] = await readAll(parameters);
  accumulate(optimiser, gradients(0));
  optimiser.step(0);
  assert.deepEqual((await readAll(parameters))[0], first);
  // Both steps are encoded before either runs.
  accumulate(optimiser, gradients(0));
  optimiser.step(0.5);
  accumulate(optimiser, gradients(0));
  optimiser.step(2);
  const expected = map(array64([3], first!), (value, i) => value - 2.5 * gradients(0)[0]!.data[i]!);
  assertClose((await readAll(parameters))[0]!, expected, TOLERANCE, 'after rates 0, 0.5 and 2');
  freeAll(optimiser, ...parameters.map(({ value }) => value));
});

test('k parts scaled by 1/k make the step of their mean', async () => {
  const { twins, parameters, gradients } = start();
  const optimiser = new Sgd(gpu, parameters, { weightDecay: 0.05, clipNorm: 5 });
  const parts = ['a', 'b', 'c'].map(gradients);
  for (const part of parts) accumulate(optimiser, part, 1 / 3);
  optimiser.step(RATE);
  const mean = SHAPES.map((shape, i) =>
    map(zeros(shape), (_, k) => parts.reduce((total, part) => total + part[i]!.data[k]! / 3, 0)),
  );
  const options = { learningRate: RATE, momentum: 0.9, weightDecay: 0.05, clipNorm: 5 };
  const expected = sgd(twins, mean, options);
  for (const [i, actual] of (await readAll(parameters)).entries()) {
    assertClose(actual, expected[i]!.value, TOLERANCE, `p${i}`);
  }
  freeAll(optimiser, ...parameters.map(({ value }) => value));
});

for (const bad of [NaN, Infinity, 1e30]) {
  test(`a step whose gradient holds ${bad} changes nothing, and its norm tells`, async () => {
    const { parameters, gradients } = start();
    const optimiser = new Sgd(gpu, parameters, { clipNorm: 1 });
    accumulate(optimiser, gradients(0));
    optimiser.step(0.1);
    const [before, moments] = [await readAll(parameters), await optimiser.state()];
    accumulate(
      optimiser,
      gradients(1).map((g, i) => (i === 4 ? map(g, (value, k) => (k === 64 ? bad : value)) : g)),
    );
    optimiser.step(0.1);
    const [norm] = await optimiser.gradientNorm().read();
    assert.ok(!Number.isFinite(norm));
    assert.deepEqual(await readAll(parameters), before);
    assert.deepEqual(await optimiser.state(), moments);
    freeAll(optimiser, ...parameters.map(({ value }) => value));
  });
}

test('what is written into the buckets between the gradients and the step is what norm and update take', async () => {
  const { twins, parameters, gradients } = start();
  const optimiser = new Sgd(gpu, parameters, {
    momentum: 0,
    weightDecay: 0,
    bucketBytes: 1024,
  });
  accumulate(optimiser, gradients(0));
  const { buckets } = optimiser;
  assert.deepEqual(
    buckets.map(({ size }) => size),
    [256, 256, 4928],
  );
  for (const bucket of buckets) bucket.write(new Float32Array(bucket.size).fill(1.5));
  optimiser.step(0.1);
  const norm = array64([], [1.5 * Math.sqrt(256 + 256 + 4928)]);
  assertClose(await optimiser.gradientNorm().read(), norm, NORM_TOLERANCE, 'norm');
  for (const [i, actual] of (await readAll(parameters)).entries()) {
    const { value, rateMultiplier } = twins[i]!;
    assertClose(
      actual,
      map(value, (x) => x - 0.1 * rateMultiplier! * 1.5),
      TOLERANCE,
      `p${i}`,
    );
  }
  freeAll(optimiser, ...parameters.map(({ value }) => value));
});

test('a step reads nothing, and dispatches one update for all parameters', async () => {
  const { parameters, gradients } = start();
  const optimiser = new Sgd(gpu, parameters, { clipNorm: 1 });
  accumulate(optimiser, gradients(0));
  optimiser.step(0.1);
  accumulate(optimiser, gradients(1));
  const before = gpu.counters();
  optimiser.step(0.1);
  const now = gpu.counters();
  assert.equal(now.reads, before.reads);
  assert.equal(now.submissions, before.submissions);
  // Squares, their sum, norm, update.
  assert.equal(now.dispatches - before.dispatches, 4);
  await gpu.finish();
  freeAll(optimiser, ...parameters.map(({ value }) => value));
});

test('a run that is stopped, stored and loaded goes on bit for bit', async () => {
  const whole = start();
  const through = new Sgd(gpu, whole.parameters);
  for (const step of [0, 1, 2]) {
    accumulate(through, whole.gradients(step));
    through.step(0.1);
  }
  const once = await readAll(whole.parameters);

  const first = start();
  const stopped = new Sgd(gpu, first.parameters);
  accumulate(stopped, first.gradients(0));
  stopped.step(0.1);
  const state = await stopped.state();
  const kept = await readAll(first.parameters);
  stopped.dispose();
  const second = start();
  // In other buckets, and the values written after they moved there.
  const resumed = new Sgd(gpu, second.parameters, { bucketBytes: 512 });
  for (const [i, { value }] of second.parameters.entries()) value.write(kept[i]!);
  resumed.load(state);
  for (const step of [1, 2]) {
    accumulate(resumed, second.gradients(step));
    resumed.step(0.1);
  }
  assert.deepEqual(await readAll(second.parameters), once);
  freeAll(through, resumed, ...[whole, first, second].flatMap(({ parameters }) => parameters.map((p) => p.value)));
});

test('parameters outlive their optimiser, and may get another', async () => {
  const { parameters, gradients } = start([[3], [70]]);
  const optimiser = new Sgd(gpu, parameters);
  accumulate(optimiser, gradients(0));
  optimiser.step(0.1);
  const before = await readAll(parameters);
  optimiser.dispose();
  assert.deepEqual(await readAll(parameters), before);
  const next = new Sgd(gpu, parameters);
  assert.deepEqual(await readAll(parameters), before);
  using y = relu(parameters[1]!.value);
  assert.deepEqual(
    await y.read(),
    before[1]!.map((value) => (value > 0 ? value : 0)),
  );
  freeAll(next, ...parameters.map(({ value }) => value));
});

test('a rehearsal counts gradients, momentum and values, and moves no parameter', async () => {
  const { parameters, gradients } = start([[1000]]);
  const { peakBytes } = gpu.rehearse(() => {
    using optimiser = new Sgd(gpu, parameters);
    accumulate(optimiser, gradients(0));
    optimiser.step(0.1);
  });
  assert.ok(peakBytes >= 4 * 4000, String(peakBytes));
  const [actual] = await readAll(parameters);
  assert.deepEqual(actual, Float32Array.from(values('value0', [1000]).data));
  parameters[0]!.value.dispose();
});

test('a state of other parameters is refused before anything changes', async () => {
  const { parameters } = start([[3], [4]]);
  using optimiser = new Sgd(gpu, parameters);
  const state = await optimiser.state();
  const wrong = [
    new Map([...state].slice(1)),
    new Map([...state, ['p9', { shape: [1], data: Float32Array.of(1) }]]),
    new Map([...state, ['p0', { shape: [1, 3], data: new Float32Array(3) }]]),
  ];
  for (const bad of wrong) {
    assert.throws(() => {
      optimiser.load(bad);
    }, WeightsError);
  }
  for (const { value } of parameters) value.dispose();
});

test('settings out of their range, a parameter given twice and a step without gradients are refused', () => {
  const { parameters } = start([[3], [4]]);
  const before = gpu.memory().bytes;
  const [first, second] = parameters as [(typeof parameters)[0], (typeof parameters)[0]];
  const attempts = [
    () => new Sgd(gpu, parameters, { momentum: 1 }),
    () => new Sgd(gpu, parameters, { weightDecay: -1 }),
    () => new Sgd(gpu, parameters, { clipNorm: 0 }),
    () => new Sgd(gpu, [{ ...first, rateMultiplier: NaN }]),
    () => new Sgd(gpu, [{ ...first, decayMultiplier: -1 }]),
    () => new Sgd(gpu, [first, { ...second, name: 'p0' }]),
    () => new Sgd(gpu, [first, { ...first, name: 'other' }]),
  ];
  for (const attempt of attempts) assert.throws(attempt, ArgumentError);
  assert.equal(gpu.memory().bytes, before);
  using optimiser = new Sgd(gpu, parameters);
  const step = (rate: number) => () => {
    optimiser.step(rate);
  };
  assert.throws(step(0.1), /accumulate/);
  optimiser.accumulate(() => undefined);
  assert.throws(step(-0.1), ArgumentError);
  assert.throws(step(NaN), ArgumentError);
  for (const { value } of parameters) value.dispose();
});

test.run();
