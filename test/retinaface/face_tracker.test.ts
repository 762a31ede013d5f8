// Identities and smoothing over made detections, and what becomes of frames that come faster than they are searched.
import assert from 'node:assert/strict';
import { test } from 'uvu';
import type { Face } from '../../src/image/face.js';
import { FaceTracker, type FrameDetector, type TrackerOptions } from '../../src/retinaface/face_tracker.js';
import { type TrackRules, Tracks } from '../../src/retinaface/tracks.js';

const RULES: TrackRules = { scoreThreshold: 0.5, iouThreshold: 0.3, keepFrames: 3, minCutoff: 1.5, beta: 4 };
/** Thirty frames a second. */
const FRAME = 1 / 30;

const face = (x: number, y: number, score = 0.9, size = 100): Face => ({
  score,
  box: { x1: x, y1: y, x2: x + size, y2: y + size },
  landmarks: {
    leftEye: { x: x + 30, y: y + 40 },
    rightEye: { x: x + 70, y: y + 40 },
    nose: { x: x + 50, y: y + 60 },
    leftMouth: { x: x + 35, y: y + 80 },
    rightMouth: { x: x + 65, y: y + 80 },
  },
});
const ids = (faces: readonly { readonly id: number }[]): number[] => faces.map(({ id }) => id);

test('two faces that pass each other keep their identities, in whatever order they are found', () => {
  const tracks = new Tracks(RULES);
  for (let i = 0; i < 60; i++) {
    // They cross at frame 30, one lower than the other by half a face.
    const found = [face(10 * i, 0), face(600 - 10 * i, 70)];
    const seen = tracks.next(i % 3 === 0 ? found.reverse() : found, i * FRAME);
    assert.equal(seen.length, 2);
    if (i === 0) continue;
    const byHeight = [...seen].sort((a, b) => a.box.y1 - b.box.y1);
    assert.ok(byHeight[0]!.box.y1 < 35 && byHeight[1]!.box.y1 > 35);
    assert.equal(byHeight[0]!.seen, i + 1);
    assert.equal(byHeight[1]!.seen, i + 1);
  }
});

test('a face that is out of sight for a few frames comes back as itself, later as another', () => {
  const tracks = new Tracks(RULES);
  assert.deepEqual(ids(tracks.next([face(0, 0)], 0)), [1]);
  for (let i = 1; i <= 3; i++) assert.deepEqual(tracks.next([], i * FRAME), []);
  assert.deepEqual(ids(tracks.next([face(3, 0)], 4 * FRAME)), [1]);
  for (let i = 5; i <= 8; i++) tracks.next([], i * FRAME);
  assert.deepEqual(ids(tracks.next([face(3, 0)], 9 * FRAME)), [2]);
});

test('a low score follows a face that is known, and begins none', () => {
  const tracks = new Tracks(RULES);
  tracks.next([face(0, 0)], 0);
  assert.deepEqual(ids(tracks.next([face(2, 0, 0.35), face(400, 0, 0.45)], FRAME)), [1]);
});

test('a face that moves fast is expected where it is going', () => {
  const tracks = new Tracks({ ...RULES, keepFrames: 5 });
  let seen = tracks.next([face(0, 0)], 0);
  // Two fifths of its width a frame; out of sight for one, it has moved by four fifths, which overlap by an IoU of 0.11.
  for (let i = 1; i < 20; i++) seen = tracks.next([face(40 * i, 0)], i * FRAME);
  assert.deepEqual(ids(seen), [1]);
  tracks.next([], 20 * FRAME);
  assert.deepEqual(ids(tracks.next([face(40 * 21, 0)], 21 * FRAME)), [1]);
});

test('what trembles is held still, what moves is followed', () => {
  const tracks = new Tracks(RULES);
  const raw: number[] = [];
  const smooth: number[] = [];
  for (let i = 0; i < 200; i++) {
    // Uniform steps of up to two pixels, drawn by a fixed rule.
    const tremble = 4 * ((i * 0.618_034) % 1) - 2;
    const [seen] = tracks.next([face(100 + tremble, 0)], i * FRAME);
    if (i < 50) continue;
    raw.push(tremble);
    smooth.push(seen!.landmarks!.nose.x - 150);
  }
  const spread = (values: readonly number[]): number =>
    Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);
  assert.ok(spread(smooth) < spread(raw) / 2, `${spread(smooth)} of ${spread(raw)}`);

  const moving = new Tracks(RULES);
  let lag = 0;
  for (let i = 0; i < 90; i++) {
    const [seen] = moving.next([face(8 * i, 0)], i * FRAME);
    lag = 8 * i - seen!.box.x1;
  }
  // 2.4 widths a second: behind by less than a frame's way.
  assert.ok(lag >= 0 && lag < 8, `${lag} pixels behind`);
});

