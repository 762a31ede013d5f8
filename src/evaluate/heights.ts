import { averagePrecision, type AveragePrecisionOptions } from './average_precision.js';
import type { Predictions } from './detections.js';
import { countByHeight, type GroundTruth } from './ground_truth.js';
import { type LandmarkErrors, landmarkErrors } from './landmarks.js';

/** Least heights of faces in pixels: those that are easily seen, those that most detectors find, all. */
export const HEIGHTS = [50, 24, 0] as const;

/** Faces from this height on have landmarks worth measuring. */
export const LANDMARK_HEIGHT = 40;

/** The precision on faces from one height on; lower ones are neither asked for nor held against a detection. */
export interface HeightPrecision {
  /** Least height of the boxes that count, in pixels of the picture; 0: all. */
  readonly least: number;
  /** 0 to 1; NaN where no face counts. */
  readonly averagePrecision: number;
  /** Faces that count. */
  readonly faces: number;
}

/** What detections are worth by the height of faces, the tallest first, and their landmarks on those from 40 pixels on. */
export interface HeightEvaluation {
  readonly precisions: readonly HeightPrecision[];
  /** Over √(w·h) of the box; undefined where ground truth or detections have none. */
  readonly landmarks: LandmarkErrors | undefined;
}

/**
 * Average precision by the protocol of `averagePrecision` on faces of 50 pixels and more, of 24 and more, and on all: one figure
 * over all, most of them tiny in WIDER FACE, hides whether the others are found.
 * @throws what `averagePrecision` throws.
 */
export function evaluateHeights(
  groundTruth: GroundTruth,
  predictions: Predictions,
  options: AveragePrecisionOptions = {},
): HeightEvaluation {
  const [easy, medium] = HEIGHTS;
  const { curves } = averagePrecision(countByHeight(groundTruth, { easy, medium }), predictions, options);
  const [tall, middle, all] = [curves.easy, curves.medium, curves.hard];
  const { iouThreshold } = options;
  const landmarks = landmarkErrors(groundTruth, predictions, {
    ...(iouThreshold === undefined ? {} : { iouThreshold }),
    leastHeight: LANDMARK_HEIGHT,
  });
  return {
    precisions: [tall, middle, all].map(({ averagePrecision: value, faces }, i) => ({
      least: HEIGHTS[i]!,
      averagePrecision: value,
      faces,
    })),
    landmarks,
  };
}

/** What a figure of these is called: `from 50 px`, `all`. */
export function heightName(least: number): string {
  return least === 0 ? 'all' : `from ${least} px`;
}

/** The mean of the precisions that there are: each range of heights counts alike. NaN where no face counts. */
export function meanPrecision({ precisions }: HeightEvaluation): number {
  const known = precisions.map(({ averagePrecision: value }) => value).filter((value) => !Number.isNaN(value));
  return known.reduce((sum, value) => sum + value, 0) / known.length;
}
