import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import { randomOf } from '../../src/data/random.js';
import { averagePrecision, precisionRecall, type ScoredPicture } from '../../src/evaluate/average_precision.js';
import type { Detections } from '../../src/evaluate/detections.js';
import { type GroundTruth, groundTruthFromMatlab, type Subset, SUBSETS } from '../../src/evaluate/ground_truth.js';
import { parsePredictions } from '../../src/evaluate/predictions.js';
import { readTar } from '../../src/evaluate/tar.js';
import { ArgumentError } from '../../src/gpu/errors.js';
import { noSharedData, sharedData } from '../helpers/shared_data.js';
import { averagePrecision as twin, type Scene } from '../reference/average_precision.js';
import { testUnless } from '../helpers/unless.js';

/** Rows x, y, w, h as corners. */
const corners = (rows: readonly (readonly number[])[]): Float64Array =>
  Float64Array.from(rows.flatMap(([x = 0, y = 0, w = 0, h = 0]) => [x, y, x + w, y + h]));

/** Rows x, y, w, h, score. */
const detections = (...rows: readonly (readonly number[])[]): Detections => ({
  boxes: corners(rows),
  scores: Float64Array.from(rows, (row) => row[4]!),
});

const picture = (
  faces: readonly (readonly number[])[],
  found: Detections | undefined,
  counts = faces.map(() => 1),
): ScoredPicture => ({ boxes: corners(faces), counts: Uint8Array.from(counts), detections: found });

const ap = (...pictures: readonly ScoredPicture[]): number => precisionRecall(pictures).averagePrecision;

const FACE = [10, 10, 19, 19];
const OTHER = [100, 10, 19, 19];
/** A detection elsewhere with the least score, so that the others keep their order after normalisation. */
const LOW = [300, 300, 9, 9, 0];

test('every face found and nothing else is an AP of 1, and nothing found one of 0', () => {
  assert.equal(ap(picture([FACE, OTHER], detections([...FACE, 0.9], [...OTHER, 0.3]))), 1);
  assert.equal(ap(picture([FACE, OTHER], undefined)), 0);
  assert.equal(ap(picture([FACE], detections(LOW, [50, 50, 9, 9, 1]))), 0);
});

test('a second detection of a face is false', () => {
  // Found, false, found: precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1.
  const rows = [
    [...FACE, 1],
    [...FACE, 0.8],
    [...OTHER, 0.6],
  ];
  assert.equal(ap(picture([FACE, OTHER], detections(...rows, LOW))), 0.5 + 0.5 * (2 / 3));
});

test('a detection of an ignored face is neither right nor wrong, however often it comes', () => {
  const rows = [
    [...OTHER, 1],
    [...OTHER, 0.9],
    [...FACE, 0.8],
  ];
  assert.equal(ap(picture([FACE, OTHER], detections(...rows, LOW), [1, 0])), 1);
  assert.equal(ap(picture([FACE, OTHER], detections(...rows, LOW), [1, 1])), 0.5 + 0.5 * (2 / 3));
});

test('an ignored face takes a detection that overlaps a counting one less', () => {
  // Both faces reach 0.5 with the detection; the ignored one overlaps it more.
  const near = [10, 10, 21, 19];
  assert.equal(ap(picture([FACE, near], detections([10, 10, 20.6, 19, 1], LOW), [1, 0])), 0);
});

test('a picture without predictions counts its faces', () => {
  const good = picture([FACE], detections([...FACE, 1], LOW));
  assert.equal(ap(good, picture([FACE], undefined)), 0.5);
  assert.equal(ap(good, picture([FACE], detections())), 0.5);
});

test('detections in a picture without faces are left out, but set the range of the scores', () => {
  const good = picture([FACE], detections([...FACE, 0.5], [200, 200, 9, 9, 0.5]));
  assert.equal(ap(good, picture([], detections([...FACE, 1], [...OTHER, 0]))), 0.5);
});

test('equal scores enter together', () => {
  const rows = [
    [50, 50, 9, 9, 0.7],
    [...FACE, 0.7],
    [...OTHER, 0.7],
  ];
  assert.equal(ap(picture([FACE, OTHER], detections(...rows, LOW))), 2 / 3);
  // All equal: taken as 1, where the official code divides zero by zero.
  assert.equal(ap(picture([FACE, OTHER], detections(...rows))), 2 / 3);
  assert.equal(ap(picture([FACE], detections([...FACE, 0.3]))), 1);
});

test('an IoU of exactly 0.5 meets the face, and one just below does not', () => {
  // Edges count: 20 columns of 20 rows, and a detection of 10 of them.
  assert.equal(ap(picture([FACE], detections([10, 10, 9, 19, 1], LOW))), 1);
  assert.equal(ap(picture([FACE], detections([10, 10, 8.999, 19, 1], LOW))), 0);
});

test('a box without area is one pixel, and one turned inside out meets nothing', () => {
  assert.equal(ap(picture([[5, 5, 0, 0]], detections([5, 5, 0, 0, 1], LOW))), 1);
  assert.equal(ap(picture([[5, 5, -2, 23]], detections([5, 5, -2, 23, 1], LOW))), 0);
  const inside = [10, 10, 0, 0, 0.9];
  assert.equal(ap(picture([FACE], detections([...FACE, 1], inside, LOW))), 1);
});

