import { defineOp } from '../autograd/op.js';
import {
  checkHardNegativeOptions,
  HARD_NEGATIVE_OPTIONS,
  type HardNegativeOptions,
  selectHardNegatives,
} from '../detect/hard_negatives.js';
import {
  checkMatchOptions,
  type FaceTargets,
  MATCH_OPTIONS,
  matchAnchors,
  type Matches,
  type MatchOptions,
  targetSizes,
} from '../detect/match.js';
import { checkOptions, type OptionKinds } from '../gpu/arguments.js';
import { ArgumentError, ShapeError } from '../gpu/errors.js';
import type { Grid } from '../gpu/grid.js';
import { contiguous } from '../ops/layout.js';
import { negativeLogLikelihood } from '../ops/negative_log_likelihood.js';
import { checkBeta, smoothL1 } from '../ops/smooth_l1.js';
import { scope } from '../tensor/scope.js';
import { formatShape, sameShape } from '../tensor/shape.js';
import { Tensor } from '../tensor/tensor.js';
import type { HeadOutputs } from './heads.js';

export type { FaceTargets } from '../detect/match.js';

/** How one set of heads is taught. */
export interface LossOptions extends MatchOptions, HardNegativeOptions {
  /** What the class loss is divided by, over the batch: the anchors it is taken from, or the positive ones alone. */
  readonly classNormalisation: 'selected' | 'positives';
  /** Factors of the three losses in the total, 0 or more. */
  readonly lambda: { readonly class: number; readonly box: number; readonly landmarks: number };
  /** Where smooth L1 passes from parabola to line, in units of the codes. */
  readonly beta: number;
}

/** The loss of one set of heads; all of it stays on the GPU. */
export interface MultiboxLoss {
  /** [], Σ λ·part; the only one with a gradient. */
  readonly total: Tensor;
  /** [3]: class, box and landmark loss after their normalisation, before λ. */
  readonly parts: Tensor<'f32'>;
  /** [n, 3]: positive anchors of each image, anchors its class loss is taken from, positive anchors with landmarks. */
  readonly counts: Tensor<'u32'>;
}

/**
 * The report's loss (its §3.5) for the first or only heads, with two repairs: each face also takes its best anchor, without
 * which a fifth of the training crops have no positive anchor at all, and images without faces teach by their hardest
 * negatives.
 */
export const REPORT_LOSS: LossOptions = {
  positiveThreshold: 0.7,
  negativeThreshold: 0.3,
  forceBestAnchor: true,
  variances: [1, 1],
  negativeRatio: 3,
  // As many as ten positives bring: about what an image with faces contributes.
  minimumNegatives: 30,
  classNormalisation: 'selected',
  lambda: { class: 1, box: 1, landmarks: 1 },
  beta: 1,
};

/** The same for the second heads of a cascade. */
export const REPORT_CASCADE_LOSS: LossOptions = { ...REPORT_LOSS, positiveThreshold: 0.5, negativeThreshold: 0.4 };

/**
 * The report's loss as its text has it: thresholds alone decide, and images without positive anchors are skipped. Two
 * faults of its code, not of its text, are not followed: there a later face takes an anchor from an earlier one that
 * overlaps it more, here it keeps the face of its greatest IoU; and there a flip leaves left and right landmarks
 * unswapped.
 */
export const REPORT_STRICT_LOSS: LossOptions = { ...REPORT_LOSS, forceBestAnchor: false, minimumNegatives: 0 };

/** The same for the second heads of a cascade. */
export const REPORT_STRICT_CASCADE_LOSS: LossOptions = {
  ...REPORT_CASCADE_LOSS,
  forceBestAnchor: false,
  minimumNegatives: 0,
};

/** The loss that public checkpoints were trained with (biubug6/Pytorch_Retinaface). */
export const PUBLISHED_LOSS: LossOptions = {
  positiveThreshold: 0.35,
  negativeThreshold: 0.35,
  forceBestAnchor: 0.2,
  variances: [0.1, 0.2],
  negativeRatio: 7,
  minimumNegatives: 0,
  classNormalisation: 'positives',
  lambda: { class: 1, box: 2, landmarks: 1 },
  beta: 1,
};

