import { applyOrientation } from '../image/exif.js';
import type { Face } from '../image/face.js';
import { turnFaceBack, voteBoxes } from '../image/passes.js';
import type { Picture } from '../image/picture.js';
import { type AnyPicture, type DevicePicture, isOnDevice, turnedOnDevice } from '../ops/device_picture.js';
import type { Detection } from './detect_options.js';
import type { View } from './placing.js';
import type { Found } from './searcher.js';

/** What EXIF calls turns clockwise by 0, 1, 2 and 3 quarters. */
const ORIENTATIONS = [1, 6, 3, 8] as const;

/** What a search in views is made of: this module has nothing of a device, since pages fetch it by itself. */
export interface ViewSearch {
  /** A copy on the device, whose `pixels` become the search's own; undefined where it fits none. */
  readonly upload: (picture: Picture) => DevicePicture | undefined;
  readonly search: (views: readonly View[]) => Promise<readonly Found[]>;
}

/**
 * Faces of each picture, searched by `search` at every scale and turn of `detection`, in pixels of the picture as it was passed:
 * what several views find is put to the vote. A picture is uploaded once for all its views.
 */
export async function searchInViews(
  pictures: readonly AnyPicture[],
  { scales, turns, nmsThreshold, maxFaces }: Detection,
  { upload, search }: ViewSearch,
): Promise<Found[]> {
  const uploaded: DevicePicture[] = [];
  try {
    const views = pictures.flatMap((picture) => {
      const copy = isOnDevice(picture) ? undefined : upload(picture);
      if (copy) uploaded.push(copy);
      return turns.flatMap((turn) => {
        const turned = turnedPicture(copy ?? picture, turn);
        return scales.map((scale) => ({ picture: turned, scale }));
      });
    });
    const found = await search(views);
    const many = turns.length * scales.length;
    return pictures.map((picture, i) => {
      const passes = found.slice(i * many, (i + 1) * many);
      const seen = passes.flatMap(({ faces }, pass) => {
        const turn = turns[Math.floor(pass / scales.length)]!;
        return faces.map((face) => ({ ...turnFaceBack(face, turn, picture), turn }));
      });
      const faces = voteBoxes(seen, nmsThreshold, (a, b) => a.turn === b.turn).map(withoutTurn);
      const cut = passes.some((pass) => pass.cut) || faces.length > maxFaces;
      return { faces: faces.slice(0, maxFaces), cut, tiled: passes.some((pass) => pass.tiled) };
    });
  } finally {
    for (const { pixels } of uploaded) pixels.dispose();
  }
}

/** The picture turned clockwise by so many quarters: on the device by the order in which its pixels are read. */
function turnedPicture(picture: AnyPicture, quarters: number): AnyPicture {
  if (isOnDevice(picture)) return turnedOnDevice(picture, quarters);
  return applyOrientation(picture, ORIENTATIONS[quarters]!);
}

function withoutTurn({ score, box, landmarks }: Face): Face {
  return { score, box, ...(landmarks ? { landmarks } : {}) };
}
