import { array64, zeros, type Array64 } from './array64.js';
import { selectHardNegatives, type HardNegativeOptions } from './hard_negatives.js';
import { matchAnchors, type Face, type MatchOptions } from './match.js';
import { negativeLogLikelihood } from './negative_log_likelihood.js';
import { smoothL1 } from './smooth_l1.js';

export interface LossOptions extends MatchOptions, HardNegativeOptions {
  readonly classNormalisation: 'selected' | 'positives';
  readonly lambda: { readonly class: number; readonly box: number; readonly landmarks: number };
  readonly beta: number;
}

/** Raw outputs of one set of heads for n images: [n, A, 2], [n, A, 4] and, where there are any, [n, A, 10]. */
export interface Outputs {
  readonly logits: Array64;
  readonly boxes: Array64;
  readonly landmarks?: Array64;
}

/** What the outputs are compared with: all that does not change when they move a little. */
export interface Goals {
  readonly labels: readonly number[];
  readonly boxes: Array64;
  readonly landmarks: Array64;
  /** A weight per anchor of the class, box and landmark loss, each divided by its normaliser. */
  readonly weights: readonly [classes: Array64, boxes: Array64, landmarks: Array64];
  /** Of each image: positives, anchors of the class loss, positives with landmarks. */
  readonly counts: readonly (readonly [number, number, number])[];
}

const joined = (parts: readonly Array64[], width: number): Array64 => {
  const data = parts.flatMap((part) => [...part.data]);
  return array64([data.length / width, width], data);
};

/** Matches and selects image by image; `anchors` holds one list [A, 4] (cx, cy, w, h) per image. */
export function multiboxGoals(
  { logits }: Outputs,
  anchors: readonly Array64[],
  images: readonly (readonly Face[])[],
  options: LossOptions,
): Goals {
  const matches = images.map((faces, i) => matchAnchors(anchors[i]!, faces, options));
  const labels = matches.flatMap((match) => match.labels);
  const count = labels.length / images.length;
  const matrix = array64([labels.length, 2], logits.data);
  const losses = negativeLogLikelihood(
    matrix,
    labels.map((label) => label % 2),
    { reduction: 'none' },
  );
  const selected = matches.flatMap((match, i) =>
    selectHardNegatives(losses.data.subarray(i * count, (i + 1) * count), match.labels, options),
  );
  const positive = labels.map((label) => (label === 1 ? 1 : 0));
  const annotated = matches.flatMap((match, i) =>
    match.labels.map((label, a) => (label === 1 && images[i]![match.faces[a]!]!.landmarks ? 1 : 0)),
  );
  const total = (values: readonly number[]) => values.reduce<number>((sum, value) => sum + value, 0);
  const share = (values: readonly number[], by: readonly number[]) =>
    array64(
      [values.length],
      values.map((value) => value / Math.max(1, total(by))),
    );
  return {
    labels,
    boxes: joined(
      matches.map(({ boxes }) => boxes),
      4,
    ),
    landmarks: joined(
      matches.map(({ landmarks }) => landmarks),
      10,
    ),
    weights: [
      share(selected, options.classNormalisation === 'selected' ? selected : positive),
      share(positive, positive),
      share(annotated, annotated),
    ],
    counts: images.map((_, i) => {
      const own = (values: readonly number[]) => total(values.slice(i * count, (i + 1) * count));
      return [own(positive), own(selected), own(annotated)];
    }),
  };
}

/** Class, box and landmark loss, and their sum weighted by λ. */
export function multiboxLoss(
  { logits, boxes, landmarks }: Outputs,
  goals: Goals,
  { lambda, beta }: LossOptions,
): { readonly parts: readonly [number, number, number]; readonly total: number } {
  const rows = goals.labels.length;
  const flat = (x: Array64) => array64([rows, x.data.length / rows], x.data);
  const [classWeights, boxWeights, landmarkWeights] = goals.weights;
  const reduction = 'sum' as const;
  const parts: [number, number, number] = [
    negativeLogLikelihood(
      flat(logits),
      goals.labels.map((label) => label % 2),
      { weights: classWeights, reduction },
    ).data[0]!,
    smoothL1(flat(boxes), goals.boxes, { weights: boxWeights, reduction, beta }).data[0]!,
    smoothL1(flat(landmarks ?? zeros(goals.landmarks.shape)), goals.landmarks, {
      weights: landmarks ? landmarkWeights : zeros(landmarkWeights.shape),
      reduction,
      beta,
    }).data[0]!,
  ];
  return { parts, total: lambda.class * parts[0] + lambda.box * parts[1] + lambda.landmarks * parts[2] };
}
