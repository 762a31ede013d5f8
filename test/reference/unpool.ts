import { nhwc, pair, zeros, type Array64, type Pair } from './array64.js';

/** Nearest-neighbour resampling of x [n, h, w, c] to `size`: output row i shows input row floor(i·h / outH), so columns. */
export function unpool(x: Array64, { size }: { readonly size: Pair }): Array64 {
  const [n, h, w, channels] = nhwc(x);
  const [outH, outW] = pair(size);
  const output = zeros([n, outH, outW, channels]);
  for (let b = 0; b < n; b++)
    for (let oy = 0; oy < outH; oy++)
      for (let ox = 0; ox < outW; ox++) {
        const source = ((b * h + Math.floor((oy * h) / outH)) * w + Math.floor((ox * w) / outW)) * channels;
        output.data.set(x.data.subarray(source, source + channels), ((b * outH + oy) * outW + ox) * channels);
      }
  return output;
}
