import { checkOptions } from '../gpu/arguments.js';
import { ArgumentError } from '../gpu/errors.js';
import { matchDetections, type Predictions } from './detections.js';
import type { GroundTruth } from './ground_truth.js';

/** How landmarks are measured. */
export interface LandmarkOptions {
  /** Least IoU at which a detection is of a face; above 0, at most 1. Default 0.5. */
  readonly iouThreshold?: number;
  /** A face whose error is above this has failed. Default 0.1. */
  readonly failureThreshold?: number;
  /** Faces whose box is lower than this are neither counted nor measured, in pixels. Default 0. */
  readonly leastHeight?: number;
}

/** Errors of landmarks on annotated faces that were found. */
export interface LandmarkErrors {
  /** Normalised mean error: mean distance of the five points over √(w·h) of the annotated box, over all faces found. */
  readonly meanError: number;
  /** Share of the faces found whose error is above the failure threshold. */
  readonly failureRate: number;
  /** Mean error of each point: left eye, right eye, nose, left and right mouth corner. */
  readonly perPoint: readonly number[];
  /** Annotated faces. */
  readonly faces: number;
  /** Those of them that were found, and so measured. */
  readonly found: number;
  /** Error of each face found. */
  readonly errors: Float64Array;
}

/**
 * Landmark errors by the measure of the RetinaFace paper (its §4.4): over √(w·h) of the box, and the share that fails at
 * 10 %. Each annotated face is measured by the best-scored detection that meets it; faces that nothing meets are counted
 * and not measured. NaN where no face was found; undefined where the ground truth or the detections have no landmarks.
 * @throws ArgumentError for options out of range.
 */
export function landmarkErrors(
  groundTruth: GroundTruth,
  predictions: Predictions,
  options: LandmarkOptions = {},
): LandmarkErrors | undefined {
  checkOptions('landmarkErrors', options, {
    iouThreshold: 'number',
    failureThreshold: 'number',
    leastHeight: 'number',
  });
  const { iouThreshold = 0.5, failureThreshold = 0.1, leastHeight = 0 } = options;
  if (!(iouThreshold > 0 && iouThreshold <= 1 && failureThreshold > 0 && leastHeight >= 0)) {
    throw new ArgumentError({
      operation: 'landmarkErrors',
      expected: 'an iouThreshold above 0 and at most 1, a failureThreshold above 0, a leastHeight of 0 or more',
      got: `${iouThreshold}, ${failureThreshold} and ${leastHeight}`,
      remedy: 'Leave them out for the usual ones.',
    });
  }
  let faces = 0;
  let measured = false;
  const errors: number[] = [];
  const sums = [0, 0, 0, 0, 0];
  for (const { name, boxes, landmarks } of groundTruth.pictures) {
    if (!landmarks) continue;
    const area = (face: number): number =>
      (boxes[4 * face + 2]! - boxes[4 * face]!) * (boxes[4 * face + 3]! - boxes[4 * face + 1]!);
    const annotated = (face: number): boolean =>
      area(face) > 0 &&
      boxes[4 * face + 3]! - boxes[4 * face + 1]! >= leastHeight &&
      landmarks.subarray(10 * face, 10 * face + 10).every((value) => Number.isFinite(value));
    for (let face = 0; face < boxes.length / 4; face++) if (annotated(face)) faces++;
    const detections = predictions.get(name);
    if (!detections?.landmarks) continue;
    measured = true;
    const { order, face: faceOf } = matchDetections(boxes, detections, iouThreshold);
    const taken = new Set<number>();
    for (const i of order) {
      const face = faceOf[i]!;
      if (face < 0 || taken.has(face) || !annotated(face)) continue;
      taken.add(face);
      const edge = Math.sqrt(area(face));
      let sum = 0;
      for (let point = 0; point < 5; point++) {
        const dx = detections.landmarks[10 * i + 2 * point]! - landmarks[10 * face + 2 * point]!;
        const dy = detections.landmarks[10 * i + 2 * point + 1]! - landmarks[10 * face + 2 * point + 1]!;
        const error = Math.hypot(dx, dy) / edge;
        sums[point]! += error;
        sum += error;
      }
      errors.push(sum / 5);
    }
  }
  if (faces === 0 || !measured) return undefined;
  const found = errors.length;
  return {
    meanError: errors.reduce((sum, error) => sum + error, 0) / found,
    failureRate: errors.filter((error) => error > failureThreshold).length / found,
    perPoint: sums.map((sum) => sum / found),
    faces,
    found,
    errors: Float64Array.from(errors),
  };
}
