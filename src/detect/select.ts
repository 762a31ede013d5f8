import { LimitError, ShapeError } from '../gpu/errors.js';
import { flatGrid } from '../gpu/grid.js';
import { scope } from '../tensor/scope.js';
import { formatShape } from '../tensor/shape.js';
import { Tensor } from '../tensor/tensor.js';
import { chooseGreatest } from './choose.js';

/** Raw outputs of a network for n images and A anchors. */
export interface RawOutputs {
  /** [n, A, 2]: background, face. */
  readonly logits: Tensor;
  /** [n, A, 4]: codes (tx, ty, tw, th). */
  readonly boxes: Tensor;
  /** [n, A, 10] */
  readonly landmarks: Tensor | undefined;
  /** [A, 4], or [n, A, 4] where each image has its own, as (cx, cy, w, h) in pixels. */
  readonly anchors: Tensor;
}

export interface SelectOptions {
  /** A face's score is greater than this. */
  readonly scoreThreshold: number;
  /** Candidates kept before suppression; at most 32,768. */
  readonly topK: number;
  /** A face goes where its IoU with a better one is greater than this. */
  readonly nmsThreshold: number;
  /** Counts both edge pixels: widths are x2 − x1 + 1. */
  readonly plusOne: boolean;
  readonly maxFaces: number;
  /** Of centres and landmarks, and of sizes. */
  readonly variances: readonly [number, number];
}

/**
 * Faces [n, 1 + maxFaces·15] of raw outputs, all on the GPU: their number, then of each its score, x1, y1, x2, y2 and five
 * points, by descending score, ties by anchor; zeros after the last.
 * @throws ShapeError for shapes that do not fit; LimitError for topK over 32,768.
 */
export function selectFaces({ logits, boxes, landmarks, anchors }: RawOutputs, options: SelectOptions): Tensor<'f32'> {
  const [n = 0, count = 0] = logits.shape;
  const sizes = [
    logits.size - n * count * 2,
    boxes.size - n * count * 4,
    anchors.size - (anchors.shape.length === 3 ? n : 1) * count * 4,
  ];
  if (landmarks) sizes.push(landmarks.size - n * count * 10);
  if (logits.shape.length !== 3 || sizes.some((difference) => difference !== 0)) {
    throw new ShapeError({
      operation: 'selectFaces',
      expected: 'logits [n, A, 2], boxes [n, A, 4], landmarks [n, A, 10], anchors [A, 4]',
      got: [logits, boxes, ...(landmarks ? [landmarks] : []), anchors]
        .map(({ shape }) => formatShape(shape))
        .join(', '),
      remedy: 'Pass the outputs of one network and the anchors of its input size.',
    });
  }
  if (options.topK > 32768) {
    throw new LimitError({
      operation: 'selectFaces',
      expected: 'a topK of at most 32768, whose removal mask fits workgroup memory',
      got: String(options.topK),
      remedy: 'Lower topK, or raise the score threshold.',
    });
  }
  const { gpu } = logits;
  const k = Math.max(1, Math.min(options.topK, count));
  return scope(() => {
    const keys = Tensor.empty(gpu, [n, count], { dtype: 'u32', label: 'keys' });
    const faces = Tensor.empty(gpu, [n, k, 15], { label: 'candidates' });
    const output = Tensor.empty(gpu, [n, 1 + options.maxFaces * 15], { label: 'faces' });
    gpu.run('face_scores', {
      params: { count: n * count, threshold: options.scoreThreshold },
      buffers: { logits: logits.buffer, keys: keys.buffer },
      grid: flatGrid(n * count, 64),
    });
    const { chosen, counts } = chooseGreatest(keys, n, k);
    gpu.run('sort_decode', {
      params: {
        count,
        k,
        centre: options.variances[0],
        size: options.variances[1],
        has_landmarks: landmarks ? 1 : 0,
        anchor_stride: anchors.shape.length === 3 ? count : 0,
      },
      buffers: {
        chosen: chosen.buffer,
        counts: counts.buffer,
        boxes: boxes.buffer,
        landmarks: (landmarks ?? boxes).buffer,
        anchors: anchors.buffer,
        faces: faces.buffer,
      },
      grid: [Math.ceil(k / 64), n, 1],
    });
    gpu.run('suppress', {
      params: { k, max_faces: options.maxFaces, threshold: options.nmsThreshold, edge: options.plusOne ? 1 : 0 },
      buffers: { faces: faces.buffer, counts: counts.buffer, y: output.buffer },
      grid: [n, 1, 1],
    });
    return output;
  });
}
