// What an application does in months: detections of every kind, steps of training, models that come and go.
import assert from 'node:assert/strict';
import { test } from 'uvu';
import { faceTargets } from '../../src/data/batch.js';
import { RetinaFaceError } from '../../src/gpu/errors.js';
import { Gpu } from '../../src/gpu/gpu.js';
import type { PictureInput } from '../../src/image/source.js';
import { encodePng } from '../../src/node/codecs.js';
import { RetinaFace } from '../../src/node/retinaface.js';
import type { DetectOptions } from '../../src/retinaface/detect_options.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { encodeCheckpoint } from '../../src/train/checkpoint.js';
import { freeBatch, Trainer, type TrainingBatch } from '../../src/train/trainer.js';
import { testDevice as device } from '../helpers/device.js';
import { drawnPicture } from '../helpers/drawn_picture.js';
import { formulaTensor } from '../helpers/formula.js';
import { assertNoFaults, figures, MemoryTrend, randomOfCase, times } from './harness.js';

const gpu = Gpu.of(device);

/** Bytes that the allocators of the process may keep in holes, and drivers in caches, over a long loop. */
const HOLES = 24 * 2 ** 20;

/**
 * The same for JavaScript, whose collector leaves nothing: code that is compiled late, maps that double; 300 bytes a search in the
 * long form. In the short one it is the bytes of two checkpoints, which may wait for a collection.
 */
const LATE = times(8, 1) * 2 ** 20;

/** Bytes by which the pool's content may differ between two rounds that do the same. */
const POOL = 8 * 2 ** 20;

/** What the device holds: tensors, and all with what the pool keeps. */
const deviceBytes = (): Record<string, number> => {
  const { bytes, deviceBytes: all } = gpu.memory();
  return { tensors: bytes, device: all };
};

async function assertNothingLeft(what: string): Promise<void> {
  const { bytes, buffers } = gpu.memory();
  assert.deepEqual({ bytes, buffers }, { bytes: 0, buffers: 0 }, `${what}: what tensors hold`);
  gpu.trim();
  await gpu.finish();
  assert.equal(gpu.memory().deviceBytes, 0, `${what}: what the device holds`);
}

function assertFlat(trend: MemoryTrend): void {
  assert.ok(trend.growth < HOLES, `the process holds ${trend.growth} bytes more`);
  assert.ok(trend.growthOf('JavaScript') < LATE, `JavaScript holds ${trend.growthOf('JavaScript')} bytes more`);
}

/** Calls of a round, always the same ones; more sizes than anchors and plans are kept for. */
const ROUND = 20;

interface Call {
  readonly input: PictureInput | readonly PictureInput[];
  readonly options: DetectOptions;
  /** Milliseconds after which it is aborted. */
  readonly abortAfter?: number;
}

function callOf(number: number): Call {
  const random = randomOfCase('detections', number);
  const picture = (): PictureInput => drawnPicture(20 + random.int(140), 20 + random.int(140));
  const options = { scoreThreshold: random.pick([0.02, 0.1, 0.5]), maxFaces: random.pick([1, 5, 750]) };
  const list = (): PictureInput[] => Array.from({ length: 2 + random.int(4) }, picture);
  // Those that end early come first: where they end must not decide what the caches hold at the end of a round.
  if (number < 3) return { input: list(), options, abortAfter: 40 * random.next() };
  switch (number % 8) {
    case 0:
      return { input: list(), options };
    case 1:
      return { input: picture(), options: { ...options, scales: [0.5, 1] } };
    case 2:
      return { input: picture(), options: { ...options, rotations: [0, 90, 180] } };
    case 3:
      return { input: picture(), options: { ...options, size: random.pick([64, 96, 150]) } };
    case 4:
      return { input: encodePng(drawnPicture(70, 50 + number)), options };
    case 5:
      return { input: encodePng(drawnPicture(70, 50)).subarray(0, 200), options };
    default:
      return { input: picture(), options: { ...options, nmsThreshold: random.next() } };
  }
}

