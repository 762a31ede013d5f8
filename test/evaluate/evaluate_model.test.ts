import assert from 'node:assert/strict';
import { test } from 'uvu';
import type { Detections } from '../../src/evaluate/detections.js';
import {
  type Detector,
  type EvaluationSource,
  evaluateModel,
  type PredictionStore,
  searchPictures,
} from '../../src/evaluate/evaluate_model.js';
import { groundTruthFromSamples } from '../../src/evaluate/ground_truth.js';
import { landmarkErrors } from '../../src/evaluate/landmarks.js';
import { mirrorFace, mirrorPicture, voteBoxes } from '../../src/image/passes.js';
import { iouOf } from '../../src/image/face.js';
import { protocolOf, searchSize } from '../../src/evaluate/protocol.js';
import { ArgumentError } from '../../src/gpu/errors.js';
import type { Picture } from '../../src/image/picture.js';
import type { Face } from '../../src/image/face.js';
import { type DetectOptions, MAX_SIDE } from '../../src/retinaface/detect_options.js';

const face = (x1: number, y1: number, x2: number, y2: number, score: number): Face => ({
  score,
  box: { x1, y1, x2, y2 },
  landmarks: {
    leftEye: { x: x1 + 2, y: y1 + 2 },
    rightEye: { x: x2 - 1, y: y1 + 2 },
    nose: { x: x1 + 5, y: y1 + 5 },
    leftMouth: { x: x1 + 3, y: y2 - 2 },
    rightMouth: { x: x2 - 2, y: y2 - 2 },
  },
});

const FACES: Readonly<Record<string, Face>> = {
  'a.png': face(10, 10, 30, 40, 0.9),
  'e/b.png': face(5, 6, 25, 26, 0.8),
  'e/c.png': face(0, 0, 15, 20, 0.7),
};
const NAMES = Object.keys(FACES);

/** Pictures that say by their first pixel which they are; the second is larger. */
const source: EvaluationSource = {
  length: NAMES.length,
  name: (i) => NAMES[i]!,
  load: (i) => {
    const [width, height] = i === 1 ? [60, 50] : [50, 50];
    return Promise.resolve({ data: new Uint8Array(4 * width * height).fill(i), width, height });
  },
};

const groundTruth = groundTruthFromSamples(
  NAMES.map((name) => {
    const { box, landmarks } = FACES[name]!;
    const { leftEye, rightEye, nose, leftMouth, rightMouth } = landmarks!;
    return {
      name,
      faces: [
        {
          box: [box.x1, box.y1, box.x2, box.y2],
          landmarks: [leftEye, rightEye, nose, leftMouth, rightMouth].flatMap(({ x, y }) => [x, y]),
        },
      ],
    };
  }),
);

/** Finds the face of each picture, and remembers what it was asked, but for who wants to hear of tiles. */
class Oracle implements Detector {
  readonly calls: { readonly pictures: readonly Picture[]; readonly options: DetectOptions | undefined }[] = [];

  detect(pictures: readonly Picture[], options?: DetectOptions): Promise<Face[][]> {
    const { onTiled, ...asked } = options ?? {};
    assert.equal(typeof onTiled, 'function');
    this.calls.push({ pictures, options: asked });
    return Promise.resolve(pictures.map(({ data }) => [FACES[NAMES[data[0]!]!]!]));
  }
}

class Memory implements PredictionStore {
  readonly kept = new Map<string, Detections>();

  read(name: string): Promise<Detections | undefined> {
    return Promise.resolve(this.kept.get(name));
  }

  write(name: string, detections: Detections): Promise<void> {
    this.kept.set(name, detections);
    return Promise.resolve();
  }
}

test('a model that finds every face has an AP of 1 and landmarks without error', async () => {
  const oracle = new Oracle();
  const result = await evaluateModel(oracle, source, groundTruth);
  assert.deepEqual([result.easy, result.medium, result.hard], [1, 1, 1]);
  assert.equal(result.landmarks?.meanError, 0);
  assert.equal(result.landmarks.failureRate, 0);
  assert.equal(result.landmarks.found, 3);
  assert.deepEqual([...result.predictions.keys()], ['a', 'e/b', 'e/c']);
  assert.deepEqual(oracle.calls[0]?.options, {
    scoreThreshold: 0.02,
    topK: 32_768,
    maxFaces: 32_768,
    nmsThreshold: 0.4,
    size: 'original',
  });
});

