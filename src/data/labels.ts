import { checkOptions, describe } from '../gpu/arguments.js';
import { ArgumentError, LabelError } from '../gpu/errors.js';
import type { Face, Sample } from './sample.js';

/** What a file of labels holds. */
export interface Labels {
  readonly samples: readonly Sample[];
  /** Faces left out because their box is empty or smaller than the minimum. */
  readonly dropped: number;
}

/** How labels are read. */
export interface LabelOptions {
  /** What errors call the file. Default `labels`. */
  readonly file?: string;
  /** Faces whose box is narrower or lower than this are left out, in pixels. Default 1; an empty box always is. */
  readonly minimumSize?: number;
}

type Numbers = readonly [number, number, number, number, ...number[]];

/** Numbers after the box in a line of `retinaface_gt_v1.1`: five points with a flag each. */
const POINT_NUMBERS = 15;

/** Numbers of a line of the official boxes: the box and six attributes. */
const WIDER_NUMBERS = 10;

class Reader {
  readonly #file: string;
  readonly #minimum: number;
  readonly lines: readonly string[];
  readonly samples: Sample[] = [];
  dropped = 0;

  constructor(operation: string, text: string, options: LabelOptions) {
    checkOptions(operation, options, { file: 'string', minimumSize: 'number' });
    const { file = 'labels', minimumSize = 1 } = options;
    if (typeof text !== 'string' || !(minimumSize >= 0)) {
      throw new ArgumentError({
        operation,
        expected: 'the text of labels, and a minimumSize of 0 or more',
        got: typeof text === 'string' ? String(minimumSize) : describe(text),
        remedy: "Read the file as text first: readFileSync('label.txt', 'utf8').",
      });
    }
    this.#file = file;
    this.#minimum = minimumSize;
    this.lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  }

  fail(line: number, expected: string, got: string): LabelError {
    return new LabelError({
      operation: `read ${this.#file}, line ${line + 1}`,
      expected,
      got,
      remedy: 'Mend that line, or pass the format that the file has.',
    });
  }

  /** The numbers of a line, of which there must be one of `counts`. */
  numbers(line: number, counts: readonly number[], what: string): Numbers {
    const text = this.lines[line] ?? '';
    const values = text.trim().split(/\s+/).map(Number);
    if (!counts.includes(values.length) || values.some((value) => !Number.isFinite(value))) {
      throw this.fail(line, what, line < this.lines.length ? quote(text) : 'the end of the file');
    }
    return values as unknown as Numbers;
  }

