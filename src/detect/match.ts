import { checkOptions, checkTensors, type OptionKinds, pickOptions } from '../gpu/arguments.js';
import { ArgumentError, ShapeError } from '../gpu/errors.js';
import { flatGrid, type Grid } from '../gpu/grid.js';
import { contiguous } from '../ops/layout.js';
import { scope } from '../tensor/scope.js';
import { formatShape, sameShape, type Shape } from '../tensor/shape.js';
import { Tensor } from '../tensor/tensor.js';

/** Ground truth of n images, F rows each (1 or more); of image i the first `counts[i]` rows are faces, the rest padding. */
export interface FaceTargets {
  /** [n, F, 4], x1, y1, x2, y2 in pixels. A box without width or height matches nothing. */
  readonly boxes: Tensor;
  /** [n, F, 10], five points (x, y) in pixels. */
  readonly landmarks: Tensor;
  /** `[n, F]`: 1 where the landmarks are annotated, else 0. */
  readonly annotated: Tensor;
  /** [n] */
  readonly counts: Tensor<'u32'>;
}

export interface MatchOptions {
  /** An anchor is positive from this IoU with a face on; more than 0, at most 1. */
  readonly positiveThreshold: number;
  /** An anchor is a candidate for a negative example under this IoU with every face; more than 0, at most the positive one. */
  readonly negativeThreshold: number;
  /** Each face also takes its best anchor: always, never, or from this IoU on. */
  readonly forceBestAnchor: boolean | number;
  /** What codes are divided by: centres and landmarks, sizes. */
  readonly variances: readonly [centre: number, size: number];
  /**
   * Faces whose longer edge is under this, in pixels of the network's input, take no anchor, and anchors up to four times as
   * large that cover half of one are no negatives: there is a face, but not one to be found at this size. 0 (default): all
   * faces are taught.
   */
  readonly ignoreBelow?: number;
}

/** Types of the options. */
export const MATCH_OPTIONS: OptionKinds<MatchOptions> = {
  positiveThreshold: 'number!',
  negativeThreshold: 'number!',
  forceBestAnchor: 'boolean|number!',
  variances: 'array!',
  ignoreBelow: 'number',
};

/** What each of A anchors has to learn from each of n images. */
export interface Matches {
  /** `[n, A]`: 1 positive, 0 candidate for a negative example, 2 ignored. */
  readonly labels: Tensor<'u32'>;
  /** `[n, A]`: the row of the face of a positive anchor; of others that of their greatest IoU, 0 where they touch none. */
  readonly faces: Tensor<'u32'>;
  /** [n, A, 4], box codes of the positive anchors; zeros for the others. */
  readonly boxes: Tensor<'f32'>;
  /** [n, A, 10], landmark codes of the positive anchors, annotated or not; zeros for the others. */
  readonly landmarks: Tensor<'f32'> | undefined;
}

/**
 * Throws a ShapeError unless targets and anchors [A, 4] or [n, A, 4] fit one another; answers their sizes.
 */
export function targetSizes(
  operation: string,
  anchors: Tensor,
  targets: FaceTargets,
): { readonly images: number; readonly faces: number; readonly anchors: number } {
  checkOptions(operation, targets, { boxes: 'tensor!', landmarks: 'tensor!', annotated: 'tensor!', counts: 'object!' });
  const { boxes, landmarks, annotated, counts } = targets;
  checkTensors(operation, { anchors, boxes });
  checkTensors(operation, { counts }, 'u32');
  const [images = 0, faces = 0] = boxes.shape;
  const count = anchors.shape.at(-2) ?? 0;
  const each = anchors.shape.length === 3;
  const expected: readonly (readonly [Tensor, Shape])[] = [
    [anchors, each ? [images, count, 4] : [count, 4]],
    [boxes, [images, faces, 4]],
    [landmarks, [images, faces, 10]],
    [annotated, [images, faces]],
    [counts, [images]],
  ];
  if (faces > 0 && expected.every(([tensor, shape]) => sameShape(tensor.shape, shape))) {
    return { images, faces, anchors: count };
  }
  throw new ShapeError({
    operation,
    expected: 'anchors [A, 4] or [n, A, 4], boxes [n, F, 4], landmarks [n, F, 10], annotated [n, F], counts [n], F ≥ 1',
    got: expected.map(([tensor]) => formatShape(tensor.shape)).join(', '),
    remedy: 'Pad every image of the batch to the same number of faces, at least one.',
  });
}

