import { describe } from '../gpu/arguments.js';
import { ArgumentError } from '../gpu/errors.js';
import type { Picture } from '../image/picture.js';

/** A labelled face, in pixels of its picture; edges are coordinates, so a box of one pixel is [x, y, x + 1, y + 1]. */
export interface Face {
  readonly box: readonly [x1: number, y1: number, x2: number, y2: number];
  /** x, y of left eye, right eye, nose, left and right mouth corner, as seen in the picture; absent where not annotated. */
  readonly landmarks?: readonly number[];
}

/** Throws an ArgumentError for what is no labelled face: what `detect` answers has its box by names, and is none. */
export function checkFace(operation: string, face: Face): void {
  const areNumbers = (list: readonly number[], count: number): boolean => {
    const numbers = Array.from(list);
    return numbers.length === count && numbers.every(Number.isFinite);
  };
  const { box, landmarks = [] } = face;
  if (areNumbers(box, 4) && (landmarks.length === 0 || areNumbers(landmarks, 10))) return;
  throw new ArgumentError({
    operation,
    expected: 'faces with a box [x1, y1, x2, y2], and ten numbers as landmarks or none',
    got: describe(face),
    remedy: 'Of a face that `detect` answered, write box: [box.x1, box.y1, box.x2, box.y2].',
  });
}

/** A labelled picture that is not decoded yet. */
export interface Sample {
  /** The path below the folder of pictures, with `/`. */
  readonly name: string;
  readonly faces: readonly Face[];
}

/** Labelled pictures that are decoded, or drawn, when they are asked for. */
export interface PictureSource {
  readonly length: number;
  name(index: number): string;
  faces(index: number): readonly Face[];
  /** @throws ImageError or FileError for a picture that cannot be read. */
  load(index: number): Promise<Picture>;
}
