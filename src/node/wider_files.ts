import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, extname, join, sep } from 'node:path';
import type { Detections } from '../evaluate/detections.js';
import type { EvaluationSource, PredictionStore } from '../evaluate/evaluate_model.js';
import {
  type GroundTruth,
  groundTruthFromBoxes,
  groundTruthFromJson,
  groundTruthFromJsonLines,
  groundTruthFromMatlab,
  groundTruthFromRetinaFaceLabels,
  pictureName,
  type SubsetFiles,
} from '../evaluate/ground_truth.js';
import { formatPredictions, parsePredictions } from '../evaluate/predictions.js';
import { type ArchiveFile, readTar } from '../evaluate/tar.js';
import { ArgumentError, FileError, LabelError } from '../gpu/errors.js';
import { makeFolder, readBytes, readImage, writeFileAtomic } from './files.js';

const PICTURE = /\.(jpe?g|png)$/i;
const ARCHIVE = /\.(tar|tar\.gz|tgz)$/i;
const utf8 = new TextDecoder();

/** Whether a path is a folder. @throws FileError when there is nothing. */
async function isFolder(path: string, operation: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (cause) {
    throw new FileError({
      operation,
      expected: 'a file or folder',
      got: cause instanceof Error ? cause.message : String(cause),
      remedy: 'Check the path.',
      cause,
    });
  }
}

/** Up to three names, and how many more there are. */
function few(names: readonly string[]): string {
  const more = names.length > 3 ? ` and ${names.length - 3} more` : '';
  return `${names.slice(0, 3).join(', ')}${more}`;
}

/**
 * Ground truth from a file, told by its ending and its first line: the official `wider_face_*.mat` or
 * `wider_face_*_bbx_gt.txt`, `retinaface_gt_v1.1` labels, our JSON, or JSON lines; or from the folder that holds the
 * official files. The lists `wider_{easy,medium,hard}_*.mat` are looked for beside the boxes.
 * @throws FileError when it cannot be read, LabelError for damage.
 */
export async function readGroundTruth(path: string): Promise<GroundTruth> {
  const operation = 'read ground truth';
  if (await isFolder(path, operation)) {
    const names = (await readdir(path)).sort();
    const found =
      names.find((name) => /^wider_face_[a-z]+\.mat$/.test(name)) ??
      names.find((name) => /^wider_face_[a-z]+_bbx_gt\.txt$/.test(name));
    if (found === undefined) {
      throw new LabelError({
        operation: `${operation} from ${path}`,
        expected: 'wider_face_*.mat or wider_face_*_bbx_gt.txt in that folder',
        got: names.length === 0 ? 'an empty folder' : few(names),
        remedy: 'Name the folder of the official files, or one file of ground truth.',
      });
    }
    return readGroundTruth(join(path, found));
  }
  const bytes = await readBytes(path, operation);
  const ending = extname(path).toLowerCase();
  const split = /^wider_face_([a-z]+?)(_bbx_gt\.txt|\.mat)$/.exec(basename(path))?.[1];
  if (ending === '.mat') return groundTruthFromMatlab(bytes, path, await readLists(path, split ?? 'val', true));
  const text = utf8.decode(bytes);
  if (ending === '.json') return groundTruthFromJson(text, path);
  if (ending === '.jsonl') return groundTruthFromJsonLines(text, path);
  if (ending === '.txt') {
    if (text.trimStart().startsWith('#')) return groundTruthFromRetinaFaceLabels(text, path);
    return groundTruthFromBoxes(text, path, split === undefined ? undefined : await readLists(path, split, false));
  }
  throw new LabelError({
    operation: `${operation} from ${path}`,
    expected: 'a file that ends in .mat, .txt, .json or .jsonl',
    got: ending === '' ? 'one without ending' : ending,
    remedy: 'Name the file by its format.',
  });
}

