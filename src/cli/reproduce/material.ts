import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { drawAugmentation } from '../../data/augment.js';
import { plannedBatch, type PlannedPicture } from '../../data/batch.js';
import { holdoutPlace } from '../../data/holdout.js';
import { epochOrder, randomOf } from '../../data/random.js';
import type { Face, PictureSource, Sample } from '../../data/sample.js';
import type { SyntheticOptions } from '../../data/synthetic.js';
import type { EvaluationSource } from '../../evaluate/evaluate_model.js';
import { type AnnotatedPicture, type GroundTruth, groundTruthByHeight } from '../../evaluate/ground_truth.js';
import { HEIGHTS } from '../../evaluate/heights.js';
import { ArgumentError, FileError } from '../../gpu/errors.js';
import type { Picture } from '../../image/picture.js';
import { PictureLoader } from '../../node/picture_loader.js';
import type { RetinaFace } from '../../node/retinaface.js';
import { pictureFolder, readGroundTruth } from '../../node/wider_files.js';
import { formatSeconds } from '../../train/metrics.js';
import type { TrainingBatch } from '../../train/trainer.js';
import type { TrainingSources } from '../train/sources.js';

/** Seeds of the scenes to learn from and of those to be measured on: the same for all runs. */
const TRAINING_SCENES = 101;
const HELD_SCENES = 303;

/** Every fourth real picture is kept out of training. */
const REAL_PARTS = 4;

/** Real faces that are narrower or lower are not taught, in pixels: as where labels are read. */
const LEAST_FACE = 1;

/** Edges of crops of a scene, relative to its own: 0.8 shows it at the input's pixels, the others a little smaller. */
const SCENE_CROPS: readonly number[] = [0.8, 0.9, 1];

/**
 * Edges of crops of a real picture, relative to the input's: at its own pixels, as it is measured, or blown up to twice that. Made
 * smaller, most of its faces would fall below the smallest anchors, and be taught as no faces.
 */
const REAL_CROPS: readonly number[] = [0.5, 0.7, 1];

/** A picture to learn from. */
export interface Example {
  readonly picture: Picture;
  readonly faces: readonly Face[];
}

/** What is measured: pictures and their faces. */
export interface Held {
  readonly source: EvaluationSource;
  readonly truth: GroundTruth;
}

/** Pictures to learn from, and others to be measured on. */
export interface Material {
  readonly training: readonly Example[];
  readonly held: Held;
}

/** The batches of one run, by their steps. */
export interface RunBatches {
  readonly batch: (step: number) => TrainingBatch | Promise<TrainingBatch>;
  /** Frees what made them ready. */
  readonly close: () => Promise<void>;
}

/** What runs are taught and measured by, drawn or photographed. */
export interface Teaching {
  readonly open: (model: RetinaFace, options: Omit<BatchOptions, 'real'>) => RunBatches;
  readonly held: Held;
  /** Pictures that are searched in one pass where their sizes agree. */
  readonly together: number;
}

/** Heights of faces in the scenes, and where medium and easy begin: thirds of the range, on a logarithmic scale. */
export function heightsOf(size: number): Record<'smallest' | 'medium' | 'easy' | 'largest', number> {
  const [smallest, largest] = [0.16 * size, 0.7 * size];
  const at = (share: number): number => smallest * (largest / smallest) ** share;
  return { smallest, medium: at(1 / 3), easy: at(2 / 3), largest };
}

/** Scenes to learn from and to measure on, drawn once and kept: drawing is no part of any run's time. */
export async function drawScenes(
  { size, scenes, held }: { readonly size: number; readonly scenes: number; readonly held: number },
  say: (words: string) => void,
): Promise<Material> {
  const { smallest, largest } = heightsOf(size);
  const began = performance.now();
  const draw = async (seed: number, count: number, options: SyntheticOptions): Promise<Example[]> => {
    const drawn: Example[] = [];
    const description = { kind: 'synthetic', seed, count, options: { faces: [1, 6], ...options } } as const;
    await using loader = new PictureLoader(description, { seed, batch: 1, prefetch: 16, cacheBytes: 0 });
    for await (const { indices, pictures, faces } of loader.batches(0)) {
      drawn[indices[0]!] = { picture: pictures[0]!, faces: faces[0]! };
    }
    return drawn;
  };
  const training = await draw(TRAINING_SCENES, scenes, {
    size: Math.round(1.25 * size),
    faceHeights: [1.1 * smallest, 1.1 * largest],
  });
  const kept = await draw(HELD_SCENES, held, { size, faceHeights: [smallest, largest] });
  say(`${training.length + kept.length} scenes drawn in ${formatSeconds((performance.now() - began) / 1000)}\n`);
  return { training, held: heldScenes(kept, size) };
}