test('without smoothing faces are what was found; without points they have none', () => {
  const tracks = new Tracks({ ...RULES, minCutoff: Infinity });
  const { score, box, landmarks } = face(0, 0);
  tracks.next([{ score, box }], 0);
  const [plain] = tracks.next([{ score, box }], FRAME);
  assert.deepEqual(plain, { id: 1, seen: 2, score, box });
  const [seen] = tracks.next([face(7, 3)], 2 * FRAME);
  assert.deepEqual(seen!.box, face(7, 3).box);
  assert.deepEqual(seen!.landmarks, face(7, 3).landmarks);
  assert.ok(landmarks);
});

/** A detector whose searches end when the test says so. */
function slow(): FrameDetector & { readonly frames: unknown[]; end(faces: readonly Face[] | Error): Promise<void> } {
  const pending: ((faces: readonly Face[] | Error) => void)[] = [];
  const frames: unknown[] = [];
  return {
    frames,
    detect(frame) {
      frames.push(frame);
      return new Promise((resolve, reject) => {
        pending.push((faces) => {
          if (faces instanceof Error) reject(faces);
          else resolve(faces);
        });
      });
    },
    async end(faces) {
      pending.shift()!(faces);
      for (let i = 0; i < 10; i++) await Promise.resolve();
    },
  };
}

test('of frames that come while one is searched the newest wins, and answers those before it', async () => {
  const detector = slow();
  const tracker = new FaceTracker(detector, { minCutoff: Infinity });
  const next = (name: string, time: number) => tracker.next(name, { time });
  const results = [next('a', 0), next('b', 1), next('c', 2), next('d', 3)];
  assert.deepEqual(detector.frames, ['a']);
  await detector.end([face(0, 0)]);
  assert.deepEqual(detector.frames, ['a', 'd']);
  await detector.end([face(5, 0)]);
  const [a, b, c, d] = await Promise.all(results);
  assert.equal(a![0]!.box.x1, 0);
  assert.deepEqual(b, d);
  assert.deepEqual(c, d);
  assert.deepEqual([d![0]!.id, d![0]!.box.x1, tracker.dropped], [1, 5, 2]);
});

test('a frame that fails is told to those that wait for it, and the next one goes on', async () => {
  const detector = slow();
  const tracker = new FaceTracker(detector);
  const first = tracker.next('a', { time: 0 });
  const second = tracker.next('b', { time: 1 });
  const third = tracker.next('c', { time: 2 });
  await detector.end(new Error('no frame'));
  await assert.rejects(first, /no frame/);
  await detector.end(new Error('none either'));
  await assert.rejects(second, /none either/);
  await assert.rejects(third, /none either/);
  const fourth = tracker.next('d', { time: 3 });
  await detector.end([face(0, 0)]);
  assert.deepEqual(ids(await fourth), [1]);
  await assert.rejects(tracker.next('e', { time: 2 }), /time to be at least that of the frame before, 3/);
  tracker.reset();
  const again = tracker.next('f', { time: 0 });
  await detector.end([face(0, 0)]);
  assert.deepEqual(ids(await again), [2]);
  await assert.rejects(tracker.next('g', { signal: AbortSignal.abort(new Error('enough')) }), /enough/);
});

test('options that are none are errors', () => {
  const slips: readonly (readonly [unknown, RegExp])[] = [
    [{ threshold: 1 }, /Did you mean 'scoreThreshold'/],
    [{ iouThreshold: 0 }, /iouThreshold to be above 0/],
    [{ keepFrames: 1.5 }, /keepFrames to be a whole number/],
    [{ minCutoff: 0 }, /minCutoff to be above 0/],
    [{ beta: -1 }, /beta to be at least 0/],
    [{ detect: 320 }, /detect to be an object, got 320/],
  ];
  for (const [options, message] of slips) {
    assert.throws(() => new FaceTracker(slow(), options as TrackerOptions), { name: 'ArgumentError', message });
  }
  assert.throws(() => new FaceTracker({} as FrameDetector), /expected a model/);
});

test.run();