/** The lists beside a file of boxes; unless `needed`, undefined where there are none at all. */
async function readLists(path: string, split: string, needed: true): Promise<SubsetFiles>;
async function readLists(path: string, split: string, needed: boolean): Promise<SubsetFiles | undefined>;
async function readLists(path: string, split: string, needed: boolean): Promise<SubsetFiles | undefined> {
  const file = (subset: string): string => join(dirname(path), `wider_${subset}_${split}.mat`);
  const sources = [file('easy'), file('medium'), file('hard')] as const;
  const beside = new Set(await readdir(dirname(path)));
  if (!needed && !sources.some((source) => beside.has(basename(source)))) return undefined;
  const [easy, medium, hard] = await Promise.all(
    sources.map(async (source) => ({ source, bytes: await readBytes(source, 'read the list of faces that count') })),
  );
  return { easy: easy!, medium: medium!, hard: hard! };
}

/** All files below a folder whose names match, as paths from there with `/`; hidden ones are left out. */
async function filesBelow(folder: string, pattern: RegExp): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory() && !entry.name.startsWith('.') && pattern.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name).slice(join(folder, sep).length).replaceAll(sep, '/'))
    .sort();
}

/** The picture of a path: the longest end of it that is a name of the ground truth. */
function nameOf(path: string, names: ReadonlySet<string>): string | undefined {
  for (let name = path; ; name = name.slice(name.indexOf('/') + 1)) {
    if (names.has(name)) return name;
    if (!name.includes('/')) return undefined;
  }
}

/**
 * Predictions from official text files, in folders of their events below `path`, or in a tar archive, gzipped or not
 * (also where a folder holds one archive and no text). Every picture of the ground truth has one file, and there is no
 * other: what differs is an error that says which.
 * @throws FileError with file and line for what cannot be read, and for pictures that do not match.
 */
export async function readPredictions(
  paths: readonly string[],
  groundTruth: GroundTruth,
): Promise<Map<string, Detections>> {
  const names = new Set(groundTruth.pictures.map(({ name }) => name));
  const predictions = new Map<string, Detections>();
  const unknown: string[] = [];
  for (const path of paths) {
    for (const { source, file, bytes } of await predictionFiles(path)) {
      const name = nameOf(file.replace(/\.txt$/i, ''), names);
      if (name === undefined) {
        unknown.push(file);
        continue;
      }
      if (predictions.has(name)) {
        throw mismatch(paths, 'predictions of each picture once', `${name} twice, again in ${source}`);
      }
      predictions.set(name, parsePredictions(utf8.decode(await bytes()), source, name));
    }
  }
  if (unknown.length > 0) throw mismatch(paths, 'predictions of pictures of the ground truth', few(unknown));
  const missing = [...names].filter((name) => !predictions.has(name));
  if (missing.length > 0) {
    throw mismatch(paths, `predictions of all ${names.size} pictures`, `none of ${few(missing)}`);
  }
  return predictions;
}

function mismatch(paths: readonly string[], expected: string, got: string): FileError {
  return new FileError({
    operation: `read predictions from ${paths.join(', ')}`,
    expected,
    got,
    remedy: 'Pass predictions and ground truth of one set: EVENT/PICTURE.txt, with or without detections.',
  });
}

interface PredictionFile {
  /** What errors call it. */
  readonly source: string;
  readonly file: string;
  readonly bytes: () => Promise<Uint8Array>;
}

async function predictionFiles(path: string): Promise<PredictionFile[]> {
  const operation = 'read predictions';
  if (!(await isFolder(path, operation))) {
    const files = await readTar(await readBytes(path, operation), path);
    return files
      .filter((file) => /\.txt$/i.test(file.path) && !basename(file.path).startsWith('.'))
      .map((file: ArchiveFile) => ({
        source: `${path}:${file.path}`,
        file: file.path,
        bytes: () => Promise.resolve(file.bytes),
      }));
  }
  const files = await filesBelow(path, /\.txt$/i);
  const archives = files.length === 0 ? await filesBelow(path, ARCHIVE) : [];
  if (archives.length === 1) return predictionFiles(join(path, archives[0]!));
  return files.map((file) => ({
    source: join(path, file),
    file,
    bytes: () => readBytes(join(path, file), operation),
  }));
}

