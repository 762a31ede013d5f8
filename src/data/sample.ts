import type { Picture } from '../image/picture.js';

/** A labelled face, in pixels of its picture; edges are coordinates, so a box of one pixel is [x, y, x + 1, y + 1]. */
export interface Face {
  readonly box: readonly [x1: number, y1: number, x2: number, y2: number];
  /** x, y of left eye, right eye, nose, left and right mouth corner, as seen in the picture; absent where not annotated. */
  readonly landmarks?: readonly number[];
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
