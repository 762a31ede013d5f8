import type { Face, Point } from '../image/face.js';

/** Numbers of one face in a row of `selectFaces`: score, box, five points. */
const FACE_NUMBERS = 15;

/** Numbers of a row of `selectFaces`: how many faces, then each. */
export function rowLength(maxFaces: number): number {
  return 1 + maxFaces * FACE_NUMBERS;
}

/** The faces of one row of `selectFaces`, in pixels of the picture that was scaled by `scale`. */
export function readFaces(
  row: Float32Array,
  { scale, landmarks }: { readonly scale: number; readonly landmarks: boolean },
): Face[] {
  return Array.from({ length: row[0]! }, (_, i) => {
    const at = 1 + i * FACE_NUMBERS;
    const value = (k: number): number => row[at + k]! / scale;
    const point = (k: number): Point => ({ x: value(5 + 2 * k), y: value(6 + 2 * k) });
    return {
      score: row[at]!,
      box: { x1: value(1), y1: value(2), x2: value(3), y2: value(4) },
      ...(landmarks
        ? {
            landmarks: {
              leftEye: point(0),
              rightEye: point(1),
              nose: point(2),
              leftMouth: point(3),
              rightMouth: point(4),
            },
          }
        : {}),
    };
  });
}
