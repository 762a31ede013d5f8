// Sixteen drawn pictures are learnt by heart, from drawn weights to what `detect` finds: matching, losses, gradients,
// optimiser, running statistics and inference, all at once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Course, drawLesson, memorise } from './memorise.js';

const PICTURES = 16;
const SIZE = 64;
const GOAL = 0.99;

/**
 * Drawn ResNets start with gradients of a norm in the thousands, from convolutions before batch norms; clipping carries them
 * over the first twenty steps.
 */
const RESNET: Course = { most: 140, every: 10, rate: 0.04, clipNorm: 5 };

const lesson = await drawLesson(PICTURES, SIZE);

test('published-mobilenet0.25 learns sixteen pictures by heart', async () => {
  const course = { most: 150, every: 15, rate: 0.01, clipNorm: 20 };
  const { model, precision, steps } = await memorise('published-mobilenet0.25', lesson, GOAL, course);
  assert.ok(precision >= GOAL, `average precision ${precision} after ${steps} steps`);
  model.dispose();
});

test('baseline learns sixteen pictures by heart', async () => {
  const { model, precision, steps } = await memorise('baseline', lesson, GOAL, RESNET);
  assert.ok(precision >= GOAL, `average precision ${precision} after ${steps} steps`);
  model.dispose();
});
