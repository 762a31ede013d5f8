// The loop around the steps: what it reads, what it saves, and how it ends where a loss is no number.
import assert from 'node:assert/strict';
import { test } from 'uvu';
import { faceTargets } from '../../src/data/batch.js';
import { Gpu } from '../../src/gpu/gpu.js';
import { RetinaFace } from '../../src/retinaface/retinaface.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { encodeCheckpoint, type Position, restoreCheckpoint } from '../../src/train/checkpoint.js';
import { runTraining, type RunHost, type StepRecord } from '../../src/train/run.js';
import { constant } from '../../src/train/schedule.js';
import { freeBatch, Trainer, type TrainerOptions, type TrainingBatch } from '../../src/train/trainer.js';
import { testDevice as device } from '../helpers/device.js';
import { formulaTensor } from '../helpers/formula.js';

const gpu = Gpu.of(device);
const START: Position = { step: 0, epoch: 0, stepInEpoch: 0, run: 'a test' };
const STEPS = 5;

function batchOf(step: number, poison = NaN): TrainingBatch {
  const values = formulaTensor(`pictures ${step}`, [2, 64, 64, 4]).map((v, i) => (i % 4 === 3 ? 0 : v * 100));
  if (!Number.isNaN(poison)) values[4 * 64 * 20] = poison;
  const faces = [[{ box: [8, 8, 30, 36] as const }], [{ box: [10, 12, 40, 44] as const }]];
  return { x: Tensor.from(device, values, [2, 64, 64, 4]), targets: faceTargets(device, faces) };
}

function start(options: TrainerOptions = {}) {
  const model = new RetinaFace(device, 'published-mobilenet0.25');
  model.initialise(7);
  return { model, trainer: new Trainer(model.network, options) };
}

/** A host of batches made by `batch`, and what it was told and given. */
function hostOf(batch: (step: number) => TrainingBatch) {
  const records: StepRecord[] = [];
  const saved: Uint8Array[] = [];
  const host: RunHost = {
    batches: (_, step) => Promise.resolve({ parts: [batch(step)], name: `pictures ${step}` }),
    onStep: (record) => {
      records.push(record);
    },
    save: (checkpoint) => {
      saved.push(checkpoint);
      return Promise.resolve();
    },
    evaluate: () => Promise.reject(new Error('nobody asked')),
    stopRequested: () => false,
    now: () => 0,
  };
  return { host, records, saved };
}

const planOf = (saveEvery: number) => ({
  epochs: 1,
  stepsPerEpoch: STEPS,
  schedule: constant(0.001),
  saveEvery,
  evaluateEvery: 0,
});

test('from the third step on, a step on a batch of the same shape makes no bind group', async () => {
  const { model, trainer } = start({ clipNorm: 1 });
  const made: number[] = [];
  for (let step = 0; step < 5; step++) {
    const batch = batchOf(step);
    const losses = trainer.accumulate(batch);
    trainer.step(0.001);
    await trainer.read(losses);
    freeBatch(batch);
    made.push(gpu.counters().bindGroups);
  }
  assert.ok(made[0]! > 0);
  assert.deepEqual(made.slice(2), [made[1], made[1], made[1]]);
  trainer.dispose();
  model.dispose();
});

test('a whole step reads nothing from the device; the logged losses and the norm are two reads', async () => {
  const { model, trainer } = start();
  const batch = batchOf(0);
  const before = gpu.counters();
  const losses = trainer.accumulate(batch);
  trainer.step(0.001);
  assert.equal(gpu.counters().reads, before.reads);
  await trainer.read(losses);
  freeBatch(batch);

  const run = hostOf(batchOf);
  const beforeRun = gpu.counters();
  let saving = 0;
  const save = run.host.save.bind(run.host);
  // A checkpoint reads all parameters: what it reads is not a step's.
  const host: RunHost = {
    ...run.host,
    save: (...given) => {
      saving++;
      return save(...given);
    },
    onStep: (record) => {
      run.host.onStep(record);
      assert.ok(gpu.counters().reads - beforeRun.reads <= 2 * (record.step + 1), 'one step is under way meanwhile');
    },
  };
  await runTraining(trainer, planOf(100), START, host);
  assert.equal(saving, 1);
  assert.equal(run.records.length, STEPS);
  trainer.dispose();
  model.dispose();
});

