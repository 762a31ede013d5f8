/** A place in a picture, in pixels; (0, 0) is the corner at the top left of its first pixel. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** A box in pixels of the picture that was passed. It may reach past the picture's edges. */
export interface Box {
  readonly x1: number;
  readonly y1: number;
  readonly x2: number;
  readonly y2: number;
}

/** Five points of a face. Left is the picture's left, as in WIDER FACE: of an upright face, the person's right eye. */
export interface Landmarks {
  readonly leftEye: Point;
  readonly rightEye: Point;
  readonly nose: Point;
  readonly leftMouth: Point;
  readonly rightMouth: Point;
}

/** One face. */
export interface Face {
  /** 0 to 1. */
  readonly score: number;
  readonly box: Box;
  /** Absent for networks without the landmark task. */
  readonly landmarks?: Landmarks;
}

/** Intersection over union of two boxes, as areas of the plane. */
export function iouOf(a: Box, b: Box): number {
  const w = Math.min(a.x2, b.x2) - Math.max(a.x1, b.x1);
  const h = Math.min(a.y2, b.y2) - Math.max(a.y1, b.y1);
  if (!(w > 0 && h > 0)) return 0;
  return (w * h) / ((a.x2 - a.x1) * (a.y2 - a.y1) + (b.x2 - b.x1) * (b.y2 - b.y1) - w * h);
}

/** Each point through the same function. */
export function mapLandmarks(landmarks: Landmarks, map: (point: Point) => Point): Landmarks {
  return {
    leftEye: map(landmarks.leftEye),
    rightEye: map(landmarks.rightEye),
    nose: map(landmarks.nose),
    leftMouth: map(landmarks.leftMouth),
    rightMouth: map(landmarks.rightMouth),
  };
}
