// Sixteen drawn pictures are learnt by heart, from drawn weights to what `detect` finds: matching, losses, gradients,
// optimiser, running statistics and inference, all at once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { constant, cosine, type Schedule, warmUp } from '../../src/train/schedule.js';
import { compareHeads, type Course, drawLesson, memorise } from './memorise.js';

const PICTURES = 16;
const SIZE = 64;
const GOAL = 0.99;

/**
 * Drawn ResNets start with gradients of a norm in the thousands, from convolutions before batch norms; clipping carries them
 * over the first twenty steps.
 */
const RATE = 0.04;
const RESNET: Course = { most: 140, every: 10, schedule: warmUp(constant(RATE), 5), clipNorm: 5 };

/** The rate of the others for so many steps, then half a cosine down to 0: a constant one leaves a cascade unsettled. */
function held(steps: number): Schedule {
  const fall = cosine(RATE);
  const rate: Schedule['rate'] = ({ step, epoch, totalSteps }) =>
    fall.rate({ step: Math.max(0, step - steps), epoch, totalSteps: totalSteps - steps });
  return { text: `${fall.text} after ${steps} steps`, rate };
}

const CASCADE: Course = { most: 200, every: 20, schedule: warmUp(held(60), 4), clipNorm: 5 };

const lesson = await drawLesson(PICTURES, SIZE);

test('published-mobilenet0.25 learns sixteen pictures by heart', async () => {
  const course = { most: 150, every: 15, schedule: warmUp(constant(0.01), 5), clipNorm: 20 };
  const { model, precision, steps } = await memorise('published-mobilenet0.25', lesson, GOAL, course);
  assert.ok(precision >= GOAL, `average precision ${precision} after ${steps} steps`);
  model.dispose();
});

test('baseline learns sixteen pictures by heart', async () => {
  const { model, precision, steps } = await memorise('baseline', lesson, GOAL, RESNET);
  assert.ok(precision >= GOAL, `average precision ${precision} after ${steps} steps`);
  model.dispose();
});

test("full learns sixteen pictures by heart, and the cascade's second heads do no worse than its first", async (t) => {
  const { model, precision, steps } = await memorise('full', lesson, GOAL, CASCADE);
  assert.ok(precision >= GOAL, `average precision ${precision} after ${steps} steps`);
  const [first, second] = await compareHeads(model.network, lesson);
  const figures = `after ${steps} steps: first heads ${JSON.stringify(first)}, second heads ${JSON.stringify(second)}`;
  t.diagnostic(figures);
  assert.ok(second.precision >= first.precision, figures);
  model.dispose();
});