test('faces that do not count at all have no average precision', () => {
  assert.ok(Number.isNaN(ap(picture([FACE], detections([...FACE, 1]), [0]))));
  assert.ok(Number.isNaN(ap()));
});

test('the curve falls in threshold, rises in recall, and ends with all that was detected', () => {
  const rows = [
    [...FACE, 1],
    [50, 50, 9, 9, 0.5],
    [...OTHER, 0.25],
  ];
  const { precision, recall, faces } = precisionRecall([picture([FACE, OTHER], detections(...rows, LOW))]);
  assert.equal(faces, 2);
  assert.deepEqual([precision[0], recall[0]], [1, 0.5]);
  assert.deepEqual([precision[499], recall[499]], [0.5, 0.5]);
  assert.deepEqual([precision[749], recall[749]], [2 / 3, 1]);
  assert.deepEqual([precision[999], recall[999]], [0.5, 1]);
});

test('random sets agree with the protocol taken word by word', () => {
  for (let seed = 0; seed < 40; seed++) {
    const random = randomOf(seed, 0, 0);
    const box = (): number[] => [random.int(60), random.int(60), random.int(25), random.int(25)];
    const scenes: Scene[] = Array.from({ length: 1 + random.int(5) }, () => {
      const faces = Array.from({ length: random.int(6) }, box);
      const near = (): number[] =>
        faces.length > 0 && random.chance(0.7) ? random.pick(faces).map((v) => v + random.int(4)) : box();
      return {
        faces,
        counts: faces.map(() => random.chance(0.7)),
        detections: Array.from({ length: random.int(15) }, () => [...near(), random.int(9) / 8]),
      };
    });
    if (!scenes.some(({ counts }) => counts.includes(true))) continue;
    const scores = scenes.flatMap((scene) => scene.detections.map((row) => row[4]));
    if (new Set([...scores, 0]).size < 2) continue;
    const pictures = scenes.map(({ faces, counts, detections: rows }) =>
      picture(faces, detections(...rows), counts.map(Number)),
    );
    for (const thresholds of [1000, 7]) {
      const actual = precisionRecall(pictures, { thresholds }).averagePrecision;
      assert.ok(Math.abs(actual - twin(scenes, 0.5, thresholds)) < 1e-12, `seed ${seed}: ${actual}`);
    }
  }
});

test('the three subsets share their detections and differ in what counts', () => {
  const one = (byte: number): Uint8Array => Uint8Array.of(1, byte);
  const groundTruth: GroundTruth = {
    subsets: 'lists',
    pictures: [
      {
        name: 'a/b',
        boxes: corners([FACE, OTHER]),
        counts: { easy: one(0), medium: one(0), hard: one(1) },
      },
    ],
  };
  const found = new Map([['a/b', detections([...FACE, 1], LOW)]]);
  const { easy, medium, hard, curves } = averagePrecision(groundTruth, found);
  assert.deepEqual([easy, medium, hard, curves.hard.faces], [1, 1, 0.5, 2]);
  assert.throws(() => averagePrecision(groundTruth, new Map([['a/c', detections()]])), /'a\/c'/);
  assert.throws(() => averagePrecision(groundTruth, found, { iouThreshold: 0 }), ArgumentError);
  assert.throws(() => averagePrecision(groundTruth, found, { thresholds: 1.5 }), ArgumentError);
});

testUnless(noSharedData)(
  'a real set gives the figures of the official code, digit by digit, in a few seconds',
  async () => {
    const start = performance.now();
    const file = (name: string) => {
      const source = sharedData(`wider/ground_truth/${name}`);
      return { bytes: readFileSync(source), source };
    };
    const list = (subset: Subset) => file(`wider_${subset}_val.mat`);
    const lists = { easy: list('easy'), medium: list('medium'), hard: list('hard') };
    const boxes = file('wider_face_val.mat');
    const groundTruth = await groundTruthFromMatlab(boxes.bytes, boxes.source, lists);
    const archive = sharedData('wider/predictions/val_predictions_resnet50_fork.tar.gz');
    const predictions = new Map<string, Detections>();
    for (const { path, bytes } of await readTar(readFileSync(archive), archive)) {
      const name = path
        .split('/')
        .slice(-2)
        .join('/')
        .replace(/\.txt$/, '');
      predictions.set(name, parsePredictions(new TextDecoder().decode(bytes), path, name));
    }
    assert.equal(predictions.size, 3226);
    const { easy, medium, hard, curves } = averagePrecision(groundTruth, predictions);
    assert.deepEqual([easy, medium, hard], [0.9448373912694071, 0.9244706568389409, 0.8153250447873874]);
    assert.deepEqual(
      SUBSETS.map((subset) => curves[subset].faces),
      [7211, 13319, 31958],
    );
    assert.ok(performance.now() - start < 20_000);
  },
);

test.run();