test('a batch holds pictures of one search size, and every order gives the same', async () => {
  const oracle = new Oracle();
  const progress: number[] = [];
  await searchPictures(oracle, source, { protocol: 'report', batch: 2, onProgress: ({ done }) => progress.push(done) });
  assert.deepEqual(
    oracle.calls.map(({ pictures }) => pictures.length),
    [2, 1],
  );
  assert.deepEqual(progress, [2, 3]);
  assert.equal(oracle.calls[0]?.options?.topK, 5000);
  const fitted = new Oracle();
  await searchPictures(fitted, source, { batch: 3, changes: { size: { shortSide: 100, longSide: 110 } } });
  assert.deepEqual(
    fitted.calls.map(({ pictures, options }) => [pictures.length, options?.size]),
    [
      [2, { width: 100, height: 100 }],
      [1, { width: 110, height: 92 }],
    ],
  );
});

test('what the store holds is not searched again', async () => {
  const store = new Memory();
  const stopped = new AbortController();
  const search = searchPictures(new Oracle(), source, {
    store,
    signal: stopped.signal,
    onProgress: ({ done }) => {
      if (done === 2) stopped.abort(new Error('stopped'));
    },
  });
  await assert.rejects(search, /stopped/);
  assert.deepEqual([...store.kept.keys()], ['a', 'e/b']);
  const oracle = new Oracle();
  const kept: number[] = [];
  const predictions = await searchPictures(oracle, source, { store, onProgress: (at) => kept.push(at.kept) });
  assert.equal(oracle.calls.length, 1);
  assert.deepEqual(kept, [2]);
  assert.deepEqual(predictions, await searchPictures(new Oracle(), source));
});

test('flip searches mirrored pictures and takes their faces back', async () => {
  const flipping: Detector = {
    detect: (pictures) =>
      Promise.resolve(
        // A mirrored picture ends where the other begins.
        pictures.map(({ data, width }) => {
          const mine = face(10, 10, 30, 40, data[0] === 1 ? 0.9 : 0.6);
          return [data[0] === 1 ? mine : mirrorFace(mine, width)];
        }),
      ),
  };
  const data = new Uint8Array(4 * 50 * 50);
  data[0] = 1;
  const one: EvaluationSource = {
    length: 1,
    name: () => 'a.png',
    load: () => Promise.resolve({ data, width: 50, height: 50 }),
  };
  const predictions = await searchPictures(flipping, one, { changes: { flip: true } });
  const { boxes, scores, landmarks } = predictions.get('a')!;
  assert.deepEqual([...boxes], [10, 10, 30, 40]);
  assert.deepEqual([...scores], [0.9]);
  assert.deepEqual([...landmarks!.subarray(0, 4)], [12, 12, 29, 12]);
});

test('scales multiply the size of the search', () => {
  const picture = { width: 80, height: 60 };
  const at = (size: Parameters<typeof protocolOf>[1], scale: number) =>
    searchSize(picture, protocolOf('published', size), scale);
  assert.equal(at({}, 1), 'original');
  assert.deepEqual(at({}, 0.5), { width: 40, height: 30 });
  assert.equal(at({ size: 640 }, 1), 640);
  assert.equal(at({ size: 640 }, 1.5), 960);
  assert.deepEqual(at({ size: { shortSide: 1600, longSide: 2150 } }, 1), { width: 2133, height: 1600 });
  assert.deepEqual(at({ size: { shortSide: 1600, longSide: 1600 } }, 1), { width: 1600, height: 1200 });
});

test('a mirrored picture mirrored again is the picture', () => {
  const picture = { data: Uint8Array.from({ length: 24 }, (_, i) => i), width: 3, height: 2 };
  const mirrored = mirrorPicture(picture);
  assert.deepEqual([...mirrored.data.subarray(0, 4)], [8, 9, 10, 11]);
  assert.deepEqual(mirrorPicture(mirrored), picture);
  const one = face(3, 4, 20, 30, 0.5);
  assert.deepEqual(mirrorFace(mirrorFace(one, 50), 50), one);
});

