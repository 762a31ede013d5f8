import { describe } from '../gpu/arguments.js';
import { ArgumentError } from '../gpu/errors.js';
import { Gpu } from '../gpu/gpu.js';
import type { Picture } from '../image/picture.js';
import { Tensor } from '../tensor/tensor.js';
import { augmentBatch, type AugmentBatchOptions, augmentFaces, type AugmentPlan } from './augment.js';
import { checkFace, type Face } from './sample.js';

/** The faces of a batch, as the loss takes them; lists are padded with zeros to the longest of the batch, F ≥ 1. */
export interface FaceTargets extends Disposable {
  /** [n, F, 4]: x1, y1, x2, y2 in pixels of the network's input. */
  readonly boxes: Tensor<'f32'>;
  /** [n, F, 10]: x, y of left eye, right eye, nose, left and right mouth corner; zeros where not annotated. */
  readonly landmarks: Tensor<'f32'>;
  /** [n, F]: 1 where a face has landmarks, else 0. */
  readonly annotated: Tensor<'f32'>;
  /** [n]: how many faces each picture has. */
  readonly counts: Tensor<'u32'>;
}

/**
 * Uploads the faces of a batch, one list a picture; the caller disposes of the result.
 * @throws ArgumentError for what are no labelled faces, as those that `detect` answers.
 */
export function faceTargets(device: GPUDevice | Gpu, faces: readonly (readonly Face[])[]): FaceTargets {
  const gpu = Gpu.of(device);
  const lists: readonly unknown[] = Array.isArray(faces) ? faces : [faces];
  const wrong = lists.findIndex((list) => !Array.isArray(list));
  if (wrong >= 0) {
    throw new ArgumentError({
      operation: 'faceTargets',
      expected: 'a list of faces for each picture',
      got: describe(lists[wrong]),
      remedy: 'Pass [facesOfFirst, facesOfSecond, …]; a picture without faces has [].',
    });
  }
  const n = faces.length;
  const most = Math.max(1, ...faces.map(({ length }) => length));
  const boxes = new Float32Array(n * most * 4);
  const landmarks = new Float32Array(n * most * 10);
  const annotated = new Float32Array(n * most);
  for (const [i, list] of faces.entries()) {
    for (const [k, face] of list.entries()) {
      checkFace('faceTargets', face);
      const at = i * most + k;
      boxes.set(face.box, 4 * at);
      if (!face.landmarks) continue;
      landmarks.set(face.landmarks, 10 * at);
      annotated[at] = 1;
    }
  }
  const counts = Uint32Array.from(faces, ({ length }) => length);
  const tensors = {
    boxes: Tensor.from(gpu, boxes, [n, most, 4], 'boxes of faces'),
    landmarks: Tensor.from(gpu, landmarks, [n, most, 10], 'landmarks of faces'),
    annotated: Tensor.from(gpu, annotated, [n, most], 'annotated faces'),
    counts: Tensor.from(gpu, counts, [n], 'numbers of faces'),
  };
  return {
    ...tensors,
    [Symbol.dispose]() {
      for (const tensor of Object.values(tensors)) tensor.dispose();
    },
  };
}

/** A picture, its faces in its own pixels, and what is done to both. */
export interface PlannedPicture {
  readonly picture: Picture;
  readonly faces: readonly Face[];
  readonly plan: AugmentPlan;
}

/**
 * Pictures by their plans as `Trainer` takes them: network input [n, size, size, 4] and the faces that stay; the caller disposes of
 * both. @throws what `augmentBatch` throws.
 */
export function plannedBatch(
  device: GPUDevice | Gpu,
  planned: readonly PlannedPicture[],
  options: AugmentBatchOptions,
): { readonly x: Tensor<'f32'>; readonly targets: FaceTargets } {
  const pictures = planned.map(({ picture }) => picture);
  const plans = planned.map(({ plan }) => plan);
  const faces = planned.map(({ plan, faces: all }) => augmentFaces(plan, all, options.size));
  return { x: augmentBatch(device, pictures, plans, options), targets: faceTargets(device, faces) };
}
