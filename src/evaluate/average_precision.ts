import { checkOptions, type OptionKinds } from '../gpu/arguments.js';
import { ArgumentError } from '../gpu/errors.js';
import { type Detections, type Matches, matchDetections, type Predictions } from './detections.js';
import { type GroundTruth, type Subset, SUBSETS } from './ground_truth.js';

/** What the protocol of WIDER FACE fixes, and other sets may change. */
export interface AveragePrecisionOptions {
  /** Least IoU at which a detection meets a face; above 0, at most 1. Default 0.5. */
  readonly iouThreshold?: number;
  /** Scores at which the curve is read, evenly spaced over the normalised range; at least 1. Default 1,000. */
  readonly thresholds?: number;
}

/** Types of the options. */
export const PRECISION_OPTIONS: OptionKinds<AveragePrecisionOptions> = { iouThreshold: 'number', thresholds: 'number' };

/** A precision–recall curve and what lies under it. */
export interface PrecisionRecall {
  /** Area under the curve's envelope, 0 to 1; NaN where no face counts. */
  readonly averagePrecision: number;
  /** By falling score threshold; 0 where nothing is detected yet. */
  readonly precision: Float64Array;
  /** By falling score threshold, rising. */
  readonly recall: Float64Array;
  /** Faces that count. */
  readonly faces: number;
}

/** Average precision on the three subsets of WIDER FACE, with their curves. */
export interface WiderPrecision {
  readonly easy: number;
  readonly medium: number;
  readonly hard: number;
  readonly curves: Readonly<Record<Subset, PrecisionRecall>>;
}

/** One picture of any set: its faces, and what was found. */
export interface ScoredPicture {
  /** x1, y1, x2, y2 of each face, in pixels. */
  readonly boxes: Float64Array;
  /** 1 for each face that counts, 0 for one that is neither asked for nor held against a detection. All count by default. */
  readonly counts?: Uint8Array;
  /** What was found; nothing by default. */
  readonly detections?: Detections | undefined;
}

/**
 * Average precision by the official evaluation of WIDER FACE (Yang et al. 2016), whose code this equals digit by digit:
 * scores are brought to 0–1 over the whole set; in a picture, by falling score, each detection takes the face of its
 * greatest IoU among all faces; one that does not count takes the detection out of the count; one that counts is found
 * once, and later detections of it are false. Detections in pictures without any face are left out. Precision and recall
 * are read at 1,000 thresholds 1 − (t + 1)/1000; the area is that under the precision's envelope.
 *
 * Pictures without predictions count their faces. Where all scores are equal they are taken as 1 (the official code divides
 * zero by zero there).
 * @throws ArgumentError for predictions of pictures that the ground truth does not have, and for options out of range.
 */
export function averagePrecision(
  groundTruth: GroundTruth,
  predictions: Predictions,
  options: AveragePrecisionOptions = {},
): WiderPrecision {
  checkOptions('averagePrecision', { groundTruth, predictions }, { groundTruth: 'object!', predictions: 'object!' });
  const { iouThreshold, thresholds } = settingsOf('averagePrecision', options);
  const names = new Set(groundTruth.pictures.map(({ name }) => name));
  for (const name of predictions.keys()) {
    if (names.has(name)) continue;
    throw new ArgumentError({
      operation: 'averagePrecision',
      expected: 'predictions of pictures of the ground truth',
      got: `some of '${name}'`,
      remedy: 'Name pictures as the ground truth does: the folder of the event, a slash, the file without its ending.',
    });
  }
  const normalise = normaliser(predictions.values());
  const matched = groundTruth.pictures.map((picture) => {
    const detections = predictions.get(picture.name);
    const matches = detections && matchDetections(picture.boxes, detections, iouThreshold);
    return { picture, detections, matches };
  });
  const curveOf = (subset: Subset): PrecisionRecall => {
    const curve = new Counter(thresholds, normalise);
    for (const { picture, detections, matches } of matched) curve.add(picture.counts[subset], detections, matches);
    return curve.finish();
  };
  const [easy, medium, hard] = SUBSETS.map(curveOf) as [PrecisionRecall, PrecisionRecall, PrecisionRecall];
  return {
    easy: easy.averagePrecision,
    medium: medium.averagePrecision,
    hard: hard.averagePrecision,
    curves: { easy, medium, hard },
  };
}

/**
 * The curve of one set of pictures by the same algorithm; without `counts` every face counts.
 * @throws ArgumentError for options out of range.
 */
export function precisionRecall(
  pictures: readonly ScoredPicture[],
  options: AveragePrecisionOptions = {},
): PrecisionRecall {
  const { iouThreshold, thresholds } = settingsOf('precisionRecall', options);
  const found = pictures.flatMap(({ detections }) => detections ?? []);
  const curve = new Counter(thresholds, normaliser(found));
  for (const { boxes, counts = new Uint8Array(boxes.length / 4).fill(1), detections } of pictures) {
    curve.add(counts, detections, detections && matchDetections(boxes, detections, iouThreshold));
  }
  return curve.finish();
}