for (const poison of [Infinity, -Infinity]) {
  test(`a picture with ${poison} in it ends the run, is named, and leaves the last checkpoint as it was`, async () => {
    const { model, trainer } = start();
    const { host, records, saved } = hostOf((step) => batchOf(step, step === 3 ? poison : NaN));
    await assert.rejects(runTraining(trainer, planOf(1), START, host), {
      name: 'NumericError',
      message: /training step 4: .*pictures 3.*last checkpoint/s,
    });
    assert.deepEqual(
      records.map(({ step }) => step),
      [1, 2, 3],
    );
    trainer.dispose();
    model.dispose();

    // What was saved is what three steps without that picture give.
    const whole = start();
    for (let step = 0; step < 3; step++) {
      const batch = batchOf(step);
      whole.trainer.accumulate(batch).dispose();
      freeBatch(batch);
      whole.trainer.step(0.001);
    }
    const position = { step: 3, epoch: 0, stepInEpoch: 3, run: 'a test' };
    assert.deepEqual(saved.at(-1), await encodeCheckpoint(whole.trainer, position));
    whole.trainer.dispose();
    whole.model.dispose();
  });
}

const evaluated = { ...planOf(100), epochs: 2, stepsPerEpoch: 2, evaluateEvery: 1 };

/** A host that evaluates to scores, one after the other; `order` is what was asked of it. */
function scored(scores: readonly number[]) {
  const order: string[] = [];
  const { host, saved } = hostOf(batchOf);
  const save = host.save.bind(host);
  const left = [...scores];
  host.save = (checkpoint, which) => {
    order.push(which);
    return save(checkpoint, which);
  };
  host.evaluate = (epoch) => {
    order.push(`evaluate ${epoch}`);
    const score = left.shift();
    return score === undefined ? Promise.reject(new Error('no picture')) : Promise.resolve(score);
  };
  return { host, saved, order };
}

test('an epoch is saved before it is evaluated, and again after that', async () => {
  const { model, trainer } = start();
  const { host, order } = scored([0.5, 0.25]);
  const end = await runTraining(trainer, evaluated, START, host);
  assert.deepEqual(order, ['last', 'evaluate 0', 'best', 'last', 'last', 'evaluate 1', 'last']);
  assert.deepEqual(end, { ...START, step: 4, epoch: 2, best: { score: 0.5, epoch: 0 } });
  trainer.dispose();
  model.dispose();
});

test('where an evaluation fails no step is lost, and the run goes on with that evaluation, bit for bit', async () => {
  const whole = start();
  const expected = scored([0.5, 0.75]);
  await runTraining(whole.trainer, evaluated, START, expected.host);
  whole.trainer.dispose();
  whole.model.dispose();

  const broken = start();
  const failing = scored([]);
  await assert.rejects(runTraining(broken.trainer, evaluated, START, failing.host), /no picture/);
  assert.deepEqual(failing.order, ['last', 'evaluate 0']);
  broken.trainer.dispose();
  broken.model.dispose();

  const { model, trainer } = start();
  const { host, saved, order } = scored([0.5, 0.75]);
  const from = restoreCheckpoint(trainer, failing.saved.at(-1)!, 'last');
  assert.equal(from.step, 2);
  await runTraining(trainer, evaluated, from, host);
  assert.deepEqual(order, expected.order.slice(1));
  assert.deepEqual(saved.at(-1), expected.saved.at(-1));
  trainer.dispose();
  model.dispose();
});

test.run();
