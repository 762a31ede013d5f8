import { augmentBatch, plainPlan } from '../../src/data/augment.js';
import { faceTargets } from '../../src/data/batch.js';
import type { PictureSource } from '../../src/data/sample.js';
import { syntheticSource } from '../../src/data/synthetic.js';
import { anchorsFor } from '../../src/detect/anchors.js';
import { selectFaces } from '../../src/detect/select.js';
import { averagePrecision } from '../../src/evaluate/average_precision.js';
import { evaluateModel } from '../../src/evaluate/evaluate_model.js';
import { groundTruthFromSamples } from '../../src/evaluate/ground_truth.js';
import { Gpu } from '../../src/gpu/gpu.js';
import type { Picture } from '../../src/image/picture.js';
import type { Configuration, ConfigurationName } from '../../src/retinaface/config.js';
import type { LossOptions } from '../../src/retinaface/loss.js';
import type { Network } from '../../src/retinaface/network.js';
import { RetinaFace } from '../../src/retinaface/retinaface.js';
import { scope } from '../../src/tensor/scope.js';
import { Tensor } from '../../src/tensor/tensor.js';
import type { Schedule } from '../../src/train/schedule.js';
import { freeBatch, Trainer, type TrainingBatch } from '../../src/train/trainer.js';
import { testDevice as device } from '../helpers/device.js';

const gpu = Gpu.of(device);

/** A few drawn pictures, to be learnt by heart. */
export interface Lesson {
  readonly size: number;
  readonly source: PictureSource;
  readonly pictures: readonly Picture[];
}

/**
 * `count` pictures of `size`×`size` with one to three faces each, a quarter to a half of the side high, of which no edge
 * cuts any: what is left of a cut face is too narrow for square anchors, so that almost none learns its box.
 */
export async function drawLesson(count: number, size: number): Promise<Lesson> {
  const drawn = syntheticSource(11, 8 * count, { size, faces: [1, 3], faceHeights: [size / 4, size / 2] });
  const isWhole = (index: number): boolean =>
    drawn.faces(index).every(({ box }) => box.every((edge) => edge > 0 && edge < size));
  const chosen = Array.from({ length: drawn.length }, (_, index) => index)
    .filter(isWhole)
    .slice(0, count);
  const pictures = await Promise.all(chosen.map((index) => drawn.load(index)));
  const source: PictureSource = {
    length: count,
    name: (index) => drawn.name(chosen[index]!),
    faces: (index) => drawn.faces(chosen[index]!),
    load: (index) => drawn.load(chosen[index]!),
  };
  return { size, source, pictures };
}

const facesOf = ({ source, pictures }: Lesson) => pictures.map((_, index) => source.faces(index));

function groundTruthOf(lesson: Lesson) {
  const { source } = lesson;
  return groundTruthFromSamples(facesOf(lesson).map((faces, index) => ({ name: source.name(index), faces })));
}

function inputOf({ pictures, size }: Lesson, { input }: Configuration): Tensor {
  const plans = pictures.map((picture) => plainPlan(picture));
  return augmentBatch(gpu, pictures, plans, { size, ...input });
}

/** The whole lesson as one batch, pictures as they are. */
export function batchOf(lesson: Lesson, configuration: Configuration): TrainingBatch {
  return { x: inputOf(lesson, configuration), targets: faceTargets(gpu, facesOf(lesson)) };
}

/** How a lesson is learnt. */
export interface Course {
  /** After so many steps it must be known. */
  readonly most: number;
  /** Steps between two examinations. */
  readonly every: number;
  readonly schedule: Schedule;
  readonly clipNorm: number;
  /** Of the first heads; without it, that of the network's family. */
  readonly loss?: LossOptions;
}

/** What a lesson came to. */
export interface Outcome {
  readonly model: RetinaFace;
  readonly precision: number;
  readonly steps: number;
}

/**
 * Teaches a network from drawn weights one lesson, all pictures in each step, until it knows it by heart (average precision of
 * at least `goal`, by what `detect` finds) or, without a goal, to the end of the course. All at once, so that batch
 * statistics are those that the running ones settle to: detection goes by the latter.
 */