export function heldScenes(scenes: readonly Example[], size: number): Held {
  const samples = scenes.map(({ faces }, i): Sample => ({ name: `scene ${i}`, faces }));
  const source: PictureSource = {
    length: scenes.length,
    name: (index) => samples[index]!.name,
    faces: (index) => samples[index]!.faces,
    load: (index) => Promise.resolve(scenes[index]!.picture),
  };
  return { source, truth: groundTruthByHeight(samples, heightsOf(size)) };
}

/** Real pictures, and which they are: a hash of their annotations. */
export interface RealMaterial extends Material {
  readonly identity: string;
}

/**
 * `NAME_annotations.json` in a folder and the pictures of the folder NAME beside it, or of the same folder: every fourth to be
 * measured on and, to `teach`, the others, read at once.
 * @throws FileError without such a file or with several, or with too few pictures; what reading them throws.
 */
export async function realPictures(folder: string, teach: boolean): Promise<RealMaterial> {
  const isFolder = await stat(folder).then(
    (info) => info.isDirectory(),
    () => false,
  );
  const ending = '_annotations.json';
  const [file, ...others] = isFolder ? (await readdir(folder)).filter((name) => name.endsWith(ending)) : [];
  const operation = `find real pictures in ${folder}`;
  if (file === undefined || others.length > 0) {
    throw new FileError({
      operation,
      expected: `one file *${ending} in that folder`,
      got: !isFolder ? 'no such folder' : file === undefined ? 'none' : [file, ...others].join(', '),
      remedy:
        'Name the folder that holds the annotations and, in a folder of that name, the pictures; or leave --real out.',
    });
  }
  const { pictures, subsets } = await readGroundTruth(join(folder, file));
  if (pictures.length < REAL_PARTS) {
    throw new FileError({
      operation,
      expected: `at least ${REAL_PARTS} pictures in ${file}, of which every ${REAL_PARTS}th is kept out of training`,
      got: String(pictures.length),
      remedy: 'Annotate more of them, or leave --real out.',
    });
  }
  const beside = join(folder, file.slice(0, -ending.length));
  // One search for all names, so that no file is found for two of them, to learn from and to be measured on.
  const files = await pictureFolder(
    existsSync(beside) ? beside : folder,
    pictures.map(({ name }) => name),
  );
  const isHeld = (index: number): boolean => index % REAL_PARTS === REAL_PARTS - 1;
  const held = [...pictures.keys()].filter(isHeld);
  const source: EvaluationSource = {
    length: held.length,
    name: (index) => files.name(held[index]!),
    load: (index) => files.load(held[index]!),
  };
  const training: Example[] = [];
  for (const [index, annotated] of pictures.entries()) {
    if (teach && !isHeld(index)) training.push({ picture: await files.load(index), faces: facesOf(annotated) });
  }
  const truth = { pictures: held.map((index) => pictures[index]!), subsets };
  const identity = createHash('sha256')
    .update(JSON.stringify(pictures.map(identityOf)))
    .digest('hex');
  return { training, held: { source, truth }, identity };
}

/** What makes two lists of annotations the same. */
const identityOf = ({ name, boxes, counts: { easy, medium, hard } }: AnnotatedPicture): unknown[] => [
  name,
  ...[boxes, easy, medium, hard].map((values) => [...values]),
];

/** The faces of a picture as they are taught. Such annotations have no landmarks. */
function facesOf({ boxes }: AnnotatedPicture): Face[] {
  const faces = Array.from({ length: boxes.length / 4 }, (_, i): Face => {
    const [x1, y1, x2, y2] = boxes.subarray(4 * i, 4 * i + 4) as unknown as Face['box'];
    return { box: [x1, y1, x2, y2] };
  });
  return faces.filter(({ box: [x1, y1, x2, y2] }) => x2 - x1 >= LEAST_FACE && y2 - y1 >= LEAST_FACE);
}

/** `count` examples for any step: in an order of each epoch's own, cropped, flipped and coloured by the seed. */
function draws(
  examples: readonly Example[],
  {
    count,
    seed,
    scales,
  }: { readonly count: number; readonly seed: number; readonly scales: (example: Example) => readonly number[] },
): (step: number) => PlannedPicture[] {
  const orders = new Map<number, Uint32Array>();
  return (step) =>
    Array.from({ length: count }, (_, i) => {
      const at = step * count + i;
      const epoch = Math.floor(at / examples.length);
      let order = orders.get(epoch);
      if (!order) orders.set(epoch, (order = epochOrder(seed, epoch, examples.length)));
      const index = order[at % examples.length]!;
      const example = examples[index]!;
      const random = randomOf(seed, epoch, index);
      const plan = drawAugmentation(random, example.picture, example.faces, { scales: scales(example) });
      return { ...example, plan };
    });
}