/** Official prediction files in a folder, each written whole or not at all. */
export class PredictionFolder implements PredictionStore {
  readonly #folder: string;
  readonly #landmarks: boolean;
  readonly #known: Set<string>;
  readonly #made = new Set<string>();

  private constructor(folder: string, landmarks: boolean, known: readonly string[]) {
    this.#folder = folder;
    this.#landmarks = landmarks;
    this.#known = new Set(known);
  }

  /**
   * Opens a folder, which is made if it is not there. `landmarks` are written where they are to be measured: official rows
   * have none. @throws FileError.
   */
  static async open(folder: string, landmarks: boolean): Promise<PredictionFolder> {
    await makeFolder(folder);
    return new PredictionFolder(folder, landmarks, await filesBelow(folder, /\.txt$/));
  }

  async read(name: string): Promise<Detections | undefined> {
    if (!this.#known.has(`${name}.txt`)) return undefined;
    const path = join(this.#folder, `${name}.txt`);
    return parsePredictions(utf8.decode(await readBytes(path, 'read predictions')), path, name);
  }

  async write(name: string, detections: Detections): Promise<void> {
    const path = join(this.#folder, `${name}.txt`);
    // A name is data of others: it must not lead out of the folder.
    if (name.startsWith('/') || name.split('/').some((part) => part === '' || part === '.' || part === '..')) {
      throw new ArgumentError({
        operation: `write predictions of '${name}'`,
        expected: 'the name of a file in folders',
        got: 'another path',
        remedy: 'Rename that picture in the ground truth.',
      });
    }
    if (!this.#made.has(dirname(path))) await makeFolder(dirname(path));
    this.#made.add(dirname(path));
    const { boxes, scores } = detections;
    const text = formatPredictions(name, this.#landmarks ? detections : { boxes, scores });
    await writeFileAtomic(path, new TextEncoder().encode(text));
    this.#known.add(`${name}.txt`);
  }
}

/**
 * The pictures of a list of names in a folder: `event/file.jpg` in it or anywhere below, or `file.jpg` alone; other
 * pictures there are no fault. @throws FileError when it cannot be read, or that names the pictures missing.
 */
export async function pictureFolder(folder: string, names: readonly string[]): Promise<EvaluationSource> {
  if (!(await isFolder(folder, 'read pictures'))) {
    throw new ArgumentError({
      operation: 'evaluate',
      expected: 'a folder of pictures',
      got: `the file ${folder}`,
      remedy: 'Name the folder that holds the pictures or the folders of the events.',
    });
  }
  const found = await filesBelow(folder, PICTURE);
  const wanted = new Set(names);
  const byName = new Map<string, string>();
  // Files that lie flat have lost the folder of their event.
  const flat = new Map<string, string[]>();
  for (const name of names) {
    const file = basename(name);
    flat.set(file, [...(flat.get(file) ?? []), name]);
  }
  for (const path of found) {
    const bare = pictureName(path);
    const name = nameOf(bare, wanted) ?? only(bare.includes('/') ? undefined : flat.get(bare));
    if (name === undefined) continue;
    const other = byName.get(name);
    if (other !== undefined) throw missingPictures(folder, `one file of ${name}`, `${other} and ${path}`);
    byName.set(name, path);
  }
  const missing = names.filter((name) => !byName.has(name));
  if (missing.length > 0) {
    throw missingPictures(folder, `all ${names.length} pictures of the ground truth`, `none of ${few(missing)}`);
  }
  return {
    length: names.length,
    name: (index) => names[index]!,
    load: (index) => readImage(join(folder, byName.get(names[index]!)!)),
  };
}

function only<T>(list: readonly T[] | undefined): T | undefined {
  return list?.length === 1 ? list[0] : undefined;
}

function missingPictures(folder: string, expected: string, got: string): FileError {
  return new FileError({
    operation: `find pictures in ${folder}`,
    expected,
    got,
    remedy: 'Pass the folder that holds the pictures of that ground truth: EVENT/PICTURE.jpg.',
  });
}