test('boxes vote by their scores, the best keeps its score, and others stay apart', () => {
  const merged = voteBoxes([face(0, 0, 10, 10, 0.25), face(40, 40, 50, 50, 0.5), face(2, 0, 12, 10, 0.75)], 0.4);
  assert.deepEqual(
    merged.map(({ score, box }) => [score, box.x1, box.y1, box.x2, box.y2]),
    [
      [0.75, 1.5, 0, 11.5, 10],
      [0.5, 40, 40, 50, 50],
    ],
  );
  assert.equal(merged[0]?.landmarks?.leftEye.x, 3.5);
  assert.deepEqual(voteBoxes([], 0.4), []);
  assert.equal(iouOf(face(0, 0, 10, 10, 1).box, face(5, 0, 15, 10, 1).box), 1 / 3);
});

test('pictures and ground truth must be of one set', async () => {
  const renamed = (names: readonly string[]): EvaluationSource => ({
    ...source,
    length: names.length,
    name: (i) => names[i]!,
  });
  const evaluate = (names: readonly string[]) => evaluateModel(new Oracle(), renamed(names), groundTruth);
  await assert.rejects(evaluate(['a.png', 'e/b.png']), /without 'e\/c'/);
  await assert.rejects(evaluate(['a.png', 'e/b.png', 'e/d.png']), /'e\/d'/);
  await assert.rejects(evaluate(['a.png', 'e/b.png', 'e/c.png', 'a.jpg']), /'a' more than once/);
  await assert.rejects(searchPictures(new Oracle(), source, { batch: 0 }), ArgumentError);
});

test('a protocol out of range is refused', () => {
  for (const changes of [
    { scoreThreshold: 1.5 },
    { nmsThreshold: -1 },
    { topK: 0 },
    { maxFaces: 40_000 },
    { size: 8 },
    { size: MAX_SIDE + 1 },
    { size: { shortSide: 100, longSide: 50 } },
    { size: { shortSide: 100, longSide: MAX_SIDE + 1 } },
    { scales: [] },
    { scales: [0] },
  ]) {
    assert.throws(() => protocolOf('report', changes), ArgumentError, JSON.stringify(changes));
  }
});

test('landmark errors are over the root of the box, by the best detection that meets the face', () => {
  // A box of 16×25: its root area is 20. All points 1 off in the first, 4 in the second; a third face is not annotated.
  const points = [2, 2, 12, 2, 7, 9, 3, 20, 12, 20];
  const truth = groundTruthFromSamples([
    {
      name: 'a.png',
      faces: [
        { box: [0, 0, 16, 25], landmarks: points },
        { box: [100, 0, 116, 25], landmarks: points.map((v, i) => (i % 2 === 0 ? v + 100 : v)) },
        { box: [200, 0, 216, 25] },
        { box: [300, 0, 316, 25], landmarks: points },
      ],
    },
  ]);
  const moved = (dx: number, dy: number): number[] => points.map((v, i) => v + (i % 2 === 0 ? dx : dy));
  const found: Detections = {
    boxes: Float64Array.of(0, 0, 16, 25, 0, 0, 16, 25, 100, 0, 116, 25, 200, 0, 216, 25),
    scores: Float64Array.of(0.2, 0.9, 0.8, 0.7),
    landmarks: Float64Array.from([...moved(50, 50), ...moved(1, 0), ...moved(100, 4), ...moved(200, 0)]),
  };
  const errors = landmarkErrors(truth, new Map([['a', found]]))!;
  assert.deepEqual([...errors.errors], [0.05, 0.2]);
  assert.deepEqual([errors.faces, errors.found, errors.failureRate], [3, 2, 0.5]);
  assert.ok(Math.abs(errors.meanError - 0.125) < 1e-12);
  assert.equal(errors.perPoint.length, 5);
  assert.equal(landmarkErrors(truth, new Map()), undefined);
  assert.throws(() => landmarkErrors(truth, new Map(), { iouThreshold: 2 }), ArgumentError);
});

test('pictures that were searched in tiles are told, each once, whatever its batch and passes', async () => {
  const tiled: string[] = [];
  const detector: Detector = {
    detect(pictures, options) {
      for (const [index, { width }] of pictures.entries()) if (width === 60) options?.onTiled?.(index);
      return Promise.resolve(pictures.map(() => []));
    },
  };
  await searchPictures(detector, source, {
    batch: 3,
    changes: { flip: true },
    onTiled: (name) => tiled.push(name),
  });
  assert.deepEqual(tiled, ['e/b']);
});

test.run();
