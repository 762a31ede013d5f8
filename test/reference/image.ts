import { zeros, type Array64, type Pair, pair } from './array64.js';

/** A picture of 8-bit red, green, blue and alpha, row by row. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly data: ArrayLike<number>;
}

export interface ImageOptions {
  /** Height and width of the output. */
  readonly size: Pair;
  readonly channelOrder: 'rgb' | 'bgr';
  /** Per output channel, in that order, in units of 0 to 255. */
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
  /** Height and width of the picture inside the output; by default the greatest that fits and keeps its proportions. */
  readonly resized?: Pair;
}

/** The greatest height and width, rounded to whole pixels, at which the picture fits into `size`. */
export function letterbox(picture: Picture, size: Pair): readonly [number, number] {
  const [height, width] = pair(size);
  const scale = Math.min(height / picture.height, width / picture.width);
  return [
    Math.min(height, Math.max(1, Math.round(picture.height * scale))),
    Math.min(width, Math.max(1, Math.round(picture.width * scale))),
  ];
}

/** The two source pixels along an axis that destination pixel `i` lies between, and the second one's share. */
function neighbours(i: number, from: number, to: number): { before: number; after: number; share: number } {
  const position = Math.min(Math.max(((i + 0.5) * from) / to - 0.5, 0), from - 1);
  const before = Math.floor(position);
  return { before, after: Math.min(before + 1, from - 1), share: position - before };
}

/**
 * A picture as network input [1, height, width, 4]: resized bilinearly with half-pixel centres and no smoothing (OpenCV's
 * INTER_LINEAR, unrounded), placed at the top left, normalised to (value − mean) / std. Alpha is ignored; the area beside the
 * picture and the whole fourth channel are 0.
 */
export function image(picture: Picture, options: ImageOptions): Array64 {
  const [height, width] = pair(options.size);
  const [resizedHeight, resizedWidth] = pair(options.resized ?? letterbox(picture, options.size));
  const output = zeros([1, height, width, 4]);
  const at = (y: number, x: number, c: number) => picture.data[(y * picture.width + x) * 4 + c]!;
  for (let y = 0; y < resizedHeight; y++)
    for (let x = 0; x < resizedWidth; x++)
      for (let c = 0; c < 3; c++) {
        const v = neighbours(y, picture.height, resizedHeight);
        const h = neighbours(x, picture.width, resizedWidth);
        const source = options.channelOrder === 'rgb' ? c : 2 - c;
        const row = (yy: number) => at(yy, h.before, source) * (1 - h.share) + at(yy, h.after, source) * h.share;
        const value = row(v.before) * (1 - v.share) + row(v.after) * v.share;
        output.data[(y * width + x) * 4 + c] = (value - options.mean[c]!) / options.std[c]!;
      }
  return output;
}

/**
 * A picture as network input [1, height, width, 4] where it shrinks: each pixel the mean of the source pixels that it covers, if
 * only in part; the rest as `image`.
 */
export function areaMean(
  picture: Picture,
  options: Omit<ImageOptions, 'size'> & { readonly width: number; readonly height: number; readonly resized: Pair },
): Array64 {
  const { width, height, channelOrder, mean, std } = options;
  const [resizedHeight, resizedWidth] = pair(options.resized);
  const output = zeros([1, height, width, 4]);
  // Whole numbers below 2^53: floor and ceil are exact.
  const first = (i: number, from: number, to: number) => Math.floor((i * from) / to);
  const end = (i: number, from: number, to: number) => Math.ceil(((i + 1) * from) / to);
  for (let y = 0; y < resizedHeight; y++)
    for (let x = 0; x < resizedWidth; x++)
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        let count = 0;
        for (let v = first(y, picture.height, resizedHeight); v < end(y, picture.height, resizedHeight); v++)
          for (let u = first(x, picture.width, resizedWidth); u < end(x, picture.width, resizedWidth); u++) {
            sum += picture.data[(v * picture.width + u) * 4 + (channelOrder === 'rgb' ? c : 2 - c)]!;
            count++;
          }
        output.data[(y * width + x) * 4 + c] = (sum / count - mean[c]!) / std[c]!;
      }
  return output;
}
