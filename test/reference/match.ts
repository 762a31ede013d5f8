import { array64, zeros, type Array64 } from './array64.js';
import { encodeBoxes } from './decode_boxes.js';
import { iou } from './iou_matrix.js';

/** One face of the ground truth, in pixels. */
export interface Face {
  /** x1, y1, x2, y2 */
  readonly box: readonly number[];
  /** Five points (x, y), where they are annotated. */
  readonly landmarks?: readonly number[];
}

export interface MatchOptions {
  readonly positiveThreshold: number;
  readonly negativeThreshold: number;
  /** Each face also takes its best anchor: always, never, or from this IoU on. */
  readonly forceBestAnchor: boolean | number;
  readonly variances: readonly [centre: number, size: number];
  /** Faces whose longer edge is under this are not taught, and anchors on them are no negatives. */
  readonly ignoreBelow?: number;
}

/** Of each anchor: 1 positive, 0 negative candidate or 2 ignored; its face; the codes it has to learn, 0 unless positive. */
export interface Match {
  readonly labels: number[];
  readonly faces: number[];
  /** [A, 4] */
  readonly boxes: Array64;
  /** [A, 10]; 0 also for faces without landmarks. */
  readonly landmarks: Array64;
}

/** Anchors (cx, cy, w, h) as x1, y1, x2, y2. */
export function cornersOf(anchors: Array64): Array64 {
  const corners = zeros(anchors.shape);
  for (let i = 0; i < anchors.data.length; i += 4) {
    const [cx, cy, w, h] = anchors.data.subarray(i, i + 4) as unknown as [number, number, number, number];
    corners.data.set([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], i);
  }
  return corners;
}

/**
 * The faces of one image that its anchors [A, 4] (cx, cy, w, h) have to find. Written as the definition says, over the
 * matrix of all IoUs: an anchor takes the face of its greatest IoU; then face after face takes its best anchor.
 */
export function matchAnchors(anchors: Array64, faces: readonly Face[], options: MatchOptions): Match {
  const { positiveThreshold, negativeThreshold, forceBestAnchor, variances, ignoreBelow = 0 } = options;
  const corners = cornersOf(anchors);
  const count = anchors.shape[0]!;
  const proper = ([x1, y1, x2, y2]: readonly number[]) => x2! > x1! && y2! > y1!;
  const taught = ([x1, y1, x2, y2]: readonly number[]) => Math.max(x2! - x1!, y2! - y1!) >= ignoreBelow;
  const covered = (a: number, [x1, y1, x2, y2]: readonly number[]) => {
    const [left, top, right, bottom] = corners.data.subarray(a * 4, a * 4 + 4) as unknown as [
      number,
      number,
      number,
      number,
    ];
    if (Math.max(right - left, bottom - top) > 4 * ignoreBelow) return false;
    const width = Math.max(0, Math.min(right, x2!) - Math.max(left, x1!));
    const height = Math.max(0, Math.min(bottom, y2!) - Math.max(top, y1!));
    return width * height > 0 && width * height >= ((x2! - x1!) * (y2! - y1!)) / 2;
  };
  const overlaps = faces.map(({ box }) =>
    Array.from({ length: count }, (_, a) =>
      proper(box) && taught(box) ? iou(corners, a, array64([1, 4], box), 0) : 0,
    ),
  );
  const labels: number[] = [];
  const matched: number[] = [];
  for (let a = 0; a < count; a++) {
    const column = overlaps.map((row) => row[a]!);
    const best = Math.max(0, ...column);
    const crowded = faces.some(({ box }) => !taught(box) && covered(a, box));
    labels.push(best >= positiveThreshold ? 1 : best < negativeThreshold && !crowded ? 0 : 2);
    matched.push(Math.max(0, column.indexOf(best)));
  }
  overlaps.forEach((row, face) => {
    const best = Math.max(0, ...row);
    const enough = forceBestAnchor === true || (forceBestAnchor !== false && best >= forceBestAnchor);
    if (!enough || best === 0) return;
    labels[row.indexOf(best)] = 1;
    matched[row.indexOf(best)] = face;
  });

  const [centreVariance, sizeVariance] = variances;
  const boxes = zeros([count, 4]);
  const landmarks = zeros([count, 10]);
  for (let a = 0; a < count; a++) {
    if (labels[a] !== 1) continue;
    const face = faces[matched[a]!]!;
    const own = array64([1, 4], corners.data.subarray(a * 4, a * 4 + 4));
    boxes.data.set(encodeBoxes(array64([1, 4], face.box), own, { centreVariance, sizeVariance }).data, a * 4);
    face.landmarks?.forEach((value, i) => {
      landmarks.data[a * 10 + i] =
        (value - anchors.data[a * 4 + (i % 2)]!) / anchors.data[a * 4 + 2 + (i % 2)]! / centreVariance;
    });
  }
  return { labels, faces: matched, boxes, landmarks };
}
