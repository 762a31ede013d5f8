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