/** What separates the draws of real pictures from those of scenes. */
const REAL_DRAWS = 2 ** 33;

/** What batches are made of. */
export interface BatchOptions {
  /** At least 2 with real pictures. */
  readonly batch: number;
  /** Edge of the input in pixels. */
  readonly size: number;
  readonly seed: number;
  /** Fill half of each batch, or a little less, in the place of scenes. */
  readonly real?: readonly Example[];
}

/**
 * The batch of any step. Scenes stay beside real pictures, which have no landmarks: what is learnt of those must not be lost.
 */
export function batches(
  model: RetinaFace,
  scenes: readonly Example[],
  { batch, size, seed, real }: BatchOptions,
): (step: number) => TrainingBatch {
  const ofReal = real ? Math.floor(batch / 2) : 0;
  const parts = [draws(scenes, { count: batch - ofReal, seed, scales: () => SCENE_CROPS })];
  if (real) {
    const scales = ({ picture: { width, height } }: Example): readonly number[] =>
      realScales(size, Math.min(width, height));
    parts.push(draws(real, { count: ofReal, seed: seed + REAL_DRAWS, scales }));
  }
  return (step) =>
    plannedBatch(
      model.gpu,
      parts.flatMap((part) => part(step)),
      { size, ...model.network.configuration.input },
    );
}

/** Scenes as what runs are taught by. */
export function teachScenes({ training, held }: Material): Teaching {
  return {
    open: (model, options) => ({ batch: batches(model, training, options), close: () => Promise.resolve() }),
    held,
    together: 16,
  };
}

/** Faces that count in easy and medium on photographs, in pixels of the picture; all count in hard. */
export const PHOTOGRAPH_HEIGHTS = { easy: HEIGHTS[0], medium: HEIGHTS[1] } as const;

/**
 * Photographs of files of labels as what runs are taught by: read as they are needed, by a thread of its own, and measured on at
 * most `most` of those that are held out, the first of them by their place among all.
 * @throws FileError where none of those can be read; ArgumentError where none is held out.
 */
export async function teachPhotographs(
  sources: TrainingSources,
  { most, say }: { readonly most: number; readonly say: (words: string) => void },
): Promise<Teaching> {
  const all = await sources.held(say);
  if (!all) {
    throw new ArgumentError({
      operation: 'reproduce',
      expected: 'a share of the photographs to measure on',
      got: 'none',
      remedy: 'Leave --holdout out: it keeps a fifth of them.',
    });
  }
  const places = [...all.samples.keys()]
    .toSorted((a, b) => holdoutPlace(all.samples[a]!.name) - holdoutPlace(all.samples[b]!.name))
    .slice(0, most);
  const samples = places.map((place) => all.samples[place]!);
  const source: EvaluationSource = {
    length: samples.length,
    name: (index) => samples[index]!.name,
    load: (index) => all.source.load(places[index]!),
  };
  return {
    open: (model, { batch, size, seed }) => {
      const loader = new PictureLoader(sources.training, { seed, batch, workers: 1 });
      const { stepsPerEpoch } = loader;
      return {
        async batch(step) {
          const epoch = Math.floor(step / stepsPerEpoch);
          const { value } = await loader.batches(epoch, step % stepsPerEpoch).next();
          if (!value) throw new RangeError(`no step ${step}`);
          const planned = value.pictures.map((picture, i): PlannedPicture => {
            const faces = value.faces[i]!;
            const short = Math.min(picture.width, picture.height);
            const random = randomOf(seed, epoch, value.slots[i]!);
            return {
              picture,
              faces,
              plan: drawAugmentation(random, picture, faces, { scales: realScales(size, short) }),
            };
          });
          return plannedBatch(model.gpu, planned, { size, ...model.network.configuration.input });
        },
        close: () => loader.close(),
      };
    },
    held: { source, truth: groundTruthByHeight(samples, PHOTOGRAPH_HEIGHTS) },
    together: 1,
  };
}

/** Edges of crops of a real picture relative to its short side: what an input of `size` shows of it at 1 to 2 times its pixels. */
function realScales(size: number, short: number): readonly number[] {
  return REAL_CROPS.map((crop) => Math.min(1, (crop * size) / short));
}
