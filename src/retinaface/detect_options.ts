import { checkOptions, describe } from '../gpu/arguments.js';
import { ArgumentError } from '../gpu/errors.js';
import type { Size } from '../image/letterbox.js';

/** Degrees clockwise. */
export type Rotation = 0 | 90 | 180 | 270;

/** How faces are searched for. */
export interface DetectOptions {
  /** Faces must score more than this; 0 to 1. Default 0.5. */
  readonly scoreThreshold?: number;
  /** Of two boxes that overlap by more than this (IoU), the lower one is dropped; 0 to 1. Default 0.4. */
  readonly nmsThreshold?: number;
  /** At most so many faces a picture, the best ones. Default 750. */
  readonly maxFaces?: number;
  /** At most so many candidates enter non-maximum suppression (the report's protocol: 5,000). Default 5,000; up to 32,768. */
  readonly topK?: number;
  /**
   * `'original'`: pixel for pixel, in tiles where the picture is too large for the device. A number: scaled to fit a square of
   * that many pixels; a width and a height: to fit those. By default the picture's own size, scaled down to a long side of
   * 2,150 pixels where it is larger.
   */
  readonly size?: 'original' | number | Size;
  /**
   * Each picture is searched at that size times each of these, and what several find is one face: `[1, 2]` for faces of a few
   * pixels, `[0.5, 1]` for some that fill the picture. Above 0, at most 16. By default that size alone; a picture that is searched
   * at a long side of more than 1,280 pixels, since neither this nor `size` is passed, is searched at 640, too, for faces that are
   * larger than any anchor.
   */
  readonly scales?: readonly number[];
  /**
   * Each picture is searched turned clockwise by each of these degrees, and what is found is turned back: `[0, 90, 180, 270]` for
   * pictures and people that lie on their side or stand on their head. Of such faces left is left where the face is upright.
   * Default `[0]`.
   */
  readonly rotations?: readonly Rotation[];
  /** Ends the search; `detect` then throws the signal's reason, and what the device is about to finish harms nothing. */
  readonly signal?: AbortSignal;
  /** Hears of each picture that has more than `maxFaces` faces, by its place among those that were passed. */
  readonly onCut?: (index: number) => void;
  /** Hears of each picture that was searched in tiles, since it does not fit the device at its own size. */
  readonly onTiled?: (index: number) => void;
}

/** The options of `detect` with their defaults in place. */
export interface Detection {
  readonly scoreThreshold: number;
  readonly nmsThreshold: number;
  readonly maxFaces: number;
  readonly topK: number;
  readonly size: DetectOptions['size'];
  /** Each once; undefined where the picture's size decides. */
  readonly scales: readonly number[] | undefined;
  /** Quarters of a turn clockwise, each once. */
  readonly turns: readonly number[];
}

/** What `detect` takes where an option is left out. */
export const DETECT_DEFAULTS = {
  scoreThreshold: 0.5,
  nmsThreshold: 0.4,
  maxFaces: 750,
  topK: 5000,
  rotations: [0],
} as const;

/** Greatest multiple of a size. */
export const MAX_SCALE = 16;

/** Candidates whose removal mask fits the memory of a workgroup. */
const MOST_CANDIDATES = 32_768;

/** Pixels of a side at which pictures can be searched; the kernel that scales them counts in 32 bits. */
export const MAX_SIDE = 32_767;

/** The options of `detect`, checked. @throws ArgumentError for an unknown one, and for values of another type or out of range. */
export function detectionOf(options: DetectOptions): Detection {
  checkOptions('detect', options, {
    scoreThreshold: 'number',
    nmsThreshold: 'number',
    maxFaces: 'number',
    topK: 'number',
    size: 'any',
    scales: 'array',
    rotations: 'array',
    signal: 'object',
    onCut: 'function',
    onTiled: 'function',
  });
  const given: DetectOptions = { ...DETECT_DEFAULTS, ...defined(options) };
  const { scoreThreshold, nmsThreshold, maxFaces, topK, rotations } = given as Required<DetectOptions>;
  const { size, scales = size === undefined ? undefined : [1] } = given;
  const check = (name: keyof DetectOptions, value: unknown, valid: boolean, expected: string): void => {
    if (valid) return;
    throw new ArgumentError({
      operation: 'detect',
      expected: `${name} to be ${expected}`,
      got: Array.isArray(value) ? JSON.stringify(value) : describe(value),
      remedy: `Pass another ${name}, or leave it out.`,
    });
  };
  const whole = (value: unknown, least: number, most: number): boolean =>
    typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most;
  check('scoreThreshold', scoreThreshold, scoreThreshold >= 0 && scoreThreshold <= 1, 'between 0 and 1');
  check('nmsThreshold', nmsThreshold, nmsThreshold >= 0 && nmsThreshold <= 1, 'between 0 and 1');
  check('maxFaces', maxFaces, whole(maxFaces, 1, Infinity), 'a whole number of at least 1');
  const candidates = `a whole number of 1 to ${MOST_CANDIDATES.toLocaleString('en')}`;
  check('topK', topK, whole(topK, 1, MOST_CANDIDATES), candidates);
  if (typeof size === 'object' && (size as unknown) !== null) {
    checkOptions('detect', size, { width: 'number!', height: 'number!' });
    const sides = whole(size.width, 1, MAX_SIDE) && whole(size.height, 1, MAX_SIDE);
    check('size', `${size.width}×${size.height}`, sides, `a width and a height of 1 to ${MAX_SIDE} whole pixels`);
  } else {
    const valid = size === undefined || size === 'original' || whole(size, 16, MAX_SIDE);
    check('size', size, valid, `'original', a whole number of 16 to ${MAX_SIDE}, or { width, height }`);
  }
  const isScale = (scale: unknown): boolean => typeof scale === 'number' && scale > 0 && scale <= MAX_SCALE;
  const areScales = !scales || (scales.length > 0 && scales.every(isScale));
  check('scales', scales, areScales, `factors above 0 and at most ${MAX_SCALE}`);
  const isRotation = (degrees: unknown): boolean => [0, 90, 180, 270].some((each) => each === degrees);
  check('rotations', rotations, rotations.length > 0 && rotations.every(isRotation), 'some of 0, 90, 180, 270');
  // More faces than candidates there never are.
  return {
    scoreThreshold,
    nmsThreshold,
    maxFaces: Math.min(maxFaces, topK),
    topK,
    size,
    scales: scales && [...new Set(scales)],
    turns: [...new Set(rotations)].map((degrees) => degrees / 90),
  };
}

/** Without what is undefined, which counts as absent. */
function defined(options: DetectOptions): DetectOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}
