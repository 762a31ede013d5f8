import { parseJsonLines, parseRetinaFaceLabels } from '../data/labels.js';
import type { Sample } from '../data/sample.js';
import { checkOptions } from '../gpu/arguments.js';
import { LabelError } from '../gpu/errors.js';
import { type MatlabArray, readMatlab } from './matlab.js';

/** The subsets of WIDER FACE, from large clear faces to all that are legible. */
export const SUBSETS = ['easy', 'medium', 'hard'] as const;
export type Subset = (typeof SUBSETS)[number];

/** The faces of one picture, and which of them count. */
export interface AnnotatedPicture {
  /** The folder of its event, if any, a slash, and its file without the ending: `0--Parade/0_Parade_Parade_0_102`. */
  readonly name: string;
  /** x1, y1, x2, y2 of each face, in pixels. */
  readonly boxes: Float64Array;
  /** Of each subset: 1 for each face that counts, 0 for one that is ignored. */
  readonly counts: Readonly<Record<Subset, Uint8Array>>;
  /** Five points of each face as x, y, in the order of detections; NaN where a face is not annotated. */
  readonly landmarks?: Float64Array;
}

/** What detections are held against. */
export interface GroundTruth {
  readonly pictures: readonly AnnotatedPicture[];
  /** `lists`: the subsets were given. `all`: every face counts in each, so that the three figures are one. */
  readonly subsets: 'lists' | 'all';
}

/** The faces that count, by subset: bytes of `wider_easy_val.mat` and its two neighbours. */
export type SubsetFiles = Readonly<Record<Subset, { readonly bytes: Uint8Array; readonly source: string }>>;

const ENDING = /\.(jpe?g|png)$/i;

/** A picture's path as the ground truth names it: `/` between folders, no ending. */
export function pictureName(path: string): string {
  return path.replaceAll('\\', '/').replace(ENDING, '');
}

function problem(source: string, expected: string, got: string, remedy: string): LabelError {
  return new LabelError({ operation: `read ground truth from ${source}`, expected, got, remedy });
}

/**
 * The official ground truth: `wider_face_val.mat` with the boxes and, as `lists`, the three files with the faces that
 * count. @throws LabelError for a damaged file, or lists of other pictures.
 */
export async function groundTruthFromMatlab(
  bytes: Uint8Array,
  source: string,
  lists: SubsetFiles,
): Promise<GroundTruth> {
  const variables = await readMatlab(bytes, source, ['event_list', 'file_list', 'face_bbx_list']);
  const names = namesOf(variables, source);
  const boxes = perPicture(variables, 'face_bbx_list', names, source).map((array, i) => {
    const faces = numbersOf(array, source, `the boxes of ${names[i]!}`);
    if (array.shape.length !== 2 || (faces.length > 0 && array.shape[1] !== 4)) {
      throw problem(source, `boxes [faces, 4] of ${names[i]!}`, `[${array.shape.join(', ')}]`, FOREIGN);
    }
    // A column of each coordinate, as MATLAB has them.
    const count = faces.length / 4;
    return Float64Array.from({ length: faces.length }, (_, k) => {
      const [face, side] = [k >> 2, k & 3];
      const start = faces[(side & 1) * count + face]!;
      return side < 2 ? start : start + faces[side * count + face]!;
    });
  });
  return withLists(
    names.map((name, i) => ({ name, boxes: boxes[i]! })),
    source,
    lists,
  );
}

/**
 * The official split as text, `wider_face_*_bbx_gt.txt`, with the lists of the faces that count; without `lists` every
 * face counts. Empty boxes stay, for the lists count them, and so does the row of zeros of a picture without faces, which
 * the official ground truth holds as a box.
 * @throws LabelError with the line; for lists of other pictures.
 */
export async function groundTruthFromBoxes(text: string, source: string, lists?: SubsetFiles): Promise<GroundTruth> {
  const pictures = parseBoxes(text, source);
  return lists ? withLists(pictures, source, lists) : allCount(pictures, source);
}

