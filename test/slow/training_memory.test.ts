// The report's best network at its own size, in an eighth of its width: what a dry run says of its memory holds for a training in
// which crowds come.
import assert from 'node:assert/strict';
import { test } from 'uvu';
import { drawAugmentation } from '../../src/data/augment.js';
import { plannedBatch } from '../../src/data/batch.js';
import { randomOf } from '../../src/data/random.js';
import { syntheticScene } from '../../src/data/synthetic.js';
import { RetinaFace } from '../../src/node/retinaface.js';
import { configurations, narrowed } from '../../src/retinaface/config.js';
import { freeBatch, Trainer } from '../../src/train/trainer.js';
import { testDevice as device } from '../helpers/device.js';

const SIZE = 640;

test('steps with more faces than a dry run saw take 5% more memory of the device than that at most', async () => {
  using model = new RetinaFace(device, narrowed(configurations.context, 0.125));
  model.initialise(1);
  using trainer = new Trainer(model.network);
  const { gpu } = model;
  const crowd = Array.from({ length: 40 }, (_, k) => ({ box: [15 * k, 20, 15 * k + 30, 60] as const }));
  const step = async (index: number, crowded: boolean): Promise<number> => {
    const pictures = [0, 1].map((image) => {
      const { picture, faces: drawn } = syntheticScene(1, 2 * index + image, { size: 800 });
      const faces = crowded ? crowd : drawn;
      return { picture, faces, plan: drawAugmentation(randomOf(1, index, image), picture, faces) };
    });
    const batch = plannedBatch(gpu, pictures, { size: SIZE, ...model.network.configuration.input });
    const losses = trainer.accumulate(batch);
    trainer.step(0.0001);
    await trainer.read(losses);
    freeBatch(batch);
    return gpu.memory().peakDeviceBytes;
  };
  let rehearsed = 0;
  for (let i = 0; i < 3; i++) rehearsed = await step(0, false);
  let real = 0;
  for (let i = 1; i < 5; i++) real = await step(i, i > 1);
  assert.ok(real <= 1.05 * rehearsed, `${rehearsed} bytes, then ${real}`);
  // Below this, buffers of all shapes may stay side by side, and nothing would be shown.
  assert.ok(rehearsed > 2 ** 28, `${rehearsed} bytes`);
});

test.run();
