// A training step whose commands are replayed gives the bits of one whose commands are encoded anew.
import assert from 'node:assert/strict';
import { test } from 'uvu';
import { faceTargets } from '../../src/data/batch.js';
import type { Face } from '../../src/data/sample.js';
import { Gpu } from '../../src/gpu/gpu.js';
import { RetinaFace } from '../../src/node/retinaface.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { freeBatch, Trainer, type TrainingBatch } from '../../src/train/trainer.js';
import { mix32 } from '../../src/tensor/random.js';
import { testDevice as device } from '../helpers/device.js';

const gpu = Gpu.of(device);

/** A batch of 64×96 with noise for pictures, and another number of faces each. */
function batchOf(step: number, images = 2): TrainingBatch {
  const data = Float32Array.from({ length: images * 64 * 96 * 4 }, (_, i) =>
    i % 4 === 3 ? 0 : mix32(i + 7919 * step) / 2 ** 31 - 1,
  );
  const faces: Face[][] = Array.from({ length: images }, (_, n) =>
    Array.from({ length: 1 + ((step + n) % 11) }, (_, f) => ({
      box: [4 * f, 3 * f, 4 * f + 20 + step, 3 * f + 24] as const,
      ...(f % 2 === 0 ? { landmarks: [5, 6, 15, 6, 10, 12, 6, 18, 14, 18].map((v) => v + 3 * f) } : {}),
    })),
  );
  return { x: Tensor.from(device, data, [images, 64, 96, 4]), targets: faceTargets(device, faces) };
}

interface Course {
  readonly replayed: boolean;
  readonly steps: number;
  readonly parts?: number;
  readonly freeze?: readonly string[];
  /** Leaves training for inference and comes back after this step. */
  readonly pauseAfter?: number;
}

/** Losses of every step and all parameters after the last. */
async function train({ replayed, steps, parts = 1, freeze = [], pauseAfter }: Course) {
  const model = new RetinaFace(device, 'published-mobilenet0.25');
  model.initialise(5);
  model.network.parameters.freeze(freeze);
  const trainer = new Trainer(model.network, { clipNorm: 1 });
  const losses: number[][] = [];
  for (let step = 0; step < steps; step++) {
    // Without plans: they are forgotten before each step.
    if (!replayed || step === pauseAfter) {
      model.network.train(false);
      trainer.resume();
    }
    // The last step is smaller.
    const batches = Array.from({ length: parts }, (_, part) =>
      batchOf(parts * step + part, step === steps - 1 ? 1 : 2),
    );
    const loss = trainer.accumulate(parts === 1 ? batches[0]! : batches);
    trainer.step(0.002 / (1 + step));
    const { class: classes, box, landmark, total } = await trainer.read(loss);
    losses.push([classes, box, landmark, total]);
    for (const batch of batches) freeBatch(batch);
  }
  const state = await model.state();
  trainer.dispose();
  model.dispose();
  return { losses, state: [...state].map(([name, { data }]) => [name, data] as const) };
}

for (const [name, course] of Object.entries({
  'twenty steps, with another number of faces each': { steps: 20 },
  'accumulated parts': { steps: 5, parts: 3 },
  'a frozen backbone': { steps: 6, freeze: ['body'] },
  'inference between the steps': { steps: 8, pauseAfter: 4 },
})) {
  test(`a replayed training has the bits of one that is encoded anew: ${name}`, async () => {
    assert.deepEqual(await train({ ...course, replayed: true }), await train({ ...course, replayed: false }));
  });
}

test('a replayed step makes no buffer and no bind group, whatever memory others use meanwhile', async () => {
  const model = new RetinaFace(device, 'published-mobilenet0.25');
  model.initialise(5);
  const trainer = new Trainer(model.network);
  const made: unknown[] = [];
  const held: Tensor[] = [];
  for (let step = 0; step < 6; step++) {
    const batch = batchOf(1);
    const losses = trainer.accumulate(batch);
    trainer.step(0.001);
    await trainer.read(losses);
    freeBatch(batch);
    const { buffers, bindGroups } = gpu.counters();
    made.push([buffers, bindGroups]);
    if (step === 3) {
      // Takes what the plan needs only while no other memory serves.
      for (let i = 0; i < 3; i++) held.push(Tensor.zeros(gpu, [2, 32, 48, 16]));
      for (const tensor of held) tensor.dispose();
    }
  }
  assert.deepEqual(made[2], made[1]);
  assert.deepEqual(made[3], made[1]);
  assert.deepEqual((made[5] as number[])[1], (made[1] as number[])[1]);
  trainer.dispose();
  model.dispose();
});

test('targets that do not fit are refused as they are, however many steps came before', async () => {
  const model = new RetinaFace(device, 'published-mobilenet0.25');
  model.initialise(5);
  const trainer = new Trainer(model.network);
  const batch = batchOf(1);
  const wrong = {
    x: batch.x,
    targets: { ...batch.targets, boxes: Tensor.from(device, new Float32Array(40), [2, 5, 4]) },
  };
  for (let step = 0; step < 3; step++) {
    assert.throws(() => trainer.accumulate(wrong), { name: 'ShapeError' });
    assert.throws(
      () => {
        trainer.step(0.001);
      },
      { name: 'ArgumentError' },
    );
    const losses = trainer.accumulate(batch);
    trainer.step(0.001);
    assert.ok(Number.isFinite((await trainer.read(losses)).total));
  }
  wrong.targets.boxes.dispose();
  freeBatch(batch);
  trainer.dispose();
  model.dispose();
});

test.run();
