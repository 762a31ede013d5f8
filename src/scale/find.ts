// What a picture of many becomes: its faces, or why there are none, as the line of JSON that `detect --json` writes.
import type { Detector } from '../evaluate/evaluate_model.js';
import { RetinaFaceError } from '../gpu/errors.js';
import type { Face } from '../image/face.js';
import type { Picture } from '../image/picture.js';
import type { DetectOptions } from '../retinaface/detect_options.js';

/** What became of a picture: its faces, or why there are none, or both where it could not be drawn. */
export interface Found<S> {
  /** What it was read from. */
  readonly source: S;
  readonly picture?: Picture;
  readonly faces?: readonly Face[];
  /** There were more faces than were wanted. */
  readonly cut?: boolean;
  /** The file that it was drawn into. */
  readonly drawn?: string;
  readonly error?: RetinaFaceError;
}

/** What the work answers, or what is known without it and the error. A lost device is nothing of the picture's, and thrown. */
export async function attempt<S>(known: Found<S>, work: () => Promise<Found<S>>): Promise<Found<S>> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof RetinaFaceError) || error.name === 'DeviceLostError') throw error;
    return { ...known, error };
  }
}

/** The pictures of some sources, in order; what is wrong with one of them harms no other. */
export function readAll<S>(sources: readonly S[], read: (source: S) => Promise<Picture>): Promise<Found<S>[]> {
  return Promise.all(
    sources.map((source) => attempt({ source }, async () => ({ source, picture: await read(source) }))),
  );
}

/** The faces of those that have a picture, in order; what one of them does wrong harms no other. @throws DeviceLostError. */
export async function searchAll<S>(
  detector: Detector,
  read: readonly Found<S>[],
  options: DetectOptions,
): Promise<Found<S>[]> {
  const search = async (some: readonly Found<S>[]): Promise<Found<S>[]> => {
    const cut = new Set<number>();
    const faces = await detector.detect(
      some.map(({ picture }) => picture!),
      { ...options, onCut: (index) => cut.add(index) },
    );
    return some.map((found, i) => ({ ...found, faces: faces[i]!, ...(cut.has(i) ? { cut: true } : {}) }));
  };
  const good = read.filter(({ picture, error }) => picture !== undefined && !error);
  let searched: readonly Found<S>[];
  try {
    searched = good.length === 0 ? [] : await search(good);
  } catch (error) {
    if (!(error instanceof RetinaFaceError) || error.name === 'DeviceLostError') throw error;
    // One of the batch did not fit: each on its own tells which.
    const each: Found<S>[] = [];
    for (const found of good) {
      each.push(await attempt({ source: found.source }, async () => (await search([found]))[0]!));
    }
    searched = each;
  }
  const bySource = new Map(searched.map((found) => [found.source, found]));
  return read.map((found) => bySource.get(found.source) ?? found);
}

/** What a line of JSON says of a picture that lines call `file`. */
export function lineOf(file: string, { picture, faces, cut, drawn, error }: Found<unknown>): object {
  return {
    file,
    ...(picture && faces ? { width: picture.width, height: picture.height, faces } : {}),
    ...(cut ? { cut } : {}),
    ...(drawn === undefined ? {} : { drawn }),
    ...(error ? { error: { name: error.name, message: error.message } } : {}),
  };
}
