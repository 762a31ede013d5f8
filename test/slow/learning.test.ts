// Every configuration learns: the loss of a batch falls over a few steps.
import assert from 'node:assert/strict';
import { test } from 'uvu';
import { type ConfigurationName, configurations } from '../../src/retinaface/config.js';
import { RetinaFace } from '../../src/retinaface/retinaface.js';
import { freeBatch, Trainer } from '../../src/train/trainer.js';
import { testDevice as device } from '../helpers/device.js';
import { batchOf, drawLesson } from './memorise.js';

/**
 * More than 64, so that the coarsest map has more cells than one: a batch norm over a value or two has no gradient that
 * leads anywhere.
 */
const SIZE = 72;
const STEPS = 12;

const lesson = await drawLesson(8, SIZE);

for (const name of Object.keys(configurations) as ConfigurationName[]) {
  test(`the loss of ${name} falls`, async () => {
    const model = new RetinaFace(device, name);
    model.initialise(1);
    const trainer = new Trainer(model.network, { clipNorm: 20 });
    const batch = batchOf(lesson, model.network.configuration);
    const totals: number[] = [];
    for (let step = 0; step < STEPS; step++) {
      const losses = trainer.accumulate(batch);
      trainer.step(0.02);
      totals.push((await trainer.read(losses)).total);
    }
    freeBatch(batch);
    trainer.dispose();
    model.dispose();
    assert.ok(totals.at(-1)! < 0.9 * totals[0]!, totals.join(', '));
  });
}

test.run();
