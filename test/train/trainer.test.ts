import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Gpu } from '../../src/gpu/gpu.js';
import { RetinaFace } from '../../src/retinaface/retinaface.js';
import type { ConfigurationName } from '../../src/retinaface/config.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { encodeCheckpoint, restoreCheckpoint } from '../../src/train/checkpoint.js';
import { freeBatch, Trainer, type TrainingBatch } from '../../src/train/trainer.js';
import { readWeights } from '../../src/weights/read.js';
import { testDevice as device } from '../helpers/device.js';
import { formulaTensor } from '../helpers/formula.js';

const gpu = Gpu.of(device);

/** Two pictures of noise, two faces on the first and one, without landmarks, on the second. */
function batchOf(height: number, width: number, seed: number): TrainingBatch {
  const x = formulaTensor(`pictures ${seed}`, [2, height, width, 4]).map((v, i) => (i % 4 === 3 ? 0 : v * 100));
  const boxes = [8, 8, 30, 36, 32, 20, 56, 44, 10, 12, 40, 44, 0, 0, 0, 0];
  return {
    x: Tensor.from(device, x, [2, height, width, 4]),
    targets: {
      boxes: Tensor.from(device, boxes, [2, 2, 4]),
      landmarks: Tensor.from(
        device,
        formulaTensor('points', [2, 2, 10]).map((v) => 24 + 8 * v),
        [2, 2, 10],
      ),
      annotated: Tensor.from(device, [1, 1, 0, 0], [2, 2]),
      counts: Tensor.from(device, Uint32Array.of(2, 1), [2]),
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

test('two parts of half the pictures give the gradient of the whole, but for batch norm: frozen, it is the same', async () => {
  const models = [1, 2].map(() => {
    const model = new RetinaFace(device, 'published-mobilenet0.25');
    model.initialise(3);
    return { model, trainer: new Trainer(model.network, { frozenStatistics: true }) };
  });
  const batch = batchOf(64, 64, 1);
  const whole = models[0]!;
  const halves = models[1]!;
  whole.trainer.accumulate(batch).dispose();
  whole.trainer.step(1e-3);
  // The same batch twice: the mean of two equal gradients is one of them, in every bit.
  halves.trainer.accumulate(batch, 0.5).dispose();
  halves.trainer.accumulate(batch, 0.5).dispose();
  halves.trainer.step(1e-3);
  await sameState(whole.model, halves.model);
  freeBatch(batch);
  for (const { model, trainer } of models) {
    trainer.dispose();
    model.dispose();
  }
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
