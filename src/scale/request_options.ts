// What a request may ask for, in one table: its parsing, and its description for OpenAPI.
import { MAX_SIDE } from '../retinaface/detect_options.js';
import { ServiceError } from './service_error.js';
import type { Alignment, Search } from './engine_messages.js';

/** Parts of an answer that can be asked for. */
export const PARTS = ['boxes', 'landmarks', 'aligned'] as const;
export type Part = (typeof PARTS)[number];

/** What a request asks for. */
export interface Wanted {
  readonly search: Search;
  readonly parts: ReadonlySet<Part>;
  /** Where faces are to be cut out. */
  readonly align: Alignment | undefined;
}

/** A parameter of a request, behind the question mark of its address. */
interface Parameter {
  readonly description: string;
  /** JSON Schema. */
  readonly schema: object;
}

/** What may be asked, by name. `maxSize`: pixels of a side that are searched at most. */
export function requestParameters(maxSize: number): Readonly<Record<string, Parameter>> {
  return {
    size: {
      description:
        "Fits the picture to a square of so many pixels, or `original`: pixel for pixel. By default the picture's own size, its " +
        `longer side at most ${maxSize}.`,
      schema: { oneOf: [{ type: 'integer', minimum: 16, maximum: maxSize }, { const: 'original' }] },
    },
    score: { description: 'Least score of a face.', schema: { type: 'number', minimum: 0, maximum: 1, default: 0.5 } },
    nms: {
      description: 'Largest overlap (IoU) of two faces.',
      schema: { type: 'number', minimum: 0, maximum: 1, default: 0.4 },
    },
    max_faces: {
      description: 'At most so many faces a picture, the best ones.',
      schema: { type: 'integer', minimum: 1, maximum: 5000, default: 750 },
    },
    parts: {
      description:
        'What is said of each face besides its score, between commas: `boxes`, `landmarks`, and `aligned`, the face cut out and ' +
        'turned upright. `/detect` gives boxes and landmarks by default, `/align` all three.',
      schema: { type: 'string', pattern: `^(${PARTS.join('|')})(,(${PARTS.join('|')}))*$` },
    },
    aligned_size: {
      description: 'Pixels of a side of an aligned face.',
      schema: { type: 'integer', minimum: 16, maximum: 512, default: 112 },
    },
    aligned_format: {
      description: 'The format of aligned faces.',
      schema: { type: 'string', enum: ['png', 'jpeg'], default: 'png' },
    },
  };
}

/** What a request may ask for at most, and what it gets where it does not ask. */
export interface RequestLimits {
  readonly maxSize: number;
  readonly size: 'original' | number | undefined;
  /** The parts of an answer where none are asked for. */
  readonly parts: readonly Part[];
}

/** Reads the query of a request. @throws ServiceError 422 for what is unknown or out of range. */
export function readWanted(query: Readonly<Record<string, unknown>>, limits: RequestLimits): Wanted {
  const known = Object.keys(requestParameters(limits.maxSize));
  for (const [name, value] of Object.entries(query)) {
    if (!known.includes(name)) {
      throw wrong(`one of ${known.join(', ')}`, `'${name}'`, 'Correct or leave out that parameter.');
    }
    if (typeof value !== 'string') throw wrong(`${name} once`, 'it more than once', 'Pass it once.');
  }
  const text = (name: string): string | undefined => query[name] as string | undefined;
  const numeric = (name: string, min: number, max: number, whole: boolean): number | undefined => {
    const given = text(name);
    if (given === undefined) return undefined;
    const value = given.trim() === '' ? Number.NaN : Number(given);
    if (value >= min && value <= max && (!whole || Number.isInteger(value))) return value;
    const kind = `a ${whole ? 'whole ' : ''}number of ${min} to ${max}`;
    throw wrong(`${name} to be ${kind}`, `'${given}'`, `Pass another ${name}, or leave it out.`);
  };
  const maxSize = Math.min(limits.maxSize, MAX_SIDE);
  const search: Search = {
    size: text('size') === undefined ? limits.size : readSize(text('size')!, () => numeric('size', 16, maxSize, true)!),
    scoreThreshold: numeric('score', 0, 1, false),
    nmsThreshold: numeric('nms', 0, 1, false),
    maxFaces: numeric('max_faces', 1, 5000, true),
  };
  const parts = new Set(text('parts') === undefined ? limits.parts : text('parts')!.split(',').map(partOf));
  const format = text('aligned_format') ?? 'png';
  if (format !== 'png' && format !== 'jpeg') {
    throw wrong('aligned_format to be png or jpeg', `'${format}'`, 'Pass one of them.');
  }
  const size = numeric('aligned_size', 16, 512, true) ?? 112;
  return { search, parts, align: parts.has('aligned') ? { size, format } : undefined };
}

function readSize(given: string, read: () => number): 'original' | number {
  return given === 'original' ? given : read();
}

function partOf(given: string): Part {
  const part = PARTS.find((each) => each === given.trim());
  if (part !== undefined) return part;
  throw wrong(`parts to be some of ${PARTS.join(', ')}, between commas`, `'${given}'`, 'Pass some of them.');
}

function wrong(expected: string, got: string, remedy: string): ServiceError {
  return new ServiceError(422, { operation: 'read the request', expected, got, remedy }, { name: 'ArgumentError' });
}
