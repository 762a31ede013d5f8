import type { Gpu } from '../gpu/gpu.js';
import type { Face } from '../image/face.js';
import { voteBoxes } from '../image/passes.js';
import { type AnyPicture, type DevicePicture, isOnDevice, uploadPicture } from '../ops/device_picture.js';
import type { Detection } from './detect_options.js';
import type { Look, View } from './placing.js';
import type { Found } from './searcher.js';

/**
 * Faces of each picture, searched by `search` at every one of its looks and every turn of `detection`, in pixels of the picture as it
 * was passed: what several views find is put to the vote. A picture is uploaded once for all its views.
 */
export async function searchInViews(
  gpu: Gpu,
  pictures: readonly AnyPicture[],
  looks: readonly (readonly Look[])[],
  { turns, nmsThreshold, maxFaces }: Detection,
  search: (views: readonly View[]) => Promise<readonly Found[]>,
): Promise<Found[]> {
  // What is seldom asked for is loaded when it is.
  const turning = turns.some(Boolean) ? await import('./turns.js') : undefined;
  const uploaded: DevicePicture[] = [];
  try {
    const views = pictures.map((picture, i) => {
      const copy = isOnDevice(picture) ? undefined : uploadPicture(gpu, picture);
      if (copy) uploaded.push(copy);
      return turns.flatMap((turn) => {
        const turned = turning?.turnedPicture(copy ?? picture, turn) ?? copy ?? picture;
        return looks[i]!.map((look) => ({ picture: turned, turn, ...look }));
      });
    });
    const found = (await search(views.flat())).values();
    return pictures.map((picture, i) => {
      const passes = views[i]!.map((view) => ({ view, ...found.next().value! }));
      const seen = passes.flatMap(({ view: { turn, from, until }, faces }) =>
        faces
          .filter(({ box: { x1, y1, x2, y2 } }) => {
            const side = Math.max(x2 - x1, y2 - y1);
            return side >= from && side < until;
          })
          .map((face) => ({ ...(turning?.turnFaceBack(face, turn, picture) ?? face), turn })),
      );
      const faces = voteBoxes(seen, nmsThreshold, (a, b) => a.turn === b.turn).map(withoutTurn);
      const cut = passes.some((pass) => pass.cut) || faces.length > maxFaces;
      return { faces: faces.slice(0, maxFaces), cut, tiled: passes.some((pass) => pass.tiled) };
    });
  } finally {
    for (const { pixels } of uploaded) pixels.dispose();
  }
}

function withoutTurn({ score, box, landmarks }: Face): Face {
  return { score, box, ...(landmarks && { landmarks }) };
}
