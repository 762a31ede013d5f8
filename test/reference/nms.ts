import { type Array64 } from './array64.js';
import { iou, type IouOptions } from './iou_matrix.js';
import { topK } from './top_k.js';

export interface NmsOptions extends IouOptions {
  /** A box goes if its IoU with a kept one is greater than this; equal stays. */
  readonly iouThreshold: number;
}

/** Greedy non-maximum suppression of boxes [n, 4] xyxy: the indices that stay, by descending score, ties by index. */
export function nms(boxes: Array64, scores: Array64, options: NmsOptions): number[] {
  const kept: number[] = [];
  for (const candidate of topK(scores, scores.data.length))
    if (kept.every((other) => iou(boxes, candidate, boxes, other, options) <= options.iouThreshold))
      kept.push(candidate);
  return kept;
}