/**
 * Our plain format: a JSON list of pictures,
 * `{"event", "name", "boxes_xywh": [[x, y, w, h], …], "easy": [1, 3], "medium": […], "hard": […]}`: the boxes in pixels of
 * the pictures that are searched, and the numbers, counted from 1, of those that count in each subset. `event` may be
 * missing, and so may all three lists of all pictures, and then every face counts; the key of the boxes may end in the
 * edge of pictures that were scaled (`boxes_xywh_416`). Other keys are not read.
 * @throws LabelError that names the picture.
 */
export function groundTruthFromJson(text: string, source: string): GroundTruth {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch (cause) {
    const got = cause instanceof Error ? cause.message : 'other text';
    throw problem(source, 'JSON', got, 'Mend the file, or name it by the format that it has.');
  }
  if (!Array.isArray(list)) throw problem(source, 'a JSON list of pictures', typeof list, 'Put pictures into a list.');
  const withSubsets = list.some((item) => SUBSETS.some((subset) => subset in fields(item)));
  const pictures = list.map((item: unknown, i): AnnotatedPicture => {
    const entry = fields(item);
    const { event, name } = entry;
    const where = `picture ${i + 1}${typeof name === 'string' ? ` (${name})` : ''}`;
    const wrong = (expected: string, got: unknown): LabelError =>
      problem(
        source,
        `${expected} of ${where}`,
        got === undefined ? 'nothing' : JSON.stringify(got),
        'Mend that entry.',
      );
    if (typeof name !== 'string' || name === '') throw wrong('"name": text', name);
    if (event !== undefined && typeof event !== 'string') throw wrong('"event": text', event);
    const key = Object.keys(entry).find((candidate) => /^boxes_xywh(_\d+)?$/.test(candidate));
    const rows = key === undefined ? undefined : entry[key];
    if (!Array.isArray(rows)) throw wrong('"boxes_xywh": a list', rows);
    const boxes = Float64Array.from(
      rows.flatMap((row: unknown) => {
        if (!isNumbers(row) || row.length !== 4) throw wrong('[x, y, w, h]', row);
        const [x, y, w, h] = row as [number, number, number, number];
        return [x, y, x + w, y + h];
      }),
    );
    const counts = countsFrom((subset) => {
      if (!withSubsets) return new Uint8Array(rows.length).fill(1);
      const numbers = entry[subset];
      if (!isNumbers(numbers)) throw wrong(`"${subset}": a list of numbers from 1`, numbers);
      return mark(numbers, rows.length, (expected, got) => wrong(`"${subset}": ${expected}`, got));
    });
    return { name: event === undefined ? pictureName(name) : `${event}/${pictureName(name)}`, boxes, counts };
  });
  return checked(pictures, source, withSubsets ? 'lists' : 'all');
}

/**
 * Labels of one's own pictures, as training reads them: every face counts. Faces of no area are left out; those without
 * landmarks stay.
 */
export function groundTruthFromSamples(samples: readonly Sample[], source = 'samples'): GroundTruth {
  checkOptions('groundTruthFromSamples', { samples }, { samples: 'array!' });
  const pictures = samples.map(({ name, faces }) => {
    const boxes = Float64Array.from(faces.flatMap(({ box }) => box));
    if (!faces.some(({ landmarks }) => landmarks)) return { name: pictureName(name), boxes };
    const unknown = new Array<number>(10).fill(Number.NaN);
    return {
      name: pictureName(name),
      boxes,
      landmarks: Float64Array.from(faces.flatMap(({ landmarks }) => landmarks ?? unknown)),
    };
  });
  return allCount(pictures, source);
}

/**
 * The same ground truth with subsets by the heights of the faces' boxes, in the manner of WIDER FACE's: all count in hard, those
 * of at least `medium` pixels in medium, those of at least `easy` in easy; the others are ignored there.
 */
