import { ShapeError } from '../gpu/errors.js';
import { flatGrid } from '../gpu/grid.js';
import { formatShape } from '../tensor/shape.js';
import { Tensor } from '../tensor/tensor.js';

/**
 * Box codes to boxes: `codes` [n, A, 4] relative to `anchors` [A, 4] or [n, A, 4] → [n, A, 4], all as (cx, cy, w, h) in
 * pixels (report §3.5; variances as in SSD). No gradient flows: these are the detached anchors of the cascade.
 * @throws ShapeError when the shapes do not fit.
 */
export function decodeBoxes(
  codes: Tensor,
  anchors: Tensor,
  { variances }: { readonly variances: readonly [centre: number, size: number] },
): Tensor<'f32'> {
  const last = codes.shape.slice(-anchors.shape.length);
  const listed = anchors.shape.length >= 2 && codes.shape.length === 3 && codes.shape[2] === 4;
  if (!listed || anchors.shape.join() !== last.join()) {
    throw new ShapeError({
      operation: 'decodeBoxes',
      expected: 'codes [n, A, 4] and anchors [A, 4] or [n, A, 4]',
      got: `${formatShape(codes.shape)} and ${formatShape(anchors.shape)}`,
      remedy: 'Pass the anchors of the same input size.',
    });
  }
  const boxes = Tensor.empty(codes.gpu, codes.shape, { label: 'decoded boxes' });
  const total = codes.size / 4;
  codes.gpu.run('decode_boxes', {
    params: { total, anchors: anchors.size / 4, centre_variance: variances[0], size_variance: variances[1] },
    buffers: { codes: codes.buffer, anchors: anchors.buffer, y: boxes.buffer },
    grid: flatGrid(total, 64),
  });
  return boxes;
}

/** Throws a ShapeError for anything but a list of boxes [k, 4]; answers k. */
export function boxCount(operation: string, boxes: Tensor): number {
  const [count, four] = boxes.shape;
  if (boxes.shape.length === 2 && four === 4 && count !== undefined) return count;
  throw new ShapeError({
    operation,
    expected: 'boxes [k, 4] as x1, y1, x2, y2',
    got: formatShape(boxes.shape),
    remedy: 'Reshape the tensor.',
  });
}