export async function memorise(
  configuration: Configuration | ConfigurationName,
  lesson: Lesson,
  goal: number | undefined,
  { most, every, schedule, clipNorm, loss }: Course,
): Promise<Outcome> {
  const model = new RetinaFace(device, configuration);
  model.initialise(1);
  using trainer = new Trainer(model.network, { clipNorm, ...(loss && { loss }) });
  const batch = batchOf(lesson, model.network.configuration);
  let precision = 0;
  let step = 0;
  while (step < most && (goal === undefined || precision < goal)) {
    const losses = trainer.accumulate(batch);
    trainer.step(schedule.rate({ step, epoch: 0, totalSteps: most }));
    await trainer.read(losses);
    if (++step % every > 0 && step < most) continue;
    model.network.train(false);
    precision = await precisionOf(model, lesson);
    trainer.resume();
  }
  freeBatch(batch);
  return { model, precision, steps: step };
}

/** Average precision of what `detect` finds on the pictures of a lesson. */
export async function precisionOf(model: RetinaFace, lesson: Lesson): Promise<number> {
  const { easy } = await evaluateModel(model, lesson.source, groundTruthOf(lesson), { batch: 8 });
  return easy;
}

/** How well one set of heads does on a lesson. */
export interface HeadQuality {
  readonly precision: number;
  /** Average precision where a detection meets a face at an IoU of 0.8 instead of 0.5. */
  readonly strictPrecision: number;
  /** Mean over the faces of 1 − IoU with the detection that covers it best. */
  readonly boxError: number;
}

/** The first and the second heads of a cascade, each searched as `detect` searches the second. */
export async function compareHeads(network: Network, lesson: Lesson): Promise<readonly [HeadQuality, HeadQuality]> {
  const { configuration } = network;
  const { levels, variances, plusOne } = configuration;
  const values = anchorsFor(levels, lesson.size, lesson.size);
  using anchors = Tensor.from(gpu, values, [values.length / 4, 4]);
  using x = inputOf(lesson, configuration);
  const options = { scoreThreshold: 0.02, nmsThreshold: 0.4, topK: 5000, maxFaces: MAX_FACES, plusOne, variances };
  const selections = scope(() => {
    const { first, second, refined } = network.forward(x, anchors);
    return [selectFaces({ ...first, anchors }, options), selectFaces({ ...second!, anchors: refined! }, options)];
  });
  const qualities: HeadQuality[] = [];
  for (const selection of selections) {
    const rows = await selection.read();
    selection.dispose();
    qualities.push(qualityOf(lesson, rows));
  }
  return qualities as unknown as readonly [HeadQuality, HeadQuality];
}

const MAX_FACES = 750;
const FACE_NUMBERS = 15;

function qualityOf(lesson: Lesson, rows: Float32Array): HeadQuality {
  const errors: number[] = [];
  const found = lesson.pictures.map((_, image) => {
    const at = image * (1 + MAX_FACES * FACE_NUMBERS);
    const faces = Array.from({ length: rows[at]! }, (__, face) => {
      const start = at + 1 + face * FACE_NUMBERS;
      return rows.subarray(start, start + 5);
    });
    for (const { box } of lesson.source.faces(image))
      errors.push(1 - Math.max(0, ...faces.map((face) => overlap([...face.subarray(1)], box))));
    return [
      lesson.source.name(image),
      {
        scores: Float64Array.from(faces, (face) => face[0]!),
        boxes: Float64Array.from(faces.flatMap((face) => [...face.subarray(1)])),
      },
    ] as const;
  });
  const precisionAt = (iouThreshold: number): number =>
    averagePrecision(groundTruthOf(lesson), new Map(found), { iouThreshold }).easy;
  return {
    precision: precisionAt(0.5),
    strictPrecision: precisionAt(0.8),
    boxError: errors.reduce((sum, error) => sum + error, 0) / errors.length,
  };
}

/** IoU of two boxes. */
function overlap(a: readonly number[], b: readonly number[]): number {
  const side = (low: number, high: number) => Math.max(0, Math.min(a[high]!, b[high]!) - Math.max(a[low]!, b[low]!));
  const area = (box: readonly number[]) => (box[2]! - box[0]!) * (box[3]! - box[1]!);
  const both = side(0, 2) * side(1, 3);
  return both / (area(a) + area(b) - both);
}
