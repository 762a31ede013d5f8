// What the first three steps of a training take on the device is what it takes: `train --dry-run` does those.
import assert from 'node:assert/strict';
import { test } from 'uvu';
import { faceTargets } from '../../src/data/batch.js';
import { RetinaFace } from '../../src/node/retinaface.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { freeBatch, Trainer } from '../../src/train/trainer.js';
import { testDevice as device } from '../helpers/device.js';

test('three steps take the memory of all that follow', async () => {
  using model = new RetinaFace(device, 'published-mobilenet0.25');
  model.initialise(5);
  using trainer = new Trainer(model.network);
  const step = async (faces: number): Promise<number> => {
    const box = [8, 8, 40, 40] as const;
    const each = Array.from({ length: faces }, () => ({ box }));
    const batch = { x: Tensor.zeros(device, [2, 128, 96, 4]), targets: faceTargets(device, [each, each]) };
    const losses = trainer.accumulate(batch);
    trainer.step(0.001);
    await trainer.read(losses);
    freeBatch(batch);
    return model.gpu.memory().peakDeviceBytes;
  };
  let rehearsed = 0;
  for (const faces of [1, 1, 1]) rehearsed = await step(faces);
  let real = 0;
  for (const faces of [2, 7, 1, 5]) real = await step(faces);
  assert.ok(real <= 1.05 * rehearsed, `${rehearsed} bytes, then ${real}`);
});

test.run();
