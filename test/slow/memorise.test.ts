// Sixteen drawn pictures are learnt by heart, from drawn weights to what `detect` finds: matching, losses, gradients,
// optimiser, running statistics and inference, all at once.
import assert from 'node:assert/strict';
import { test } from 'uvu';
import { configurations, narrowed } from '../../src/retinaface/config.js';
import { PUBLISHED_LOSS, REPORT_CASCADE_LOSS } from '../../src/retinaface/loss.js';
import { constant, cosine, type Schedule, warmUp } from '../../src/train/schedule.js';
import { compareHeads, drawLesson, memorise } from './memorise.js';

const PICTURES = 16;
const SIZE = 64;
const GOAL = 0.99;

/** A rate held for two fifths of the course, then half a cosine down to 0: a constant one leaves a cascade unsettled. */
function held(peak: number): Schedule {
  const fall = cosine(peak);
  const rate: Schedule['rate'] = ({ step, epoch, totalSteps }) => {
    const start = Math.round(0.4 * totalSteps);
    return fall.rate({ step: Math.max(0, step - start), epoch, totalSteps: totalSteps - start });
  };
  return { text: `${fall.text}, held for two fifths`, rate };
}

/**
 * Drawn ResNets start with gradients of a norm in the thousands, from convolutions before batch norms; clipping carries them
 * over the first twenty steps.
 */
const RESNET = { schedule: warmUp(held(0.04), 5), clipNorm: 5 };

const lesson = await drawLesson(PICTURES, SIZE);

test('published-mobilenet0.25 learns sixteen pictures by heart', async () => {
  const course = { most: 150, every: 15, schedule: warmUp(constant(0.01), 5), clipNorm: 20 };
  const { model, precision, steps } = await memorise('published-mobilenet0.25', lesson, GOAL, course);
  assert.ok(precision >= GOAL, `average precision ${precision} after ${steps} steps`);
  model.dispose();
});

// By the thresholds of a cascade's second heads. Those of the first teach boxes to anchors of an IoU of 0.7 or more and scores to
// those under 0.3 as well, between the two nobody is taught: in the report's box code, without variances, those come out as
// second detections with boxes of their own, and average precision stays near 0.95 however small the loss.
test('baseline learns sixteen pictures by heart', async () => {
  const { model, precision, steps } = await memorise('baseline', lesson, GOAL, {
    ...RESNET,
    loss: REPORT_CASCADE_LOSS,
    most: 120,
    every: 12,
  });
  assert.ok(precision >= GOAL, `average precision ${precision} after ${steps} steps`);
  model.dispose();
});

// The whole graph in channels enough for the lesson; at full width its steps take ten times as long. The cascade as the report
// has it, thresholds 0.7 and 0.3 before 0.5 and 0.4, with the published box code: without its variances boxes are further off
// after 600 steps than with them after 180.
test('full, a quarter as wide, learns sixteen pictures by heart, and its second heads place boxes better than its first', async () => {
  const configuration = { ...narrowed(configurations.full, 0.25), variances: PUBLISHED_LOSS.variances };
  const course = { ...RESNET, most: 180, every: 180 };
  const { model, precision, steps } = await memorise(configuration, lesson, undefined, course);
  assert.ok(precision >= GOAL, `average precision ${precision} after ${steps} steps`);
  const [first, second] = await compareHeads(model.network, lesson);
  const figures = `after ${steps} steps: first heads ${JSON.stringify(first)}, second heads ${JSON.stringify(second)}`;
  console.log(figures);
  assert.ok(Math.min(first.precision, second.precision) >= GOAL, figures);
  // At an IoU of 0.5 there is nothing left to tell them apart.
  assert.ok(second.strictPrecision > first.strictPrecision, figures);
  model.dispose();
});

test.run();
