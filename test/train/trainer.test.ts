import assert from 'node:assert/strict';
import { test } from 'uvu';
import { Gpu } from '../../src/gpu/gpu.js';
import { RetinaFace } from '../../src/retinaface/retinaface.js';
import { type Configuration, type ConfigurationName, configurations, narrowed } from '../../src/retinaface/config.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { encodeCheckpoint, restoreCheckpoint } from '../../src/train/checkpoint.js';
import { freeBatch, type Losses, Trainer, type TrainingBatch } from '../../src/train/trainer.js';
import { readWeights } from '../../src/weights/read.js';
import { testDevice as device } from '../helpers/device.js';
import { formulaTensor } from '../helpers/formula.js';

const gpu = Gpu.of(device);

/**
 * Two pictures of noise, two faces on the first and one, without landmarks, on the second; or the one of them that is named.
 */
function batchOf(height: number, width: number, seed: number, only?: 0 | 1): TrainingBatch {
  const x = formulaTensor(`pictures ${seed}`, [2, height, width, 4]).map((v, i) => (i % 4 === 3 ? 0 : v * 100));
  const boxes = Float32Array.of(8, 8, 30, 36, 32, 20, 56, 44, 10, 12, 40, 44, 0, 0, 0, 0);
  const landmarks = formulaTensor('points', [2, 2, 10]).map((v) => 24 + 8 * v);
  const [from, to] = only === undefined ? [0, 2] : [only, only + 1];
  const tensor = (values: Float32Array, shape: readonly number[]): Tensor<'f32'> => {
    const each = values.length / 2;
    return Tensor.from(device, values.slice(from * each, to * each), [to - from, ...shape]);
  };
  return {
    x: tensor(x, [height, width, 4]),
    targets: {
      boxes: tensor(boxes, [2, 4]),
      landmarks: tensor(landmarks, [2, 10]),
      annotated: tensor(Float32Array.of(1, 1, 0, 0), [2]),
      counts: Tensor.from(device, Uint32Array.of(2, 1).slice(from, to), [to - from]),
    },
  };
}

function start(name: ConfigurationName): { model: RetinaFace; trainer: Trainer } {
  const model = new RetinaFace(device, name);
  model.initialise(7);
  return { model, trainer: new Trainer(model.network) };
}

const sameState = async (a: RetinaFace, b: RetinaFace) => {
  const other = await b.state();
  for (const [name, { data }] of await a.state()) assert.deepEqual(data, other.get(name)!.data, name);
};

async function steps(trainer: Trainer, from: number, to: number): Promise<number[]> {
  const totals: number[] = [];
  for (let step = from; step < to; step++) {
    const batch = batchOf(64, 80, step % 3);
    const losses = trainer.accumulate(batch);
    freeBatch(batch);
    trainer.step(1e-3);
    totals.push((await trainer.read(losses)).total);
  }
  return totals;
}

test('twenty steps give the same bits in one go, and resumed from a checkpoint', async () => {
  const { model, trainer } = start('published-mobilenet0.25');
  const again = start('published-mobilenet0.25');
  await steps(trainer, 0, 20);
  await steps(again.trainer, 0, 12);
  const position = { step: 12, epoch: 1, stepInEpoch: 2, run: 'a test' };
  const bytes = await encodeCheckpoint(again.trainer, position);
  again.trainer.dispose();
  again.model.dispose();

  const resumed = start('published-mobilenet0.25');
  assert.deepEqual(restoreCheckpoint(resumed.trainer, bytes, 'last.safetensors'), position);
  await steps(resumed.trainer, 12, 20);
  await sameState(model, resumed.model);
  for (const each of [trainer, resumed.trainer, model, resumed.model]) each.dispose();
});

test('a training keeps the ways that it began with, whatever was measured since', async () => {
  const { model, trainer } = start('published-mobilenet0.25');
  const { gpu } = model;
  const ways = new Map([['conv2d forward 1×1 /1×1 *1×1 8→16 2^9', 'plain']]);
  gpu.choices = ways;
  const bytes = await encodeCheckpoint(trainer, { step: 0, epoch: 0, stepInEpoch: 0, run: '' });
  gpu.choices = new Map([['another', 'plain']]);
  restoreCheckpoint(trainer, bytes, 'last.safetensors');
  assert.deepEqual(gpu.choices, ways);
  gpu.choices = new Map();
  const plain = await encodeCheckpoint(trainer, { step: 0, epoch: 0, stepInEpoch: 0, run: '' });
  gpu.choices = ways;
  restoreCheckpoint(trainer, plain, 'last.safetensors');
  assert.equal(gpu.choices.size, 0);
  trainer.dispose();
  model.dispose();
});

test('a checkpoint is a weights file, too', async () => {
  const { model, trainer } = start('published-mobilenet0.25');
  await steps(trainer, 0, 1);
  const bytes = await encodeCheckpoint(trainer, { step: 1, epoch: 0, stepInEpoch: 1, run: '' });
  trainer.dispose();
  const loaded = new RetinaFace(device);
  loaded.loadState(await readWeights(bytes, 'last.safetensors'), 'last.safetensors');
  await sameState(model, loaded);
  model.dispose();
  loaded.dispose();
});

