import { nhwc, pair, sides, windows, zeros, type Array64, type Padding, type Pair } from './array64.js';

export interface MaxPool2dOptions {
  readonly kernel: Pair;
  /** The kernel's size by default. */
  readonly stride?: Pair;
  readonly padding?: Padding;
}

/**
 * The place (y·w + x) of each window's maximum [n, outH, outW, c]: the first one in row-major order, and never one in the
 * padding.
 */
export function maxPool2dIndices(x: Array64, options: MaxPool2dOptions): Array64 {
  const [n, h, w, channels] = nhwc(x);
  const [kh, kw] = pair(options.kernel);
  const [strideY, strideX] = pair(options.stride ?? options.kernel);
  const [top, left, bottom, right] = sides(options.padding ?? 0);
  const outH = windows(h, top + bottom, kh, strideY, 1);
  const outW = windows(w, left + right, kw, strideX, 1);
  const indices = zeros([n, outH, outW, channels]);

  let out = 0;
  for (let b = 0; b < n; b++)
    for (let oy = 0; oy < outH; oy++)
      for (let ox = 0; ox < outW; ox++)
        for (let c = 0; c < channels; c++) {
          let maximum = -Infinity;
          for (let y = oy * strideY - top; y < oy * strideY - top + kh; y++)
            for (let xx = ox * strideX - left; xx < ox * strideX - left + kw; xx++) {
              if (y < 0 || y >= h || xx < 0 || xx >= w) continue;
              const value = x.data[((b * h + y) * w + xx) * channels + c]!;
              if (value <= maximum) continue;
              maximum = value;
              indices.data[out] = y * w + xx;
            }
          out++;
        }
  return indices;
}

/** The maximum of every window of x [n, h, w, c]; every window must hold at least one pixel of x. */
export function maxPool2d(x: Array64, options: MaxPool2dOptions): Array64 {
  const [, h, w, channels] = nhwc(x);
  const indices = maxPool2dIndices(x, options);
  const perImage = indices.data.length / indices.shape[0]!;
  const data = indices.data.map((place, i) => {
    const pixel = Math.floor(i / perImage) * h * w + place;
    return x.data[pixel * channels + (i % channels)]!;
  });
  return { shape: indices.shape, data };
}
