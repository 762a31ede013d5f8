import { checkOptions, checkTensors } from '../gpu/arguments.js';
import { flatGrid } from '../gpu/grid.js';
import { Tensor } from '../tensor/tensor.js';
import { boxCount } from './boxes.js';

/**
 * Intersection over union of every box of `a` [m, 4] with every box of `b` [k, 4], corners in pixels → [m, k], 0 to 1.
 * With `plusOne`, widths count their last pixel (x2 − x1 + 1), as in the published evaluation.
 * @throws ShapeError for other shapes; DeviceMismatchError for boxes of two devices.
 */
export function iouMatrix(a: Tensor, b: Tensor, options: { readonly plusOne?: boolean } = {}): Tensor<'f32'> {
  checkOptions('iouMatrix', options, { plusOne: 'boolean' });
  checkTensors('iouMatrix', { a, b });
  const rows = boxCount('iouMatrix', a);
  const columns = boxCount('iouMatrix', b);
  const y = Tensor.empty(a.gpu, [rows, columns], { label: 'IoU matrix' });
  if (rows * columns > 0) {
    a.gpu.run('iou_matrix', {
      params: { rows, columns, extra: options.plusOne ? 1 : 0 },
      buffers: { a: a.buffer, b: b.buffer, y: y.buffer },
      grid: flatGrid(rows * columns, 64),
    });
  }
  return y;
}
