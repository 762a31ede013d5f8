import { checkOptions, checkTensors } from '../gpu/arguments.js';
import { ArgumentError, LimitError } from '../gpu/errors.js';
import { scope } from '../tensor/scope.js';
import { Tensor } from '../tensor/tensor.js';
import { boxCount } from './boxes.js';
import { chooseGreatest } from './choose.js';
import { keysOf } from './top_k.js';

/** Boxes that one suppression holds: its removal mask is in workgroup memory. */
export const MAX_NMS_BOXES = 32_768;

/**
 * Exact greedy non-maximum suppression: indices of the boxes that stay, by descending score, ties by index. A box goes
 * where its IoU with one that stays is greater than `iouThreshold`. `boxes` [k, 4] corners, `scores` [k].
 * @throws ShapeError; ArgumentError for a threshold outside 0 to 1; LimitError for more than 32,768 boxes.
 */
export async function nms(
  boxes: Tensor,
  scores: Tensor,
  options: { readonly iouThreshold: number; readonly plusOne?: boolean },
): Promise<Uint32Array> {
  checkTensors('nms', { boxes, scores });
  checkOptions('nms', options, { iouThreshold: 'number!', plusOne: 'boolean' });
  const count = boxCount('nms', boxes);
  const { iouThreshold, plusOne = false } = options;
  if (scores.size !== count || !(iouThreshold >= 0 && iouThreshold <= 1)) {
    throw new ArgumentError({
      operation: 'nms',
      expected: `${count} scores and an iouThreshold between 0 and 1`,
      got: `${scores.size} scores and ${iouThreshold}`,
      remedy: 'Pass one score a box and a fraction.',
    });
  }
  if (count > MAX_NMS_BOXES) {
    throw new LimitError({
      operation: 'nms',
      expected: `at most ${MAX_NMS_BOXES} boxes`,
      got: String(count),
      remedy: 'Take the best ones with topK first.',
    });
  }
  if (count === 0) return new Uint32Array(0);
  const { gpu } = boxes;
  using rows = scope(() => {
    const { chosen, counts } = chooseGreatest(keysOf(scores), 1, count);
    const sorted = Tensor.empty(gpu, [count, 15], { label: 'sorted boxes' });
    gpu.run('sort_boxes', {
      params: { k: count },
      buffers: { chosen: chosen.buffer, counts: counts.buffer, boxes: boxes.buffer, faces: sorted.buffer },
      grid: [Math.ceil(count / 64), 1, 1],
    });
    const y = Tensor.empty(gpu, [1 + count * 15], { label: 'kept boxes' });
    gpu.run('suppress', {
      params: { k: count, max_faces: count, threshold: iouThreshold, edge: plusOne ? 1 : 0 },
      buffers: { faces: sorted.buffer, counts: counts.buffer, y: y.buffer },
      grid: [1, 1, 1],
    });
    return y;
  });
  const kept = await rows.read();
  return Uint32Array.from({ length: kept[0]! }, (_, i) => kept[1 + 15 * i + 5]!);
}
