import { array64, type Array64 } from './array64.js';

/** One level of the pyramid: its stride and the edges of the square anchors at each of its cells, in pixels. */
export interface AnchorLevel {
  readonly stride: number;
  readonly edges: readonly number[];
}

/** P2 to P6 with edges 16·2^(k/3)·stride/4: the report's Table 1. */
export const REPORT_LEVELS: readonly AnchorLevel[] = [4, 8, 16, 32, 64].map((stride) => ({
  stride,
  edges: [0, 1, 2].map((k) => 16 * 2 ** (k / 3) * (stride / 4)),
}));

/** The three levels of the published networks. */
export const PUBLISHED_LEVELS: readonly AnchorLevel[] = [
  { stride: 8, edges: [16, 32] },
  { stride: 16, edges: [64, 128] },
  { stride: 32, edges: [256, 512] },
];

/** Anchors [n, 4] xyxy in the order level, y, x, edge; a level has ceil(size / stride) cells, centred at (i + ½)·stride. */
export function anchors(height: number, width: number, levels: readonly AnchorLevel[]): Array64 {
  const values: number[] = [];
  for (const { stride, edges } of levels)
    for (let y = 0; y < Math.ceil(height / stride); y++)
      for (let x = 0; x < Math.ceil(width / stride); x++)
        for (const edge of edges) {
          const [cx, cy] = [(x + 0.5) * stride, (y + 0.5) * stride];
          values.push(cx - edge / 2, cy - edge / 2, cx + edge / 2, cy + edge / 2);
        }
  return array64([values.length / 4, 4], values);
}