/** Faces, or the name of the error that was thrown; nothing of a call that was aborted, which ends as it can. */
async function answerOf(model: RetinaFace, { input, options, abortAfter }: Call): Promise<unknown> {
  const aborting = abortAfter === undefined ? undefined : new AbortController();
  const timer = aborting && setTimeout(() => { aborting.abort(); }, abortAfter); // prettier-ignore
  try {
    const found = await model.detect(input as PictureInput, {
      ...options,
      ...(aborting && { signal: aborting.signal }),
    });
    return aborting ? undefined : found;
  } catch (error) {
    if (aborting && error === aborting.signal.reason) return undefined;
    if (error instanceof RetinaFaceError) return error.name;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

const DETECTIONS = times(240, 10_000);

test('detections of mixed sizes and options answer the same for ever, and what they hold stays the same', async () => {
  const calls = Array.from({ length: ROUND }, (_, number) => callOf(number));
  using model = new RetinaFace(device);
  // Of drawn pictures these find more than those of photographs do.
  await model.load('synthetic');
  const rounds = DETECTIONS / ROUND;
  const trend = new MemoryTrend(rounds, 60, deviceBytes);
  const held = new Set<string>();
  const faults: string[] = [];
  let first: readonly unknown[] | undefined;
  for (let round = 0; round < rounds; round++) {
    const answers: unknown[] = [];
    for (const call of calls) answers.push(await answerOf(model, call));
    first ??= answers;
    try {
      assert.deepEqual(answers, first);
    } catch {
      faults.push(`round ${round} answers otherwise than the first`);
    }
    // What was aborted may still be at work.
    await gpu.finish();
    trend.note(round);
    const { bytes, buffers } = gpu.memory();
    if (round >= rounds / 3) held.add(`${bytes} bytes in ${buffers} buffers`);
  }
  const faces = first!.flat(2).filter((each) => typeof each === 'object').length;
  figures('detections', { detections: DETECTIONS, 'faces of a round': faces, ...trend.figures });
  assertNoFaults(faults);
  assert.ok(faces > 10, 'some calls find faces');
  assert.equal(held.size, 1, `tensors hold ${[...held].join(', then ')}`);
  assert.ok(trend.growthOf('device') < POOL, `the device holds ${trend.growthOf('device')} bytes more`);
  assertFlat(trend);
  model.dispose();
  await assertNothingLeft('after detections');
});

const STEPS = times(75, 2000);

/** Pictures of noise, some faces on each: of as many shapes as a training meets. */
function batchOf(step: number): TrainingBatch {
  const random = randomOfCase('steps', step % 25);
  const pictures = 1 + random.int(2);
  const shape = [pictures, 64, 64, 4];
  const x = formulaTensor(`pictures ${step % 3}`, shape).map((v, i) => (i % 4 === 3 ? 0 : 100 * v));
  const faces = Array.from({ length: pictures }, () =>
    Array.from({ length: 1 + random.int(4) }, () => {
      const [left, top, side] = [random.int(30), random.int(30), 12 + random.int(20)];
      return { box: [left, top, left + side, top + side] as const };
    }),
  );
  return { x: Tensor.from(device, x, shape), targets: faceTargets(device, faces) };
}

test('steps of training, with searches and checkpoints in between, hold the same for ever', async () => {
  const model = new RetinaFace(device, 'published-mobilenet0.25');
  model.initialise(1);
  const trainer = new Trainer(model.network, { clipNorm: 1 });
  const trend = new MemoryTrend(STEPS, 60, deviceBytes);
  let worst = 0;
  for (let step = 0; step < STEPS; step++) {
    const parts = Array.from({ length: step % 5 === 4 ? 2 : 1 }, (_, part) => batchOf(step + part));
    const losses = trainer.accumulate(parts);
    for (const part of parts) freeBatch(part);
    trainer.step(1e-4);
    const { total } = await trainer.read(losses);
    assert.ok(Number.isFinite(total), `the loss of step ${step}`);
    worst = Math.max(worst, total);
    if (step % 25 === 24) {
      await encodeCheckpoint(trainer, { step, epoch: 0, stepInEpoch: step, run: '' });
      model.network.train(false);
      await model.detect(drawnPicture(64, 64));
      trainer.resume();
    }
    trend.note(step);
  }
  figures('steps of training', { steps: STEPS, 'greatest loss': worst, ...trend.figures });
  for (const name of ['tensors', 'device']) {
    assert.ok(trend.growthOf(name) < POOL, `${name} hold ${trend.growthOf(name)} bytes more`);
  }
  assertFlat(trend);
  trainer.dispose();
  model.dispose();
  await assertNothingLeft('after training');
});

const picture = drawnPicture(64, 80);
const MODELS = times(24, 150);

test('models that come and go on a device leave nothing on it', async () => {
  const trend = new MemoryTrend(MODELS, 30, deviceBytes);
  for (let i = 0; i < MODELS; i++) {
    if (i % 3 === 2) {
      using model = new RetinaFace(device, 'published-mobilenet0.25');
      model.initialise(i);
      using trainer = new Trainer(model.network);
      const batch = batchOf(i);
      const losses = trainer.accumulate(batch);
      freeBatch(batch);
      trainer.step(1e-4);
      await trainer.read(losses);
    } else {
      using model = new RetinaFace(device);
      await model.load(i % 3 === 0 ? undefined : 'synthetic');
      await model.detect(picture);
      // Other weights in the place of the first.
      if (i % 2 === 0) await model.load('synthetic');
      await model.detect(picture);
    }
    const { bytes, buffers } = gpu.memory();
    assert.deepEqual({ bytes, buffers }, { bytes: 0, buffers: 0 }, `after model ${i}`);
    trend.note(i);
  }
  figures('models on one device', { models: MODELS, ...trend.figures });
  assert.ok(trend.growthOf('device') < POOL, `the device holds ${trend.growthOf('device')} bytes more`);
  assertFlat(trend);
  await assertNothingLeft('after models');
});

const OWN = times(18, 100);

test('models with devices of their own leave nothing in the process', async () => {
  const trend = new MemoryTrend(OWN, 24);
  for (let i = 0; i < OWN; i++) {
    const model = await RetinaFace.create();
    const own = Gpu.of(model.gpu.device);
    await model.detect(picture);
    model.dispose();
    assert.deepEqual([own.memory().bytes, own.memory().buffers], [0, 0], `after model ${i}`);
    await own.device.lost;
    trend.note(i);
  }
  figures('models with devices of their own', { models: OWN, ...trend.figures });
  assertFlat(trend);
});

test.run();
