import { zeros, type Array64 } from './array64.js';

export interface IouOptions {
  /** Counts both edge pixels: widths are x2 − x1 + 1, as WIDER FACE's evaluation does. */
  readonly plusOne?: boolean;
}

/** Intersection over union of boxes i and j, xyxy; 0 where both have no area. */
export function iou(a: Array64, i: number, b: Array64, j: number, { plusOne = false }: IouOptions = {}): number {
  const edge = plusOne ? 1 : 0;
  const [ax1, ay1, ax2, ay2] = a.data.subarray(i * 4, i * 4 + 4) as unknown as [number, number, number, number];
  const [bx1, by1, bx2, by2] = b.data.subarray(j * 4, j * 4 + 4) as unknown as [number, number, number, number];
  const width = Math.max(0, Math.min(ax2, bx2) - Math.max(ax1, bx1) + edge);
  const height = Math.max(0, Math.min(ay2, by2) - Math.max(ay1, by1) + edge);
  const areas = (ax2 - ax1 + edge) * (ay2 - ay1 + edge) + (bx2 - bx1 + edge) * (by2 - by1 + edge);
  const intersection = width * height;
  return intersection > 0 ? intersection / (areas - intersection) : 0;
}

/** The IoU of every box of a [n, 4] with every box of b [m, 4]: [n, m]. */
export function iouMatrix(a: Array64, b: Array64, options: IouOptions = {}): Array64 {
  const output = zeros([a.shape[0]!, b.shape[0]!]);
  for (let i = 0; i < a.shape[0]!; i++)
    for (let j = 0; j < b.shape[0]!; j++) output.data[i * b.shape[0]! + j] = iou(a, i, b, j, options);
  return output;
}
