import { zeros, type Array64 } from './array64.js';

export interface IouOptions {
  /** Counts both edge pixels: widths are x2 − x1 + 1, as WIDER FACE's evaluation does. */
  readonly plusOne?: boolean;
}

function area({ data }: Array64, i: number, edge: number): number {
  return (data[i * 4 + 2]! - data[i * 4]! + edge) * (data[i * 4 + 3]! - data[i * 4 + 1]! + edge);
}

/** Intersection over union of box i of a and box j of b, xyxy; 0 where they share no area. */
export function iou(a: Array64, i: number, b: Array64, j: number, { plusOne = false }: IouOptions = {}): number {
  const edge = plusOne ? 1 : 0;
  const left = Math.max(a.data[i * 4]!, b.data[j * 4]!);
  const top = Math.max(a.data[i * 4 + 1]!, b.data[j * 4 + 1]!);
  const right = Math.min(a.data[i * 4 + 2]!, b.data[j * 4 + 2]!);
  const bottom = Math.min(a.data[i * 4 + 3]!, b.data[j * 4 + 3]!);
  const intersection = Math.max(0, right - left + edge) * Math.max(0, bottom - top + edge);
  return intersection > 0 ? intersection / (area(a, i, edge) + area(b, j, edge) - intersection) : 0;
}

/** The IoU of every box of a [n, 4] with every box of b [m, 4]: [n, m]. */
export function iouMatrix(a: Array64, b: Array64, options: IouOptions = {}): Array64 {
  const output = zeros([a.shape[0]!, b.shape[0]!]);
  for (let i = 0; i < a.shape[0]!; i++)
    for (let j = 0; j < b.shape[0]!; j++) output.data[i * b.shape[0]! + j] = iou(a, i, b, j, options);
  return output;
}
