import assert from 'node:assert/strict';
import { nhwc, pair, sides, windows, zeros, type Array64, type Padding, type Pair } from './array64.js';

export interface Conv2dOptions {
  /** One value per output channel. */
  readonly bias?: Array64;
  readonly stride?: Pair;
  readonly padding?: Padding;
  readonly dilation?: Pair;
  /** Input and output channels are split into this many blocks that do not see each other; cin for depthwise. */
  readonly groups?: number;
}

/** Cross-correlation of x [n, h, w, cin] with weight [kh, kw, cin / groups, cout]; zeros outside. */
export function conv2d(x: Array64, weight: Array64, options: Conv2dOptions = {}): Array64 {
  const [n, h, w, cin] = nhwc(x);
  const [kh, kw, cinPerGroup, cout] = nhwc(weight);
  const [strideY, strideX] = pair(options.stride ?? 1);
  const [dilationY, dilationX] = pair(options.dilation ?? 1);
  const [top, left, bottom, right] = sides(options.padding ?? 0);
  const groups = options.groups ?? 1;
  assert.equal(cinPerGroup * groups, cin, 'input channels of x and weight');
  assert.equal(cout % groups, 0, 'output channels in whole groups');
  const coutPerGroup = cout / groups;
  const outH = windows(h, top + bottom, kh, strideY, dilationY);
  const outW = windows(w, left + right, kw, strideX, dilationX);
  const output = zeros([n, outH, outW, cout]);

  let out = 0;
  for (let b = 0; b < n; b++)
    for (let oy = 0; oy < outH; oy++)
      for (let ox = 0; ox < outW; ox++)
        for (let o = 0; o < cout; o++) {
          const firstChannel = Math.floor(o / coutPerGroup) * cinPerGroup;
          let total = options.bias?.data[o] ?? 0;
          for (let ky = 0; ky < kh; ky++) {
            const y = oy * strideY - top + ky * dilationY;
            if (y < 0 || y >= h) continue;
            for (let kx = 0; kx < kw; kx++) {
              const xx = ox * strideX - left + kx * dilationX;
              if (xx < 0 || xx >= w) continue;
              const pixel = ((b * h + y) * w + xx) * cin + firstChannel;
              const tap = (ky * kw + kx) * cinPerGroup;
              for (let c = 0; c < cinPerGroup; c++) total += x.data[pixel + c]! * weight.data[(tap + c) * cout + o]!;
            }
          }
          output.data[out++] = total;
        }
  return output;
}