test('weights alone are no checkpoint', async () => {
  const { model, trainer } = start('published-mobilenet0.25');
  const { writeSafetensors } = await import('../../src/weights/safetensors.js');
  const bytes = writeSafetensors(await model.state());
  assert.throws(() => restoreCheckpoint(trainer, bytes, 'best.safetensors'), /weights alone/);
  trainer.dispose();
  model.dispose();
});

test('steps leave no memory behind', async () => {
  const { model, trainer } = start('published-mobilenet0.25');
  await steps(trainer, 0, 2);
  const before = gpu.memory().bytes;
  await steps(trainer, 2, 52);
  assert.equal(gpu.memory().bytes, before);
  trainer.dispose();
  model.dispose();
});

const norm = (values: Float32Array): number => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));

const small: Configuration = narrowed(configurations.full, 1 / 16);

for (const [name, configuration] of [
  ['published-mobilenet0.25', configurations['published-mobilenet0.25']],
  ['full, a sixteenth as wide', small],
] as const) {
  test(`${name}: pictures in two parts give losses and gradients of both at once, but for batch norm: frozen, the same`, async () => {
    // The first has two faces with landmarks, the second one without: a mean of both parts' own losses would be another.
    const outcomes: { readonly losses: Losses; readonly gradients: readonly Float32Array[] }[] = [];
    for (const parts of [[batchOf(64, 64, 1)], [batchOf(64, 64, 1, 0), batchOf(64, 64, 1, 1)]]) {
      const model = new RetinaFace(device, configuration);
      model.initialise(3);
      const trainer = new Trainer(model.network, { frozenStatistics: true });
      const losses = await trainer.read(trainer.accumulate(parts));
      trainer.step(0);
      const gradients = await Promise.all(trainer.optimiser.buckets.map((bucket) => bucket.read()));
      outcomes.push({ losses, gradients });
      parts.forEach(freeBatch);
      trainer.dispose();
      model.dispose();
    }
    const [whole, halves] = outcomes as [(typeof outcomes)[number], (typeof outcomes)[number]];
    for (const part of Object.keys(whole.losses) as (keyof Losses)[]) {
      const [value, other] = [whole.losses[part], halves.losses[part]];
      assert.ok(Math.abs(other - value) <= 1e-5 * Math.abs(value), `${part}: ${value} and ${other}`);
    }
    // Sums of single precision in another order.
    for (const [bucket, gradient] of whole.gradients.entries()) {
      const error = norm(gradient.map((value, i) => value - halves.gradients[bucket]![i]!));
      assert.ok(error <= 1e-5 * norm(gradient), `bucket ${bucket}: ${error} of ${norm(gradient)}`);
    }
  });
}

test('parts are counted with the running statistics as they were', async () => {
  const run = async (
    accumulate: (trainer: Trainer, parts: readonly TrainingBatch[]) => Tensor,
  ): Promise<RetinaFace> => {
    const model = new RetinaFace(device, small);
    model.initialise(3);
    using trainer = new Trainer(model.network);
    const parts = [batchOf(64, 64, 1), batchOf(64, 64, 2)];
    await trainer.read(accumulate(trainer, parts));
    parts.forEach(freeBatch);
    return model;
  };
  using together = await run((trainer, parts) => trainer.accumulate(parts));
  using apart = await run((trainer, [a, b]) => {
    trainer.accumulate(a!).dispose();
    return trainer.accumulate(b!);
  });
  const other = await apart.state();
  const statistics = [...(await together.state())].filter(([name]) => name.includes('.running_'));
  assert.ok(statistics.length > 100);
  for (const [name, { data }] of statistics) assert.deepEqual(data, other.get(name)!.data, name);
});

test('frozen parameters stay as they are, and cost no gradient', async () => {
  const model = new RetinaFace(device, 'published-mobilenet0.25');
  model.initialise(3);
  model.network.parameters.freeze(['body']);
  const before = await model.state();
  const trainer = new Trainer(model.network);
  await steps(trainer, 0, 2);
  const after = await model.state();
  assert.deepEqual(after.get('body.stage1.0.0.weight')!.data, before.get('body.stage1.0.0.weight')!.data);
  assert.notDeepEqual(after.get('fpn.output1.0.weight')!.data, before.get('fpn.output1.0.weight')!.data);
  assert.equal(trainer.gradient(model.network.parameters.get('body.stage1.0.0.weight')!.tensor), undefined);
  trainer.dispose();
  model.dispose();
});

test('a network in training refuses to detect, and detects again afterwards', async () => {
  const { model, trainer } = start('published-mobilenet0.25');
  const picture = { width: 32, height: 32, data: new Uint8ClampedArray(32 * 32 * 4) };
  await assert.rejects(model.detect(picture), /train\(false\)/);
  trainer.dispose();
  assert.ok(Array.isArray(await model.detect(picture)));
  model.dispose();
});

test.run();