/**
 * The published loss, that pictures without faces teach as well: by their 70 hardest negatives, as many as ten positives bring
 * (a crop of WIDER FACE at 320 pixels brings 26 on average). There the published one takes none. Nor would a minimum alone do: it
 * divides by the positives of the batch, and a batch of such pictures has none, so that the sum of hundreds of losses
 * would be one step. Here the class loss is the mean over all anchors it is taken from, times 8, for 7 negatives and the
 * positive: where every positive finds its 7 negatives, and no picture is without, that is the published loss itself.
 */
export const PUBLISHED_NEGATIVES_LOSS: LossOptions = {
  ...PUBLISHED_LOSS,
  minimumNegatives: 70,
  classNormalisation: 'selected',
  lambda: { ...PUBLISHED_LOSS.lambda, class: PUBLISHED_LOSS.negativeRatio + 1 },
};

/** The same for the second heads of a cascade, which that code does not have: with the report's thresholds for them. */
export const PUBLISHED_CASCADE_LOSS: LossOptions = {
  ...PUBLISHED_LOSS,
  positiveThreshold: REPORT_CASCADE_LOSS.positiveThreshold,
  negativeThreshold: REPORT_CASCADE_LOSS.negativeThreshold,
};

/** Both: the report's thresholds, and pictures without faces teach. */
export const PUBLISHED_NEGATIVES_CASCADE_LOSS: LossOptions = {
  ...PUBLISHED_NEGATIVES_LOSS,
  positiveThreshold: REPORT_CASCADE_LOSS.positiveThreshold,
  negativeThreshold: REPORT_CASCADE_LOSS.negativeThreshold,
};

const weightedTotal = defineOp<
  { classes: Tensor; boxes: Tensor; landmarks: Tensor | undefined },
  { lambda: LossOptions['lambda']; parts: Tensor }
>({
  name: 'multiboxLoss',
  forward({ classes, boxes, landmarks }, { lambda, parts }) {
    const total = Tensor.empty(classes.gpu, [], { label: 'multiboxLoss' });
    classes.gpu.run('multibox_total', {
      params: { class_weight: lambda.class, box_weight: lambda.box, landmark_weight: lambda.landmarks },
      buffers: {
        class_loss: classes.buffer,
        box_loss: boxes.buffer,
        ...(landmarks && { landmark_loss: landmarks.buffer }),
        parts: parts.buffer,
        total: total.buffer,
      },
      conditions: { landmarks: landmarks !== undefined },
      grid: [1, 1, 1],
    });
    return total;
  },
  backward(gradient, { options: { lambda }, needs }) {
    const scaled = (scale: number): Tensor => {
      const y = Tensor.empty(gradient.gpu, [], { label: 'gradient of multiboxLoss' });
      gradient.gpu.run('fill_from_scalar', {
        params: { count4: 1, scale },
        buffers: { x: gradient.buffer, y: y.buffer },
        grid: [1, 1, 1],
      });
      return y;
    };
    return {
      classes: needs.classes ? scaled(lambda.class) : undefined,
      boxes: needs.boxes ? scaled(lambda.box) : undefined,
      landmarks: needs.landmarks ? scaled(lambda.landmarks) : undefined,
    };
  },
});

const OUTPUTS: OptionKinds<Partial<HeadOutputs>> = { logits: 'tensor!', boxes: 'tensor!', landmarks: 'tensor' };

function checkOutputs({ logits, boxes, landmarks }: HeadOutputs, images: number, anchors: number): void {
  const fits =
    sameShape(logits.shape, [images, anchors, 2]) &&
    sameShape(boxes.shape, [images, anchors, 4]) &&
    (!landmarks || sameShape(landmarks.shape, [images, anchors, 10]));
  if (fits) return;
  throw new ShapeError({
    operation: 'multiboxLoss',
    expected: `logits [${images}, ${anchors}, 2], boxes [${images}, ${anchors}, 4], landmarks [${images}, ${anchors}, 10]`,
    got: [logits, boxes, landmarks].map((tensor) => (tensor ? formatShape(tensor.shape) : 'none')).join(', '),
    remedy: 'Pass the outputs of one set of heads, the anchors of its input size, and targets of the same images.',
  });
}