  /** Adds a face unless its box is too small. */
  add(faces: Face[], face: Face): void {
    const [x1, y1, x2, y2] = face.box;
    const [width, height] = [x2 - x1, y2 - y1];
    if (width > 0 && height > 0 && width >= this.#minimum && height >= this.#minimum) faces.push(face);
    else this.dropped++;
  }

  done(): Labels {
    return { samples: this.samples, dropped: this.dropped };
  }
}

const quote = (text: string): string => (text.length > 60 ? `'${text.slice(0, 60)}…'` : `'${text}'`);

/**
 * Labels in the format `retinaface_gt_v1.1` of the RetinaFace authors: a line `# event/file.jpg`, then for each face
 * `x y w h`, or `x y w h (x y flag)×5 score`. A face with a point of flag −1 has no landmarks.
 * @throws LabelError that names the file and the line; ArgumentError for options that there are not.
 */
export function parseRetinaFaceLabels(text: string, options: LabelOptions = {}): Labels {
  const reader = new Reader('parseRetinaFaceLabels', text, options);
  let faces: Face[] | undefined;
  for (const [at, line] of reader.lines.entries()) {
    if (line.trim() === '') continue;
    if (line.startsWith('#')) {
      const name = line.slice(1).trim();
      if (name === '') throw reader.fail(at, '`# event/file.jpg`', quote(line));
      reader.samples.push({ name, faces: (faces = []) });
      continue;
    }
    if (!faces) throw reader.fail(at, '`# event/file.jpg` before any face', quote(line));
    const counts = [4, 4 + POINT_NUMBERS, 5 + POINT_NUMBERS];
    const numbers = reader.numbers(at, counts, 'x y w h, or x y w h (x y flag)×5 score');
    const [x, y, width, height] = numbers;
    const landmarks = landmarksOf(numbers.slice(4, 4 + POINT_NUMBERS));
    reader.add(faces, { box: [x, y, x + width, y + height], ...(landmarks ? { landmarks } : {}) });
  }
  return reader.done();
}

function landmarksOf(numbers: readonly number[]): number[] | undefined {
  if (numbers.length === 0) return undefined;
  const landmarks: number[] = [];
  for (let i = 0; i < POINT_NUMBERS; i += 3) {
    const [x, y, flag] = [numbers[i]!, numbers[i + 1]!, numbers[i + 2]!];
    if (flag === -1 || (x === -1 && y === -1)) return undefined;
    landmarks.push(x, y);
  }
  return landmarks;
}

/**
 * Labels in the format of WIDER FACE's `wider_face_*_bbx_gt.txt`: a line `event/file.jpg`, a line with the number of
 * faces, and for each `x y w h blur expression illumination invalid occlusion pose`; a picture without faces has one
 * line of zeros. Faces that are marked invalid stay: unlabelled, they would be taught as background.
 * @throws LabelError that names the file and the line; ArgumentError for options that there are not.
 */
export function parseWiderBoxes(text: string, options: LabelOptions = {}): Labels {
  const reader = new Reader('parseWiderBoxes', text, options);
  for (let at = 0; at < reader.lines.length;) {
    const name = reader.lines[at]!.trim();
    if (name === '') {
      at++;
      continue;
    }
    if (/^[\d.\s-]+$/.test(name)) throw reader.fail(at, 'event/file.jpg', quote(name));
    const count = Number((reader.lines[at + 1] ?? '').trim() || Number.NaN);
    if (!Number.isInteger(count) || count < 0) {
      throw reader.fail(at + 1, `the number of faces of ${name}`, quote(reader.lines[at + 1] ?? ''));
    }
    at += 2;
    const faces: Face[] = [];
    for (let i = 0; i < count; i++, at++) {
      const [x, y, width, height] = reader.numbers(at, [4, WIDER_NUMBERS], `face ${i + 1} of ${count}: x y w h …`);
      reader.add(faces, { box: [x, y, x + width, y + height] });
    }
    if (count === 0 && /^(0\s+)+0$/.test((reader.lines[at] ?? '').trim())) at++;
    reader.samples.push({ name, faces });
  }
  return reader.done();
}

/**
 * Labels of one's own pictures, one JSON object a line:
 * `{"image":"a.jpg","faces":[{"box":[x1,y1,x2,y2],"landmarks":[[x,y],[x,y],[x,y],[x,y],[x,y]]}]}`.
 * Landmarks are left eye, right eye, nose, left and right mouth corner as seen in the picture, and may be absent or
 * null; a picture without faces has an empty list.
 * @throws LabelError that names the file and the line; ArgumentError for options that there are not.
 */
export function parseJsonLines(text: string, options: LabelOptions = {}): Labels {
  const reader = new Reader('parseJsonLines', text, options);
  for (const [at, line] of reader.lines.entries()) {
    if (line.trim() === '') continue;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      throw reader.fail(at, 'a JSON object', quote(line));
    }
    const { image, faces: list } = fieldsOf(value);
    if (typeof image !== 'string' || image === '' || !Array.isArray(list)) {
      throw reader.fail(at, '{"image": path, "faces": […]}', quote(line));
    }
    const faces: Face[] = [];
    for (const [i, face] of list.entries()) {
      const { box, landmarks } = fieldsOf(face);
      if (!isNumbers(box, 4)) throw reader.fail(at, `"box": [x1, y1, x2, y2] of face ${i + 1}`, quote(line));
      const points = landmarks === null || landmarks === undefined ? undefined : pointsOf(landmarks);
      if (points === null) throw reader.fail(at, `"landmarks": five [x, y] of face ${i + 1}`, quote(line));
      const [x1, y1, x2, y2] = box as [number, number, number, number];
      reader.add(faces, { box: [x1, y1, x2, y2], ...(points ? { landmarks: points } : {}) });
    }
    reader.samples.push({ name: image, faces });
  }
  return reader.done();
}

/** The samples as text that `parseJsonLines` reads back. */
export function formatJsonLines(samples: readonly Sample[]): string {
  checkOptions('formatJsonLines', { samples }, { samples: 'array!' });
  return samples
    .map(({ name, faces }) => {
      const written = faces.map(({ box, landmarks }) =>
        landmarks ? { box, landmarks: [0, 2, 4, 6, 8].map((i) => landmarks.slice(i, i + 2)) } : { box },
      );
      return `${JSON.stringify({ image: name, faces: written })}\n`;
    })
    .join('');
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function isNumbers(value: unknown, count: number): value is number[] {
  return Array.isArray(value) && value.length === count && value.every((number) => Number.isFinite(number));
}

/** Ten numbers from five points, or null when it is something else. */
function pointsOf(value: unknown): number[] | null {
  if (!Array.isArray(value) || value.length !== 5) return null;
  const points = value as unknown[];
  return points.every((point) => isNumbers(point, 2)) ? points.flat() : null;
}
