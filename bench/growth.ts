import { suppression, convolution, iou } from './kernels.js';
import type { Row } from './harness.js';

/** One size of a table. */
export interface Step {
  readonly label: string;
  /** What the time is divided by: so many pixels, pairs of channels, pictures or boxes. */
  readonly units: number;
  readonly row: Row;
}

/** How one kernel's time grows with one size, all others as they are. Linear growth is a constant last column. */
export interface GrowthTable {
  readonly title: string;
  readonly unit: string;
  readonly steps: readonly Step[];
}

export const growthTables: readonly GrowthTable[] = [
  {
    title: 'pixels: conv2d 3×3 64→64',
    unit: 'pixel',
    steps: [40, 80, 160].map((size) => ({
      label: `${size}×${size}`,
      units: size * size,
      row: convolution({ size, cin: 64, cout: 64, kernel: 3 }),
    })),
  },
  {
    title: 'channels: conv2d 3×3 at 80²',
    unit: 'pair of channels',
    steps: [32, 64, 128, 256].map((channels) => ({
      label: `${channels}→${channels}`,
      units: channels * channels,
      row: convolution({ size: 80, cin: channels, cout: channels, kernel: 3 }),
    })),
  },
  {
    title: 'batch: conv2d 3×3 64→64 at 80²',
    unit: 'picture',
    steps: [1, 2, 4].map((batch) => ({
      label: `${batch}`,
      units: batch,
      row: convolution({ size: 80, cin: 64, cout: 64, kernel: 3, batch }),
    })),
  },
  {
    title: 'boxes: IoU of 102,300 anchors',
    unit: 'box',
    steps: [1, 10, 100, 300].map((faces) => ({ label: `${faces}`, units: faces, row: iou(faces) })),
  },
  {
    title: 'boxes: non-maximum suppression',
    unit: 'box',
    steps: [100, 300, 1000, 3000, 10_000, 30_000].map((count) => ({
      label: count.toLocaleString('en'),
      units: count,
      row: suppression(count),
    })),
  },
];