export function countByHeight(
  { pictures }: GroundTruth,
  least: { readonly easy: number; readonly medium: number },
): GroundTruth {
  const counted = pictures.map((picture) => {
    const { boxes } = picture;
    const from = (height: number): Uint8Array =>
      Uint8Array.from({ length: boxes.length / 4 }, (_, i) =>
        boxes[4 * i + 3]! - boxes[4 * i + 1]! >= height ? 1 : 0,
      );
    return { ...picture, counts: { easy: from(least.easy), medium: from(least.medium), hard: from(-Infinity) } };
  });
  return { pictures: counted, subsets: 'lists' };
}

/** Labels with subsets by heights, as `countByHeight` has them. */
export function groundTruthByHeight(
  samples: readonly Sample[],
  least: { readonly easy: number; readonly medium: number },
  source = 'samples',
): GroundTruth {
  return countByHeight(groundTruthFromSamples(samples, source), least);
}

/** Ground truth from JSON lines `{"image","faces"}`; every face counts. @throws LabelError with the line. */
export function groundTruthFromJsonLines(text: string, source: string): GroundTruth {
  return groundTruthFromSamples(parseJsonLines(text, { file: source, minimumSize: 0 }).samples, source);
}

/** Ground truth from `retinaface_gt_v1.1` labels, with their landmarks; every face counts. @throws LabelError with the line. */
export function groundTruthFromRetinaFaceLabels(text: string, source: string): GroundTruth {
  return groundTruthFromSamples(parseRetinaFaceLabels(text, { file: source, minimumSize: 0 }).samples, source);
}

interface BarePicture {
  readonly name: string;
  readonly boxes: Float64Array;
  readonly landmarks?: Float64Array;
}

const FOREIGN = 'Pass the files of the official evaluation (eval_tools/ground_truth of WIDER FACE).';

function countsFrom(of: (subset: Subset) => Uint8Array): Record<Subset, Uint8Array> {
  return { easy: of('easy'), medium: of('medium'), hard: of('hard') };
}

function allCount(pictures: readonly BarePicture[], source: string): GroundTruth {
  const all = pictures.map((picture) => {
    const one = new Uint8Array(picture.boxes.length / 4).fill(1);
    return { ...picture, counts: { easy: one, medium: one, hard: one } };
  });
  return checked(all, source, 'all');
}

async function withLists(pictures: readonly BarePicture[], source: string, lists: SubsetFiles): Promise<GroundTruth> {
  const marked = new Map(
    pictures.map(({ name, boxes }) => [name, countsFrom(() => new Uint8Array(boxes.length / 4))] as const),
  );
  for (const subset of SUBSETS) {
    const { bytes, source: file } = lists[subset];
    const variables = await readMatlab(bytes, file, ['event_list', 'file_list', 'gt_list']);
    const names = namesOf(variables, file);
    const listed = new Set(names);
    const missing = pictures.find(({ name }) => !listed.has(name));
    if (missing) throw problem(file, `a list for ${missing.name} of ${source}`, 'none', FOREIGN);
    for (const [i, array] of perPicture(variables, 'gt_list', names, file).entries()) {
      const name = names[i]!;
      const counts = marked.get(name);
      if (!counts) throw problem(file, `pictures of ${source} only`, name, FOREIGN);
      const numbers = numbersOf(array, file, `the list of ${name}`);
      counts[subset] = mark(numbers, counts[subset].length, (expected, got) =>
        problem(file, `${expected} for ${name}`, String(got), FOREIGN),
      );
    }
  }
  return checked(
    pictures.map((picture) => ({ ...picture, counts: marked.get(picture.name)! })),
    source,
    'lists',
  );
}

/** Ones at the given places, which count from 1. */
function mark(
  numbers: ArrayLike<number>,
  faces: number,
  wrong: (expected: string, got: number) => LabelError,
): Uint8Array {
  const counts = new Uint8Array(faces);
  for (const number of Array.from(numbers)) {
    if (!Number.isInteger(number) || number < 1 || number > faces) throw wrong(`numbers of 1 to ${faces}`, number);
    counts[number - 1] = 1;
  }
  return counts;
}

