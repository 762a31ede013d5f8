import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parseJsonLines, parseRetinaFaceLabels, parseWiderBoxes } from '../data/labels.js';
import type { Sample } from '../data/sample.js';
import { LabelError } from '../gpu/errors.js';
import { readBytes } from './files.js';

/** Labels with the places that they came from. */
export interface LabelledFolder {
  readonly samples: readonly Sample[];
  /** Faces left out because their box is empty or too small. */
  readonly dropped: number;
  /** The file of labels. */
  readonly file: string;
  /** The folder that the names of the samples are below. */
  readonly directory: string;
}

/** How labels are found and read. */
export interface ReadLabelsOptions {
  /** Which part of a data set with several. Default `train`. */
  readonly split?: 'train' | 'val';
  /** Faces whose box is narrower or lower than this are left out, in pixels. Default 1. */
  readonly minimumSize?: number;
}

/** Where a data set keeps the labels of a split, and its pictures, best first: those with landmarks before those without. */
const LAYOUTS = (split: string): readonly (readonly [labels: string, pictures: string])[] => [
  ['label.txt', 'images'],
  [`${split}/label.txt`, `${split}/images`],
  [`WIDER_${split}/label.txt`, `WIDER_${split}/images`],
  ['labels.jsonl', '.'],
  [`wider_face_split/wider_face_${split}_bbx_gt.txt`, `WIDER_${split}/images`],
  [`../wider_face_split/wider_face_${split}_bbx_gt.txt`, 'images'],
  [`wider_face_${split}_bbx_gt.txt`, `WIDER_${split}/images`],
];

async function kindOf(path: string): Promise<'file' | 'folder' | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found?.isDirectory() ? 'folder' : found ? 'file' : undefined;
}

/**
 * Reads labels from a file, whose format is told by its first line (`retinaface_gt_v1.1`, the official
 * `wider_face_*_bbx_gt.txt`, or JSON lines), or from the folder of a data set: WIDER FACE as it is unpacked, with or
 * without `label.txt`, or a folder with `labels.jsonl` beside its pictures. Pictures of a single file are expected in
 * `images` beside it, or beside it.
 * @throws FileError when nothing can be read; LabelError, naming file and line, for damage, or for a folder without labels.
 */
export async function readLabels(path: string, options: ReadLabelsOptions = {}): Promise<LabelledFolder> {
  const { split = 'train', minimumSize = 1 } = options;
  let file = path;
  let directory: string | undefined;
  if ((await kindOf(path)) === 'folder') {
    const layouts = LAYOUTS(split);
    for (const [labels, pictures] of layouts) {
      if ((await kindOf(join(path, labels))) !== 'file' || (await kindOf(join(path, pictures))) !== 'folder') continue;
      [file, directory] = [join(path, labels), join(path, pictures)];
      break;
    }
    if (directory === undefined) {
      throw new LabelError({
        operation: `read labels from ${path}`,
        expected: layouts.map(([labels, pictures]) => `${labels} and ${pictures}/`).join(', or '),
        got: 'a folder with none of them',
        remedy:
          'Name the folder that WIDER FACE was unpacked in, or name a file of labels and the folder of its pictures.',
      });
    }
  } else {
    const beside = join(dirname(path), 'images');
    directory = (await kindOf(beside)) === 'folder' ? beside : dirname(path);
  }
  const text = new TextDecoder().decode(await readBytes(file, 'read labels'));
  const start = text.trimStart().charAt(0);
  const parse = start === '#' ? parseRetinaFaceLabels : start === '{' ? parseJsonLines : parseWiderBoxes;
  return { ...parse(text, { file, minimumSize }), file, directory };
}
