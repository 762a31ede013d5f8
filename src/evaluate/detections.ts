/** What was found in one picture. */
export interface Detections {
  /** x1, y1, x2, y2 of each, in pixels of the picture. */
  readonly boxes: Float64Array;
  /** One score each, in any order and on any scale. */
  readonly scores: Float64Array;
  /** Five points of each as x, y: left eye, right eye, nose, left and right mouth corner. */
  readonly landmarks?: Float64Array;
}

/** Detections of a set of pictures, by the names that its ground truth gives them. */
export type Predictions = ReadonlyMap<string, Detections>;

/** How detections meet faces. */
export interface Matches {
  /** Indices of the detections by descending score, ties by index. */
  readonly order: Uint32Array;
  /** Of each detection, in the order of the detections: the face that it overlaps most, or −1 where that is too little. */
  readonly face: Int32Array;
}

/**
 * The face of greatest IoU of each detection, over all faces, where that reaches `iouThreshold`. Widths are
 * x2 − x1 + 1, as WIDER FACE's evaluation has them, so that boxes without area still overlap.
 */
export function matchDetections(boxes: Float64Array, detections: Detections, iouThreshold: number): Matches {
  const { scores, boxes: found } = detections;
  const order = Uint32Array.from(scores, (_, i) => i).sort((a, b) => scores[b]! - scores[a]! || a - b);
  const face = new Int32Array(scores.length).fill(-1);
  for (let i = 0; i < scores.length; i++) {
    const x1 = found[4 * i]!;
    const y1 = found[4 * i + 1]!;
    const x2 = found[4 * i + 2]!;
    const y2 = found[4 * i + 3]!;
    const area = (x2 - x1 + 1) * (y2 - y1 + 1);
    let greatest = 0;
    let best = -1;
    for (let j = 0; j < boxes.length; j += 4) {
      const w = Math.min(x2, boxes[j + 2]!) - Math.max(x1, boxes[j]!) + 1;
      if (!(w > 0)) continue;
      const h = Math.min(y2, boxes[j + 3]!) - Math.max(y1, boxes[j + 1]!) + 1;
      if (!(h > 0)) continue;
      const own = (boxes[j + 2]! - boxes[j]! + 1) * (boxes[j + 3]! - boxes[j + 1]! + 1);
      const union = area + own - w * h;
      // Boxes turned inside out can have no union at all: they overlap nothing.
      const iou = union > 0 ? (w * h) / union : 0;
      if (iou > greatest) {
        greatest = iou;
        best = j / 4;
      }
    }
    if (greatest >= iouThreshold) face[i] = best;
  }
  return { order, face };
}