/** Throws an ArgumentError for thresholds or variances out of range. */
export function checkMatchOptions({
  positiveThreshold,
  negativeThreshold,
  forceBestAnchor,
  variances,
  ignoreBelow = 0,
}: MatchOptions): void {
  const ordered = negativeThreshold > 0 && negativeThreshold <= positiveThreshold && positiveThreshold <= 1;
  const forced = typeof forceBestAnchor === 'boolean' || (forceBestAnchor >= 0 && forceBestAnchor <= 1);
  const bound = ignoreBelow >= 0 && Number.isFinite(ignoreBelow);
  if (ordered && forced && bound && variances.every((variance) => variance > 0)) return;
  throw new ArgumentError({
    operation: 'matchAnchors',
    expected:
      '0 < negative ≤ positive threshold ≤ 1, a forced IoU of 0 to 1, variances of more than 0, ignoreBelow of 0 or more',
    got: `thresholds ${negativeThreshold} and ${positiveThreshold}, forced ${forceBestAnchor}, variances ${variances.join(', ')}, ignoreBelow ${ignoreBelow}`,
    remedy:
      'The report takes 0.3 and 0.7 for the first heads, 0.4 and 0.5 for the second; the published code 0.35 twice.',
  });
}

/**
 * Compares anchors (cx, cy, w, h in pixels; [A, 4], or [n, A, 4] where each image has its own) with the faces of each image
 * by IoU, all on the GPU and without an IoU matrix (report §3.5). An anchor takes the face of its greatest IoU, the lowest
 * row of equal ones. A face that is forced takes its best anchor, the lowest index of equal ones, from any other face; of
 * two forced faces with one best anchor the later takes it. `landmarks: false` leaves out their targets.
 * Options of a loss do: what is not of the matching is left alone.
 * @throws ShapeError when the shapes do not fit; ArgumentError for thresholds or variances that are missing or out of range.
 */
export function matchAnchors(
  anchors: Tensor,
  targets: FaceTargets,
  options: MatchOptions,
  wanted: { readonly landmarks?: boolean } = {},
): Matches {
  // A loss's options are these and more.
  checkOptions('matchAnchors', pickOptions(options, MATCH_OPTIONS), MATCH_OPTIONS);
  checkOptions('matchAnchors', wanted, { landmarks: 'boolean' });
  const { landmarks: withLandmarks = true } = wanted;
  const sizes = targetSizes('matchAnchors', anchors, targets);
  checkMatchOptions(options);
  const { images, faces, anchors: count } = sizes;
  const { forceBestAnchor, ignoreBelow: ignored = 0 } = options;
  return scope(() => {
    const { gpu } = anchors;
    const own = contiguous(anchors).buffer;
    const boxes = contiguous(targets.boxes).buffer;
    const counts = targets.counts.buffer;
    const labels = Tensor.empty(gpu, [images, count], { dtype: 'u32', label: 'anchor labels' });
    const matched = Tensor.empty(gpu, [images, count], { dtype: 'u32', label: 'matched faces' });
    const shared = { anchors: count, faces, anchor_stride: anchors.shape.length === 3 ? count : 0 };
    const perAnchor: Grid = [Math.ceil(count / 64), images, 1];
    gpu.run('match_anchors', {
      params: { ...shared, positive: options.positiveThreshold, negative: options.negativeThreshold, ignored },
      buffers: { anchors: own, faces: boxes, counts, labels: labels.buffer, matched: matched.buffer },
      grid: perAnchor,
    });
    if (forceBestAnchor !== false) {
      const forced = Tensor.empty(gpu, [images, faces], { dtype: 'u32', label: 'forced anchors' });
      gpu.run('match_faces', {
        params: { ...shared, minimum: forceBestAnchor === true ? 0 : forceBestAnchor, ignored },
        buffers: { anchors: own, faces: boxes, counts, forced: forced.buffer },
        grid: [faces, images, 1],
      });
      gpu.run('match_forced', {
        params: { images, anchors: count, faces },
        buffers: { forced: forced.buffer, labels: labels.buffer, matched: matched.buffer },
        grid: flatGrid(images, 64),
      });
    }
    const boxTargets = Tensor.empty(gpu, [images, count, 4], { label: 'box targets' });
    const landmarkTargets = withLandmarks
      ? Tensor.empty(gpu, [images, count, 10], { label: 'landmark targets' })
      : undefined;
    const [centre_variance, size_variance] = options.variances;
    gpu.run('match_targets', {
      params: { ...shared, centre_variance, size_variance },
      buffers: {
        anchors: own,
        faces: boxes,
        labels: labels.buffer,
        matched: matched.buffer,
        box_targets: boxTargets.buffer,
        ...(landmarkTargets && {
          points: contiguous(targets.landmarks).buffer,
          landmark_targets: landmarkTargets.buffer,
        }),
      },
      conditions: { landmarks: withLandmarks },
      grid: perAnchor,
    });
    return { labels, faces: matched, boxes: boxTargets, landmarks: landmarkTargets };
  });
}
