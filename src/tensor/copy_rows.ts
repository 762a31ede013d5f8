import { flatGrid } from '../gpu/grid.js';
import type { Tensor } from './tensor.js';

/** Runs of `width` elements, one every `pitch`, the first after `offset`. */
export interface Rows {
  readonly tensor: Tensor;
  readonly pitch: number;
  readonly offset: number;
}

/** Copies `rows` runs of `width` elements; between f32 and f16 they are converted. */
export function copyRows(from: Rows, to: Rows, rows: number, width: number): void {
  const vectors = [width, from.pitch, from.offset, to.pitch, to.offset].every((length) => length % 4 === 0);
  const lane = vectors ? 4 : 1;
  if (rows * width === 0) return;
  from.tensor.gpu.run('copy_rows', {
    params: {
      rows,
      width: width / lane,
      x_pitch: from.pitch / lane,
      x_offset: from.offset / lane,
      y_pitch: to.pitch / lane,
      y_offset: to.offset / lane,
    },
    buffers: { x: from.tensor.buffer, y: to.tensor.buffer },
    conditions: { vectors },
    grid: flatGrid((rows * width) / lane, 64),
  });
}

/** Copies all elements of a contiguous tensor into another of the same shape. */
export function copyAll(from: Tensor, to: Tensor): void {
  const { size } = from;
  copyRows({ tensor: from, pitch: size, offset: 0 }, { tensor: to, pitch: size, offset: 0 }, 1, size);
}
