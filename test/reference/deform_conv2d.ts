import assert from 'node:assert/strict';
import { nhwc, pair, sides, windows, zeros, type Array64, type Padding, type Pair } from './array64.js';

export interface DeformConv2dOptions {
  /** Modulation (version 2) [n, outH, outW, groups·kh·kw]: a factor per deformable group and tap. */
  readonly mask?: Array64;
  readonly bias?: Array64;
  readonly stride?: Pair;
  readonly padding?: Padding;
  readonly dilation?: Pair;
}

/** Bilinear value of one channel at (y, x); the four neighbours that lie outside the image are 0. */
function sample(x: Array64, batch: number, channel: number, y: number, xx: number): number {
  const [h, w, c] = [x.shape[1]!, x.shape[2]!, x.shape[3]!];
  const y0 = Math.floor(y);
  const x0 = Math.floor(xx);
  let value = 0;
  for (let iy = Math.max(y0, 0); iy <= Math.min(y0 + 1, h - 1); iy++)
    for (let ix = Math.max(x0, 0); ix <= Math.min(x0 + 1, w - 1); ix++)
      value += (1 - Math.abs(y - iy)) * (1 - Math.abs(xx - ix)) * x.data[((batch * h + iy) * w + ix) * c + channel]!;
  return value;
}

/**
 * Deformable convolution by torchvision's conventions. `offset` is [n, outH, outW, groups·kh·kw·2]: per deformable group
 * and tap, (y, x) in pixels, added to the tap's regular place. Both the number of deformable groups and that of weight
 * groups follow from the shapes: offset channels / (2·kh·kw), and cin / weight.shape[2].
 */
export function deformConv2d(x: Array64, offset: Array64, weight: Array64, options: DeformConv2dOptions = {}): Array64 {
  const [n, h, w, cin] = nhwc(x);
  const [kh, kw, cinPerGroup, cout] = nhwc(weight);
  const [strideY, strideX] = pair(options.stride ?? 1);
  const [dilationY, dilationX] = pair(options.dilation ?? 1);
  const [top, left, bottom, right] = sides(options.padding ?? 0);
  const outH = windows(h, top + bottom, kh, strideY, dilationY);
  const outW = windows(w, left + right, kw, strideX, dilationX);
  const taps = kh * kw;
  const deformGroups = offset.shape[3]! / (2 * taps);
  assert.deepEqual(offset.shape, [n, outH, outW, deformGroups * taps * 2], 'shape of offset');
  if (options.mask) assert.deepEqual(options.mask.shape, [n, outH, outW, deformGroups * taps], 'shape of mask');
  const coutPerGroup = cout / (cin / cinPerGroup);
  const channelsPerDeformGroup = cin / deformGroups;
  const output = zeros([n, outH, outW, cout]);

  for (let b = 0; b < n; b++)
    for (let oy = 0; oy < outH; oy++)
      for (let ox = 0; ox < outW; ox++) {
        const pixel = (b * outH + oy) * outW + ox;
        for (let o = 0; o < cout; o++) output.data[pixel * cout + o] = options.bias?.data[o] ?? 0;
        for (let tap = 0; tap < taps; tap++)
          for (let c = 0; c < cin; c++) {
            const slot = (pixel * deformGroups + Math.floor(c / channelsPerDeformGroup)) * taps + tap;
            const y = oy * strideY - top + Math.floor(tap / kw) * dilationY + offset.data[slot * 2]!;
            const xx = ox * strideX - left + (tap % kw) * dilationX + offset.data[slot * 2 + 1]!;
            const value = sample(x, b, c, y, xx) * (options.mask?.data[slot] ?? 1);
            const group = Math.floor(c / cinPerGroup);
            for (let o = group * coutPerGroup; o < (group + 1) * coutPerGroup; o++)
              output.data[pixel * cout + o]! +=
                value * weight.data[(tap * cinPerGroup + (c % cinPerGroup)) * cout + o]!;
          }
      }
  return output;
}