/** Brings the scores of a whole set to 0–1. The bounds start at 1 and 0, as the official code has them. */
function normaliser(all: Iterable<Detections>): (score: number) => number {
  let least = 1;
  let greatest = 0;
  for (const { scores } of all) {
    for (const score of scores) {
      if (score < least) least = score;
      if (score > greatest) greatest = score;
    }
  }
  const range = greatest - least;
  return range > 0 ? (score) => (score - least) / range : () => 1;
}

/** Counts detections and found faces by the first threshold that lets them in. */
class Counter {
  readonly #thresholds: Float64Array;
  readonly #normalise: (score: number) => number;
  readonly #detected: Float64Array;
  readonly #found: Float64Array;
  #faces = 0;

  constructor(count: number, normalise: (score: number) => number) {
    this.#thresholds = Float64Array.from({ length: count }, (_, t) => 1 - (t + 1) / count);
    this.#normalise = normalise;
    this.#detected = new Float64Array(count);
    this.#found = new Float64Array(count);
  }

  add(counts: Uint8Array, detections: Detections | undefined, matches: Matches | undefined): void {
    for (const counted of counts) this.#faces += counted;
    if (!detections || !matches || counts.length === 0) return;
    const taken = new Uint8Array(counts.length);
    for (const i of matches.order) {
      const face = matches.face[i]!;
      if (face >= 0 && counts[face] === 0) continue;
      const t = this.#firstThreshold(this.#normalise(detections.scores[i]!));
      this.#detected[t]!++;
      if (face < 0 || taken[face] === 1) continue;
      taken[face] = 1;
      this.#found[t]!++;
    }
  }

  /** The first threshold that is not above the score; the last one is 0, so there is one. */
  #firstThreshold(score: number): number {
    let [low, high] = [0, this.#thresholds.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (score >= this.#thresholds[middle]!) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  finish(): PrecisionRecall {
    const count = this.#thresholds.length;
    const precision = new Float64Array(count);
    const recall = new Float64Array(count);
    let detected = 0;
    let found = 0;
    for (let t = 0; t < count; t++) {
      detected += this.#detected[t]!;
      found += this.#found[t]!;
      precision[t] = detected === 0 ? 0 : found / detected;
      recall[t] = this.#faces === 0 ? 0 : found / this.#faces;
    }
    const faces = this.#faces;
    return { averagePrecision: faces === 0 ? Number.NaN : areaUnder(precision, recall), precision, recall, faces };
  }
}

/** The area under a curve whose precision is raised to the greatest one at any higher recall (PASCAL VOC 2010). */
function areaUnder(precision: Float64Array, recall: Float64Array): number {
  const envelope = Float64Array.from(precision);
  for (let t = envelope.length - 2; t >= 0; t--) envelope[t] = Math.max(envelope[t]!, envelope[t + 1]!);
  const areas: number[] = [];
  for (let t = 0; t < recall.length; t++) {
    const step = recall[t]! - (t === 0 ? 0 : recall[t - 1]!);
    if (step !== 0) areas.push(step * envelope[t]!);
  }
  return pairwiseSum(areas, 0, areas.length);
}

/** Numbers summed in eight lanes and in halves, the order of NumPy's `sum`: the last digits of an AP depend on it. */
function pairwiseSum(values: readonly number[], start: number, end: number): number {
  const count = end - start;
  if (count > 128) {
    const middle = start + (count >> 1) - ((count >> 1) % 8);
    return pairwiseSum(values, start, middle) + pairwiseSum(values, middle, end);
  }
  let sum = 0;
  let next = start;
  if (count >= 8) {
    const lanes = values.slice(start, start + 8) as [number, number, number, number, number, number, number, number];
    for (next = start + 8; next + 8 <= end; next += 8) {
      for (let lane = 0; lane < 8; lane++) lanes[lane]! += values[next + lane]!;
    }
    const [a, b, c, d, e, f, g, h] = lanes;
    sum = a + b + (c + d) + (e + f + (g + h));
  }
  for (; next < end; next++) sum += values[next]!;
  return sum;
}

function settingsOf(operation: string, options: AveragePrecisionOptions): Required<AveragePrecisionOptions> {
  checkOptions(operation, options, PRECISION_OPTIONS);
  const { iouThreshold = 0.5, thresholds = 1000 } = options;
  if (iouThreshold > 0 && iouThreshold <= 1 && Number.isInteger(thresholds) && thresholds >= 1) {
    return { iouThreshold, thresholds };
  }
  throw new ArgumentError({
    operation,
    expected: 'an iouThreshold above 0 and at most 1, and a whole number of thresholds',
    got: `${iouThreshold} and ${thresholds}`,
    remedy: 'Leave both out for the official protocol.',
  });
}
