import type { PictureSource } from '../data/sample.js';
import { checkOptions, type OptionKinds, pickOptions } from '../gpu/arguments.js';
import { ArgumentError } from '../gpu/errors.js';
import type { Picture } from '../image/picture.js';
import type { Face } from '../image/face.js';
import type { DetectOptions } from '../retinaface/detect_options.js';
import {
  averagePrecision,
  type AveragePrecisionOptions,
  PRECISION_OPTIONS,
  type WiderPrecision,
} from './average_precision.js';
import type { Detections, Predictions } from './detections.js';
import { type GroundTruth, pictureName } from './ground_truth.js';
import { type LandmarkErrors, landmarkErrors } from './landmarks.js';
import { mirrorFace, mirrorPicture, voteBoxes } from '../image/passes.js';
import { roundDetections } from './predictions.js';
import { type Protocol, type ProtocolName, protocolOf, searchSize } from './protocol.js';

/** What finds faces: a `RetinaFace`, or anything that answers as it does. */
export interface Detector {
  detect(pictures: readonly Picture[], options?: DetectOptions): Promise<readonly (readonly Face[])[]>;
}

/** Where detections are kept while a set is searched, so that a search that stopped goes on where it was. */
export interface PredictionStore {
  /** What was written of a picture before, or nothing. */
  read(name: string): Promise<Detections | undefined>;
  write(name: string, detections: Detections): Promise<void>;
}

/** How a set is searched. */
export interface SearchOptions {
  /** Default `published`. */
  readonly protocol?: ProtocolName;
  /** Changes to that protocol. */
  readonly changes?: Partial<Protocol>;
  /** Pictures that share a pass where their sizes agree. Default 1. */
  readonly batch?: number;
  readonly store?: PredictionStore;
  /** Called after each batch; `kept` of the pictures done came from the store. */
  readonly onProgress?: (progress: { readonly done: number; readonly kept: number; readonly total: number }) => void;
  /** Hears of each picture that the device could search in tiles alone: another search than the protocol's. */
  readonly onTiled?: (name: string) => void;
  /** Ends the search between two batches; what it is aborted with is thrown. */
  readonly signal?: AbortSignal;
}

/** Types of the options. */
const SEARCH_OPTIONS: OptionKinds<SearchOptions> = {
  protocol: 'string',
  changes: 'object',
  batch: 'number',
  store: 'object',
  onProgress: 'function',
  onTiled: 'function',
  signal: 'object',
};

/** How a model is evaluated. */
export interface EvaluateOptions extends SearchOptions, AveragePrecisionOptions {}

/** What an evaluation found. */
export interface Evaluation extends WiderPrecision {
  readonly protocol: Protocol;
  readonly predictions: Predictions;
  /** Where the ground truth and the model have landmarks. */
  readonly landmarks: LandmarkErrors | undefined;
}

/** Pictures by their names, with or without ending: a data set's `PictureSource`. */
export type EvaluationSource = Pick<PictureSource, 'length' | 'name' | 'load'>;

/**
 * Average precision of a model on a set of pictures, and landmark errors where faces are annotated.
 *
 * ```ts
 * const { easy, medium, hard } = await evaluateModel(model, source, groundTruthFromSamples(samples));
 * ```
 * @throws ArgumentError where source and ground truth are not of the same pictures, or an option is unknown or out of range; what
 * `source.load` and `model.detect` throw.
 */
export async function evaluateModel(
  model: Detector,
  source: EvaluationSource,
  groundTruth: GroundTruth,
  options: EvaluateOptions = {},
): Promise<Evaluation> {
  checkOptions(
    'evaluateModel',
    { model, source, groundTruth },
    { model: 'object!', source: 'object!', groundTruth: 'object!' },
  );
  checkOptions('evaluateModel', options, { ...SEARCH_OPTIONS, ...PRECISION_OPTIONS });
  const names = Array.from({ length: source.length }, (_, i) => pictureName(source.name(i)));
  checkSamePictures(names, groundTruth);
  const predictions = await searchPictures(model, source, pickOptions(options, SEARCH_OPTIONS));
  const { iouThreshold } = options;
  return {
    ...averagePrecision(groundTruth, predictions, pickOptions(options, PRECISION_OPTIONS)),
    protocol: protocolOf(options.protocol, options.changes),
    predictions,
    landmarks: landmarkErrors(groundTruth, predictions, iouThreshold === undefined ? {} : { iouThreshold }),
  };
}

/**
 * Detections of a set of pictures by a protocol, to the precision of prediction files.
 * @throws ArgumentError for options that there are not or that are out of range; what `source.load`, `model.detect` and the store throw.
 */
