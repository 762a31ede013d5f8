import { stat } from 'node:fs/promises';
import { dirname, extname } from 'node:path';
import { extractFaces } from '../image/extract.js';
import type { Face } from '../image/face.js';
import { makeFolder, writeFileAtomic, writeImage } from '../node/files.js';
import { attempt, type Found as FoundIn } from '../scale/find.js';
import { DrawnNames, identityOf } from './drawn_names.js';
import { type Input, PICTURES } from './inputs.js';
import { number, text, type Values, wrong } from './options.js';

type Found = FoundIn<Input>;

/** What is written of the faces beside what is printed. */
export const FACE_FILES = {
  align: text({
    value: 'DIR',
    help: 'write each face there, NAME_1.png and on, turned and scaled as recognition networks take it: 112×112',
  }),
  crop: text({ value: 'DIR', help: 'write each face there as it lies in the picture' }),
  margin: number({
    value: 'M',
    min: 0,
    max: 4,
    fallback: 0,
    help: 'with --align, --crop: room around, as a share of the face',
  }),
  csv: text({ value: 'FILE', help: 'write a table there, a row a face: its picture, score, box and points' }),
};

const POINTS = ['leftEye', 'rightEye', 'nose', 'leftMouth', 'rightMouth'] as const;
const HEADER = [
  ...['file', 'width', 'height', 'face', 'score', 'x1', 'y1', 'x2', 'y2'],
  ...POINTS.flatMap((name) => {
    const column = name.replace(/[A-Z]/g, (capital) => `_${capital.toLowerCase()}`);
    return [`${column}_x`, `${column}_y`];
  }),
];

/** Cuts faces out into folders, and collects the rows of a table. */
export class FaceFiles {
  readonly #folders: readonly { readonly align: boolean; readonly names: DrawnNames }[];
  readonly #margin: number;
  readonly #csv: string | undefined;
  readonly #rows: string[] = [HEADER.join(',')];

  private constructor(
    folders: readonly { readonly align: boolean; readonly names: DrawnNames }[],
    margin: number,
    csv: string | undefined,
  ) {
    this.#folders = folders;
    this.#margin = margin;
    this.#csv = csv;
  }

  /** `inputs` are never written over; `streaming`: nor is any file that is there. @throws FileError. */
  static async of(
    { align, crop, margin, csv }: Values<typeof FACE_FILES>,
    inputs: readonly Input[],
    streaming: boolean,
  ): Promise<FaceFiles> {
    const folders = [];
    for (const [folder, aligned] of [
      [align, true],
      [crop, false],
    ] as const) {
      if (folder === undefined) continue;
      await makeFolder(folder);
      folders.push({ align: aligned, names: await DrawnNames.of(folder, inputs, streaming) });
    }
    if (csv !== undefined) await checkTable(csv, inputs);
    return new FaceFiles(folders, margin, csv);
  }

  /** Writes what belongs to one picture; with an error where that fails. */
  async add(found: Found): Promise<Found> {
    const { picture, faces, source } = found;
    if (!picture || !faces) return found;
    if (this.#csv !== undefined) {
      for (const [i, face] of faces.entries()) {
        this.#rows.push([quoted(source.file), picture.width, picture.height, i + 1, ...numbersOf(face)].join(','));
      }
    }
    return attempt(found, async () => {
      for (const { align, names } of this.#folders) {
        const cut = extractFaces(picture, faces, { align, margin: this.#margin });
        for (const [i, each] of cut.entries()) {
          const { below } = source;
          const ending = extname(below);
          const path = await names.next({
            ...source,
            below: `${below.slice(0, below.length - ending.length)}_${i + 1}${ending}`,
          });
          await makeFolder(dirname(path));
          await writeImage(path, each);
        }
      }
      return found;
    });
  }

  /** Writes the table, whole. @throws FileError. */
  async end(): Promise<void> {
    if (this.#csv !== undefined) await writeFileAtomic(this.#csv, Buffer.from(`${this.#rows.join('\n')}\n`));
  }
}

/** Before pictures are searched for hours: the table has a place, and is no picture. @throws ArgumentError, FileError. */
async function checkTable(path: string, inputs: readonly Input[]): Promise<void> {
  await makeFolder(dirname(path));
  const identity = await identityOf(path);
  if (identity === undefined) return;
  if ((await stat(path)).isDirectory()) {
    throw wrong('detect', '--csv to be a file', `the folder ${path}`, 'Name a file in it: faces.csv.');
  }
  const identities = await Promise.all(inputs.map(({ file }) => identityOf(file)));
  if (!PICTURES.has(extname(path).toLowerCase()) && !identities.includes(identity)) return;
  throw wrong('detect', '--csv to be no picture', path, 'Name another file: that picture would be lost.');
}

function numbersOf({ score, box: { x1, y1, x2, y2 }, landmarks }: Face): (number | '')[] {
  const points = POINTS.flatMap((name): (number | '')[] =>
    landmarks ? [landmarks[name].x, landmarks[name].y] : ['', ''],
  );
  return [score, x1, y1, x2, y2, ...points];
}

/** A field of a table after RFC 4180. */
function quoted(field: string): string {
  return /[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field;
}
