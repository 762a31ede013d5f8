import type { Size } from '../image/letterbox.js';
import { type DetectOptions, MAX_SIDE } from '../retinaface/detect_options.js';
import { checkOptions, describe } from '../gpu/arguments.js';
import { ArgumentError } from '../gpu/errors.js';

/** The size at which pictures are searched: their own; fitted to N×N; or a short side, up to a greatest long one. */
export type SearchSize = 'original' | number | { readonly shortSide: number; readonly longSide: number };

/** How a set of pictures is searched: all that an average precision depends on besides the model. */
export interface Protocol {
  /** The protocol that the others of these start from. */
  readonly name: string;
  /** Detections must score more than this; 0 to 1. */
  readonly scoreThreshold: number;
  /** At most so many candidates enter suppression, of each picture and pass. */
  readonly topK: number;
  /** At most so many detections of each picture and pass. */
  readonly maxFaces: number;
  /** Of two detections that overlap by more than this (IoU) one goes; boxes vote where they overlap by more. 0 to 1. */
  readonly nmsThreshold: number;
  readonly size: SearchSize;
  /** Each picture is searched mirrored as well. */
  readonly flip: boolean;
  /** Each picture is searched at its size times each of these. */
  readonly scales: readonly number[];
}

/** As many candidates as suppression holds. */
const ALL = 32_768;

/**
 * `published`: biubug6/Pytorch_Retinaface at the pictures' own size, no limit before suppression. `report`: the best 5,000
 * before suppression. Both: score > 0.02, suppression at 0.4, one pass.
 */
export const protocols = {
  published: {
    name: 'published',
    scoreThreshold: 0.02,
    topK: ALL,
    maxFaces: ALL,
    nmsThreshold: 0.4,
    size: 'original',
    flip: false,
    scales: [1],
  },
  report: {
    name: 'report',
    scoreThreshold: 0.02,
    topK: 5000,
    maxFaces: 5000,
    nmsThreshold: 0.4,
    size: 'original',
    flip: false,
    scales: [1],
  },
} as const satisfies Record<string, Protocol>;

export type ProtocolName = keyof typeof protocols;

/** The size that the published code scales pictures to unless it keeps their own. */
export const PUBLISHED_SCALED: SearchSize = { shortSide: 1600, longSide: 2150 };

/** A named protocol with changes. @throws ArgumentError for an unknown name, unknown changes, and values out of range. */
export function protocolOf(name: ProtocolName = 'published', changes: Partial<Protocol> = {}): Protocol {
  checkOptions('evaluate', changes, {
    name: 'string',
    scoreThreshold: 'number',
    topK: 'number',
    maxFaces: 'number',
    nmsThreshold: 'number',
    size: 'any',
    flip: 'boolean',
    scales: 'array',
  });
  if (!Object.hasOwn(protocols, name)) {
    throw new ArgumentError({
      operation: 'evaluate',
      expected: `a protocol of ${Object.keys(protocols).join(', ')}`,
      got: describe(name),
      remedy: 'Name one of them; `changes` says how yours differs.',
    });
  }
  const protocol: Protocol = { ...protocols[name], ...changes };
  const { scoreThreshold, topK, maxFaces, nmsThreshold, size, scales } = protocol;
  const check = (valid: boolean, what: string, expected: string, got: unknown): void => {
    if (valid) return;
    throw new ArgumentError({
      operation: 'evaluate',
      expected: `${what} to be ${expected}`,
      got: JSON.stringify(got),
      remedy: `Pass another, or leave it out for that of the protocol '${name}'.`,
    });
  };
  const fraction = (value: number): boolean => value >= 0 && value <= 1;
  const whole = (value: number, most: number): boolean => Number.isInteger(value) && value >= 1 && value <= most;
  check(fraction(scoreThreshold), 'scoreThreshold', 'between 0 and 1', scoreThreshold);
  check(fraction(nmsThreshold), 'nmsThreshold', 'between 0 and 1', nmsThreshold);
  check(whole(topK, ALL), 'topK', `a whole number of 1 to ${ALL}`, topK);
  check(whole(maxFaces, ALL), 'maxFaces', `a whole number of 1 to ${ALL}`, maxFaces);
  const validSize =
    size === 'original' ||
    (typeof size === 'number'
      ? Number.isInteger(size) && size >= 16 && size <= MAX_SIDE
      : size.shortSide >= 16 && size.longSide >= size.shortSide && size.longSide <= MAX_SIDE);
  const sides = `'original', a whole number of 16 to ${MAX_SIDE}, or a short and a long side of as many`;
  check(validSize, 'size', sides, size);
  const validScales = scales.length > 0 && scales.every((scale) => scale > 0 && scale <= 16);
  check(validScales, 'scales', 'one or more factors above 0 and at most 16', scales);
  return protocol;
}

/** What `detect` is told to search a picture at the protocol's size times `scale`. */
export function searchSize({ width, height }: Size, { size }: Protocol, scale: number): DetectOptions['size'] {
  if (typeof size === 'number') return Math.max(16, Math.round(size * scale));
  let factor = scale;
  if (size !== 'original') {
    const [short, long] = [Math.min(width, height), Math.max(width, height)];
    factor *= Math.min(size.shortSide / short, size.longSide / long);
  }
  if (factor === 1) return 'original';
  return { width: Math.max(1, Math.round(width * factor)), height: Math.max(1, Math.round(height * factor)) };
}
