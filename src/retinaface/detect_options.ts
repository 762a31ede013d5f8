import { ArgumentError } from '../gpu/errors.js';
import type { Size } from '../image/letterbox.js';

/** How faces are searched for. */
export interface DetectOptions {
  /** Faces must score more than this; 0 to 1. Default 0.5. */
  readonly scoreThreshold?: number;
  /** Of two boxes that overlap by more than this (IoU), the lower one is dropped; 0 to 1. Default 0.4. */
  readonly nmsThreshold?: number;
  /** At most so many faces a picture, the best ones. Default 750. */
  readonly maxFaces?: number;
  /** At most so many candidates enter non-maximum suppression (the report's protocol: 5,000). Default 5,000. */
  readonly topK?: number;
  /**
   * `'original'`: pixel for pixel. A number: scaled to fit a square of that many pixels; a width and a height: to fit
   * those. By default the picture's own size, scaled down to a long side of 2,150 pixels where it is larger.
   */
  readonly size?: 'original' | number | Size;
}

/** The options of `detect` with their defaults in place. */
export interface Detection {
  readonly scoreThreshold: number;
  readonly nmsThreshold: number;
  readonly maxFaces: number;
  readonly topK: number;
  readonly size: DetectOptions['size'];
}

/** The options of `detect`, checked. @throws ArgumentError for values out of range. */
export function detectionOf({
  scoreThreshold = 0.5,
  nmsThreshold = 0.4,
  maxFaces = 750,
  topK = 5000,
  size,
}: DetectOptions): Detection {
  const check = (name: string, value: number, valid: boolean, expected: string): void => {
    if (valid) return;
    throw new ArgumentError({
      operation: 'detect',
      expected: `${name} to be ${expected}`,
      got: String(value),
      remedy: `Pass another ${name}, or leave it out.`,
    });
  };
  const fraction = (value: number): boolean => value >= 0 && value <= 1;
  check('scoreThreshold', scoreThreshold, fraction(scoreThreshold), 'between 0 and 1');
  check('nmsThreshold', nmsThreshold, fraction(nmsThreshold), 'between 0 and 1');
  check('maxFaces', maxFaces, Number.isInteger(maxFaces) && maxFaces >= 1, 'a whole number of at least 1');
  check('topK', topK, Number.isInteger(topK) && topK >= 1, 'a whole number of at least 1');
  if (typeof size === 'number')
    check('size', size, Number.isInteger(size) && size >= 16, 'a whole number of at least 16');
  if (typeof size === 'object') {
    for (const side of [size.width, size.height])
      check('size', side, Number.isInteger(side) && side >= 1, 'whole numbers of at least 1');
  }
  return { scoreThreshold, nmsThreshold, maxFaces, topK, size };
}