export async function searchPictures(
  model: Detector,
  source: EvaluationSource,
  options: SearchOptions = {},
): Promise<Map<string, Detections>> {
  checkOptions('searchPictures', options, SEARCH_OPTIONS);
  const protocol = protocolOf(options.protocol, options.changes);
  const { batch = 1, store, onProgress, signal } = options;
  if (!Number.isInteger(batch) || batch < 1) {
    throw new ArgumentError({
      operation: 'evaluate',
      expected: 'a batch of one or more pictures',
      got: String(batch),
      remedy: 'Pass a whole number of at least 1.',
    });
  }
  const predictions = new Map<string, Detections>();
  let kept = 0;
  let pending: number[] = [];
  const search = async (): Promise<void> => {
    const pictures = await Promise.all(pending.map((i) => source.load(i)));
    const tiled = new Set<number>();
    const found = await searchBatch(model, pictures, protocol, (k) => tiled.add(k));
    for (const k of tiled) options.onTiled?.(pictureName(source.name(pending[k]!)));
    for (const [k, i] of pending.entries()) {
      const name = pictureName(source.name(i));
      const detections = roundDetections(detectionsOf(found[k]!));
      await store?.write(name, detections);
      predictions.set(name, detections);
    }
    pending = [];
  };
  for (let i = 0; i < source.length; i++) {
    signal?.throwIfAborted();
    const name = pictureName(source.name(i));
    const known = await store?.read(name);
    if (known) {
      predictions.set(name, known);
      kept++;
    } else pending.push(i);
    if (pending.length >= batch || i === source.length - 1) {
      await search();
      onProgress?.({ done: predictions.size, kept, total: source.length });
    }
  }
  return predictions;
}

/** Faces of each picture: those of one pass as they are, those of several put to the vote. */
async function searchBatch(
  model: Detector,
  pictures: readonly Picture[],
  protocol: Protocol,
  onTiled: (index: number) => void,
): Promise<readonly (readonly Face[])[]> {
  const { scoreThreshold, topK, maxFaces, nmsThreshold, flip, scales } = protocol;
  const found = pictures.map((): (readonly Face[])[] => []);
  for (const scale of scales) {
    for (const mirrored of flip ? [false, true] : [false]) {
      // Pictures of one size go together; sizes are those of the search.
      const groups = new Map<string, number[]>();
      for (const [k, picture] of pictures.entries()) {
        const key = JSON.stringify(searchSize(picture, protocol, scale));
        groups.set(key, [...(groups.get(key) ?? []), k]);
      }
      for (const group of groups.values()) {
        const size = searchSize(pictures[group[0]!]!, protocol, scale)!;
        const searched = group.map((k) => (mirrored ? mirrorPicture(pictures[k]!) : pictures[k]!));
        const options = { scoreThreshold, topK, maxFaces, nmsThreshold, size };
        const faces = await model.detect(searched, {
          ...options,
          onTiled: (at) => {
            onTiled(group[at]!);
          },
        });
        for (const [at, k] of group.entries()) {
          const { width } = pictures[k]!;
          found[k]!.push(mirrored ? faces[at]!.map((face) => mirrorFace(face, width)) : faces[at]!);
        }
      }
    }
  }
  return found.map((passes) => (passes.length === 1 ? passes[0]! : voteBoxes(passes.flat(), nmsThreshold)));
}

/** Faces as rows of numbers. */
export function detectionsOf(faces: readonly Face[]): Detections {
  const boxes = Float64Array.from(faces.flatMap(({ box: { x1, y1, x2, y2 } }) => [x1, y1, x2, y2]));
  const scores = Float64Array.from(faces, ({ score }) => score);
  if (faces.length === 0 || !faces.every(({ landmarks }) => landmarks)) return { boxes, scores };
  const points = faces.flatMap(({ landmarks }) => {
    const { leftEye, rightEye, nose, leftMouth, rightMouth } = landmarks!;
    return [leftEye, rightEye, nose, leftMouth, rightMouth].flatMap(({ x, y }) => [x, y]);
  });
  return { boxes, scores, landmarks: Float64Array.from(points) };
}

/** Throws an ArgumentError unless both lists are of the same pictures, each once. */
export function checkSamePictures(names: readonly string[], groundTruth: GroundTruth): void {
  const annotated = new Set(groundTruth.pictures.map(({ name }) => name));
  const given = new Set(names);
  const few = (list: readonly string[]): string =>
    `${list
      .slice(0, 3)
      .map((name) => `'${name}'`)
      .join(', ')}${list.length > 3 ? ` and ${list.length - 3} more` : ''}`;
  const fail = (expected: string, got: string): ArgumentError =>
    new ArgumentError({
      operation: 'evaluate',
      expected,
      got,
      remedy: 'Pass pictures and ground truth of one set, named alike: event/file, without ending.',
    });
  if (given.size < names.length) {
    const first = new Map([...names.entries()].map(([i, name]) => [name, i]));
    const twice = names.filter((name, i) => first.get(name) !== i);
    throw fail('every picture once', `${few(twice)} more than once`);
  }
  const unknown = names.filter((name) => !annotated.has(name));
  if (unknown.length > 0) throw fail('pictures that the ground truth has', few(unknown));
  const missing = groundTruth.pictures.map(({ name }) => name).filter((name) => !given.has(name));
  if (missing.length > 0) throw fail('every picture of the ground truth', `a set without ${few(missing)}`);
}