function checkLoss(operation: string, options: LossOptions): void {
  checkOptions(operation, options, {
    ...MATCH_OPTIONS,
    ...HARD_NEGATIVE_OPTIONS,
    classNormalisation: 'string!',
    lambda: 'object!',
    beta: 'number!',
  });
  checkOptions(operation, options.lambda, { class: 'number!', box: 'number!', landmarks: 'number!' });
  checkMatchOptions(options);
  checkHardNegativeOptions(options);
  checkBeta(options.beta);
  const { lambda, classNormalisation } = options;
  if (!['selected', 'positives'].includes(classNormalisation)) {
    throw new ArgumentError({
      operation,
      expected: "classNormalisation to be 'selected' or 'positives'",
      got: `'${classNormalisation}'`,
      remedy: 'Pass one of them.',
    });
  }
  const factors = [lambda.class, lambda.box, lambda.landmarks];
  if (factors.every((factor) => factor >= 0 && Number.isFinite(factor))) return;
  throw new ArgumentError({
    operation,
    expected: 'three factors of 0 or more',
    got: factors.join(', '),
    remedy: 'The report takes 1 for each part, the original paper 1, 0.25 and 0.1.',
  });
}

/** Writes how many anchors of each image take part in which loss into the rows of `counts` from `first` on. */
function count(matches: Matches, selected: Tensor, annotated: Tensor, counts: Tensor<'u32'>, first = 0): void {
  const [images = 0, anchors = 0] = selected.shape;
  const [, faces = 0] = annotated.shape;
  selected.gpu.run('multibox_counts', {
    params: { anchors, faces, first },
    buffers: {
      labels: matches.labels.buffer,
      matched: matches.faces.buffer,
      selected: selected.buffer,
      annotated: contiguous(annotated).buffer,
      counts: counts.buffer,
    },
    grid: [images, 1, 1],
  });
}

/**
 * The weight [n, A] of every anchor in each of the three losses, normalised over the images of `over`, and how many anchors
 * have one.
 */
function weigh(matches: Matches, selected: Tensor, annotated: Tensor, options: LossOptions, over?: Tensor<'u32'>) {
  const { gpu } = selected;
  const [images = 0, anchors = 0] = selected.shape;
  const [, faces = 0] = annotated.shape;
  const counts = Tensor.empty(gpu, [images, 3], { dtype: 'u32', label: 'anchor counts' });
  count(matches, selected, annotated, counts);
  const all = over ?? counts;
  const factors = Tensor.empty(gpu, [3], { label: 'loss factors' });
  gpu.run('multibox_factors', {
    params: { images: all.shape[0] ?? 0, class_by_positives: options.classNormalisation === 'positives' ? 1 : 0 },
    buffers: { counts: all.buffer, factors: factors.buffer },
    grid: [1, 1, 1],
  });
  const [labels, matched] = [matches.labels.buffer, matches.faces.buffer];
  const known = contiguous(annotated).buffer;
  const boxes = Tensor.empty(gpu, selected.shape, { label: 'box weights' });
  const landmarks = matches.landmarks && Tensor.empty(gpu, selected.shape, { label: 'landmark weights' });
  const grid: Grid = [Math.ceil(anchors / 64), images, 1];
  gpu.run('multibox_weights', {
    params: { anchors, faces },
    buffers: {
      labels,
      matched,
      annotated: known,
      factors: factors.buffer,
      class_weights: selected.buffer,
      box_weights: boxes.buffer,
      ...(landmarks && { landmark_weights: landmarks.buffer }),
    },
    conditions: { landmarks: landmarks !== undefined },
    grid,
  });
  return { counts, classes: selected, boxes, landmarks };
}