function checked(pictures: readonly AnnotatedPicture[], source: string, subsets: GroundTruth['subsets']): GroundTruth {
  if (pictures.length === 0) throw problem(source, 'pictures', 'none', 'Pass ground truth of at least one picture.');
  const names = new Set<string>();
  for (const { name } of pictures) {
    if (names.has(name)) throw problem(source, 'every picture once', `${name} twice`, 'Take one of them out.');
    names.add(name);
  }
  return { pictures, subsets };
}

type Variables = ReadonlyMap<string, MatlabArray>;

function cellsOf(array: MatlabArray | undefined, source: string, what: string): readonly MatlabArray[] {
  if (array?.kind === 'cell') return array.cells;
  // MATLAB has no empty cell of its own.
  if (array?.kind === 'numeric' && array.data.length === 0) return [];
  throw problem(source, `cells in ${what}`, array ? `a ${array.kind} array` : 'none', FOREIGN);
}

function numbersOf(array: MatlabArray, source: string, what: string): Float64Array {
  if (array.kind === 'numeric') return array.data;
  throw problem(source, `numbers in ${what}`, `a ${array.kind} array`, FOREIGN);
}

function textOf(array: MatlabArray, source: string, what: string): string {
  if (array.kind === 'char') return array.text;
  throw problem(source, `text in ${what}`, `a ${array.kind} array`, FOREIGN);
}

/** Names of all pictures, event by event. */
function namesOf(variables: Variables, source: string): string[] {
  const events = cellsOf(variables.get('event_list'), source, 'event_list');
  const files = cellsOf(variables.get('file_list'), source, 'file_list');
  if (events.length !== files.length) {
    throw problem(source, `files of ${events.length} events`, `of ${files.length}`, FOREIGN);
  }
  return events.flatMap((event, i) => {
    const folder = textOf(event, source, 'event_list');
    return cellsOf(files[i], source, `the files of ${folder}`).map(
      (file) => `${folder}/${pictureName(textOf(file, source, `the files of ${folder}`))}`,
    );
  });
}

/** The array of each picture out of a list of events. */
function perPicture(variables: Variables, name: string, names: readonly string[], source: string): MatlabArray[] {
  const events = cellsOf(variables.get(name), source, name);
  const arrays = events.flatMap((event) => cellsOf(event, source, name));
  if (arrays.length === names.length) return arrays;
  throw problem(source, `${names.length} pictures in ${name}`, String(arrays.length), FOREIGN);
}

function parseBoxes(text: string, source: string): BarePicture[] {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  const fail = (at: number, expected: string): LabelError =>
    problem(
      `${source}, line ${at + 1}`,
      expected,
      at < lines.length ? `'${lines[at]!.slice(0, 60)}'` : 'the end of the file',
      'Mend that line, or pass the format that the file has.',
    );
  const pictures: BarePicture[] = [];
  for (let at = 0; at < lines.length;) {
    const name = lines[at]!.trim();
    if (name === '') {
      at++;
      continue;
    }
    if (!ENDING.test(name)) throw fail(at, 'event/file.jpg');
    const countText = (lines[at + 1] ?? '').trim();
    if (!/^\d+$/.test(countText)) throw fail(at + 1, `the number of faces of ${name}`);
    at += 2;
    let count = Number(countText);
    if (count === 0 && /^(0\s+){3,}0$/.test((lines[at] ?? '').trim())) count = 1;
    // Each face takes a line: a forged number must not claim memory.
    if (count > lines.length - at) throw fail(lines.length, `${count} faces of ${name}`);
    const boxes = new Float64Array(4 * count);
    for (let i = 0; i < count; i++, at++) {
      const numbers = (lines[at] ?? '').trim().split(/\s+/).map(Number);
      if (numbers.length < 4 || numbers.some((number) => !Number.isFinite(number))) {
        throw fail(at, `face ${i + 1} of ${count} of ${name}: x y w h …`);
      }
      const [x, y, w, h] = numbers as [number, number, number, number];
      boxes.set([x, y, x + w, y + h], 4 * i);
    }
    pictures.push({ name: pictureName(name), boxes });
  }
  return pictures;
}

function fields(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function isNumbers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((number) => Number.isFinite(number));
}
