import type { FaceTargets } from '../../src/detect/match.js';
import { Tensor } from '../../src/tensor/tensor.js';
import type { Face } from '../reference/match.js';
import { testDevice } from './device.js';

/** Stands in padding rows: an image-wide box that every anchor would match, so that a read of one shows. */
const PADDING = [0, 0, 64, 64];

/** The faces of each image as tensors, padded to `rows` each (by default one more than the most); dispose of them after use. */
export function faceTargets(images: readonly (readonly Face[])[], rows?: number): FaceTargets & Disposable {
  const most = rows ?? 1 + Math.max(...images.map(({ length }) => length));
  const padded = images.map((faces) =>
    Array.from({ length: most }, (_, f): Face => faces[f] ?? { box: PADDING, landmarks: PADDING }),
  );
  const list = (values: (face: Face) => readonly number[], width: number) =>
    Tensor.from(testDevice, padded.flat().flatMap(values), [images.length, most, width]);
  const boxes = list(({ box }) => box, 4);
  // What an unannotated face holds must not matter.
  const landmarks = list((face) => Array.from({ length: 10 }, (_, i) => face.landmarks?.[i] ?? -1), 10);
  const annotated = Tensor.from(
    testDevice,
    padded.flat().map((face) => (face.landmarks ? 1 : 0)),
    [images.length, most],
  );
  const counts = Tensor.from(
    testDevice,
    Uint32Array.from(images, ({ length }) => length),
    [images.length],
  );
  const tensors = { boxes, landmarks, annotated, counts };
  return {
    ...tensors,
    [Symbol.dispose]() {
      for (const tensor of Object.values(tensors)) tensor.dispose();
    },
  };
}