/**
 * Writes into the rows of `counts` [N, 3] from `first` on what `multiboxLoss` answers as counts for these images. Which
 * negatives are chosen depends on the outputs, how many does not, so that none are needed.
 * @throws ShapeError when the shapes do not fit; ArgumentError for options that there are not or that are out of range.
 */
export function countAnchors(
  anchors: Tensor,
  targets: FaceTargets,
  options: LossOptions,
  { counts, first }: { readonly counts: Tensor<'u32'>; readonly first: number },
): void {
  checkLoss('countAnchors', options);
  const sizes = targetSizes('countAnchors', anchors, targets);
  if (counts.shape.length !== 2 || counts.shape[1] !== 3 || first < 0 || first + sizes.images > counts.shape[0]!) {
    throw new ShapeError({
      operation: 'countAnchors',
      expected: `counts [N, 3] with rows ${first} to ${first + sizes.images - 1}`,
      got: formatShape(counts.shape),
      remedy: 'Make a row for each image of the step.',
    });
  }
  scope(() => {
    const matches = matchAnchors(anchors, targets, options, { landmarks: false });
    const losses = Tensor.zeros(anchors.gpu, matches.labels.shape, { label: 'no losses' });
    count(matches, selectHardNegatives(losses, matches.labels, options), targets.annotated, counts, first);
  });
}

/**
 * The loss of one set of heads against ground truth, with nothing read back: anchors are matched, hard negatives chosen,
 * and each loss normalised over the batch on the GPU (report §3.5; original paper's §3.1, with λ 1, 0.25 and 0.1).
 * Class: negative log-likelihood of positives and hard negatives. Boxes: smooth L1 of the positives' codes. Landmarks: the
 * same where the face's are annotated; 0 for heads without. Each normaliser is at least 1.
 *
 * `anchors` (cx, cy, w, h in pixels): [A, 4], or [n, A, 4] where each image has its own, as in a cascade. No gradient
 * reaches them. `over` `[N, 3]`: counts of all images of a step of which these are a part; the losses and gradients of such
 * parts add up to those of the whole.
 * @throws ShapeError when the shapes do not fit; ArgumentError for options that there are not or that are out of range.
 */
export function multiboxLoss(
  outputs: HeadOutputs,
  anchors: Tensor,
  targets: FaceTargets,
  options: LossOptions,
  over?: Tensor<'u32'>,
): MultiboxLoss {
  checkLoss('multiboxLoss', options);
  checkOptions<Partial<HeadOutputs>>('multiboxLoss', outputs, OUTPUTS);
  const sizes = targetSizes('multiboxLoss', anchors, targets);
  checkOutputs(outputs, sizes.images, sizes.anchors);
  return scope(() => {
    const matches = matchAnchors(anchors, targets, options, {
      landmarks: outputs.landmarks !== undefined,
    });
    // A view is another tensor to the tape: no gradient flows through the choice of negatives.
    const logits = contiguous(outputs.logits).view(outputs.logits.shape);
    const losses = negativeLogLikelihood(logits, matches.labels, { reduction: 'none' });
    const selected = selectHardNegatives(losses, matches.labels, options);
    const weights = weigh(matches, selected, targets.annotated, options, over);
    const reduction = 'sum' as const;
    const { beta } = options;
    const classes = negativeLogLikelihood(outputs.logits, matches.labels, { weights: weights.classes, reduction });
    const boxes = smoothL1(outputs.boxes, matches.boxes, { weights: weights.boxes, reduction, beta });
    const landmarks =
      outputs.landmarks && matches.landmarks
        ? smoothL1(outputs.landmarks, matches.landmarks, { weights: weights.landmarks, reduction, beta })
        : undefined;
    const parts = Tensor.empty(anchors.gpu, [3], { label: 'loss parts' });
    const total = weightedTotal({ classes, boxes, landmarks }, { lambda: options.lambda, parts });
    return { total, parts, counts: weights.counts };
  });
}
