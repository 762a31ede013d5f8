import { noise } from './noise.js';

/** Red, green and blue in linear light, 0 to 1 where the scene's light is 1. */
export type Colour = readonly [red: number, green: number, blue: number];

/** A picture in linear light: three numbers a pixel, row by row. */
export interface Canvas {
  readonly data: Float32Array;
  readonly width: number;
  readonly height: number;
}

export function makeCanvas(width: number, height: number): Canvas {
  return { data: new Float32Array(width * height * 3), width, height };
}

/** A colour from values of 0 to 1 as screens show them (sRGB). */
export function srgb(red: number, green: number, blue: number): Colour {
  const linear = (value: number): number => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  return [linear(red), linear(green), linear(blue)];
}

export function mixColours(a: Colour, b: Colour, share: number): Colour {
  return [a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1]), a[2] + share * (b[2] - a[2])];
}

export function scaleColour([red, green, blue]: Colour, by: number): Colour {
  return [red * by, green * by, blue * by];
}

export function multiplyColours(a: Colour, b: Colour): Colour {
  return [a[0] * b[0], a[1] * b[1], a[2] * b[2]];
}

/** How a shape is coloured: from `from` to `to` along a direction, with noise. */
export interface Paint {
  readonly from: Colour;
  readonly to: Colour;
  /** Direction of the gradient; over the shape it runs from −1 to 1. */
  readonly angle: number;
  /** Relative strength of the noise. */
  readonly grain: number;
  /** Noise cells a pixel. */
  readonly frequency: number;
  /** 0: flat; 1: shaded as a rounded body, dark towards its rim. */
  readonly round: number;
}

/** Where a shape lies: its middle, the direction of its u axis, how far it reaches along u and, unless as far, along v. */
export interface Place {
  readonly x: number;
  readonly y: number;
  readonly angle: number;
  readonly reach: number;
  readonly across?: number;
}

/** Memory that is used again and again, by purpose: allocating it anew for every scene keeps the collector busy. */
const kept = new Map<string, Float32Array>();

/** At least `length` numbers of unknown content, until the next call for the same purpose. */
export function scratch(purpose: string, length: number): Float32Array {
  const known = kept.get(purpose);
  if (known && known.length >= length) return known;
  const made = new Float32Array(length);
  kept.set(purpose, made);
  return made;
}

/**
 * Fills the shape whose signed distance (pixels, negative inside, turned and centred coordinates) is given, with a soft
 * rim of `softness` pixels.
 */
export function fillShape(
  canvas: Canvas,
  place: Place,
  distance: (u: number, v: number) => number,
  paint: Paint,
  softness = 1,
  opacity = 1,
): void {
  const { data, width, height } = canvas;
  const { x, y, angle, reach, across: breadth = reach } = place;
  const [cosine, sine] = [Math.cos(angle), Math.sin(angle)];
  const wide = Math.abs(cosine) * reach + Math.abs(sine) * breadth + softness;
  const high = Math.abs(sine) * reach + Math.abs(cosine) * breadth + softness;
  const left = Math.max(0, Math.floor(x - wide));
  const right = Math.min(width - 1, Math.ceil(x + wide));
  const top = Math.max(0, Math.floor(y - high));
  const bottom = Math.min(height - 1, Math.ceil(y + high));
  const [along, across] = [Math.cos(paint.angle), Math.sin(paint.angle)];
  const { from, to, grain, frequency, round } = paint;
  for (let row = top; row <= bottom; row++) {
    const dy = row + 0.5 - y;
    for (let column = left; column <= right; column++) {
      const dx = column + 0.5 - x;
      const d = distance(cosine * dx + sine * dy, cosine * dy - sine * dx);
      const cover = Math.min(1, Math.max(0, 0.5 - d / softness)) * opacity;
      if (cover <= 0) continue;
      const share = Math.min(1, Math.max(0, 0.5 + (0.5 * (dx * along + dy * across)) / breadth));
      const rim = round > 0 ? 1 - round * Math.exp(Math.min(0, d) / (0.3 * breadth)) : 1;
      const light = rim * (grain > 0 ? 1 + grain * noise(column * frequency, row * frequency) : 1) * cover;
      const at = 3 * (row * width + column);
      for (let c = 0; c < 3; c++) {
        data[at + c] = data[at + c]! * (1 - cover) + (from[c]! + share * (to[c]! - from[c]!)) * light;
      }
    }
  }
}

/** Signed distances of shapes around the origin. */
export const shapes = {
  ellipse:
    (a: number, b: number) =>
    (u: number, v: number): number =>
      (Math.hypot(u / a, v / b) - 1) * Math.min(a, b),
  box:
    (a: number, b: number, radius = 0) =>
    (u: number, v: number): number => {
      const [x, y] = [Math.abs(u) - a + radius, Math.abs(v) - b + radius];
      return Math.min(Math.max(x, y), 0) + Math.hypot(Math.max(x, 0), Math.max(y, 0)) - radius;
    },
  /** A line with round ends along u, thinner at its far end. */
  capsule:
    (half: number, radius: number, taper = 1) =>
    (u: number, v: number): number => {
      const t = Math.min(1, Math.max(-1, u / half));
      return Math.hypot(u - t * half, v) - radius * (1 + ((taper - 1) * (t + 1)) / 2);
    },
  /** A regular star or polygon: `inner` is the ratio of its inner radius to its outer. */
  star:
    (points: number, radius: number, inner: number) =>
    (u: number, v: number): number => {
      const turn = Math.PI / points;
      const angle = Math.abs(((Math.atan2(v, u) + 4 * Math.PI) % (2 * turn)) - turn) / turn;
      return Math.hypot(u, v) - radius * (inner + (1 - inner) * angle);
    },
  ring:
    (radius: number, thickness: number) =>
    (u: number, v: number): number =>
      Math.abs(Math.hypot(u, v) - radius) - thickness / 2,
} as const;

/**
 * Blurs planes of `channels` interleaved numbers by that deviation in pixels: with a box in each direction, twice where
 * its corners would show.
 */
export function blur(data: Float32Array, width: number, height: number, channels: number, deviation: number): void {
  const passes = deviation < 0.8 ? 1 : 2;
  // A box of width w has a variance of (w² − 1) / 12.
  const exact = Math.sqrt((12 / passes) * deviation * deviation + 1);
  if (exact <= 1.001) return;
  const reach = Math.floor((exact - 1) / 2);
  // The outermost taps of a box count by what is left of its width.
  const rest = (exact - (2 * reach + 1)) / 2;
  const stride = width * channels;
  const copy = scratch('blur', stride * height);
  const sums = scratch('sums of columns', stride);
  for (let pass = 0; pass < passes; pass++) {
    boxRows(data, copy, width, height, channels, reach, rest);
    boxColumns(data, copy, sums, stride, height, reach, rest);
  }
}

/** Along each row. */
function boxRows(
  data: Float32Array,
  copy: Float32Array,
  width: number,
  height: number,
  channels: number,
  reach: number,
  rest: number,
): void {
  const last = (width - 1) * channels;
  const share = 1 / (2 * reach + 1 + 2 * rest);
  const ahead = reach * channels;
  copy.set(data.subarray(0, width * height * channels));
  for (let row = 0; row < height; row++) {
    const start = row * width * channels;
    for (let c = 0; c < channels; c++) {
      let sum = 0;
      for (let k = -ahead; k <= ahead; k += channels) sum += copy[start + c + Math.min(last, Math.max(0, k))]!;
      for (let i = 0; i <= last; i += channels) {
        const before = i - ahead - channels;
        const after = i + ahead + channels;
        const low = copy[start + c + (before < 0 ? 0 : before)]!;
        const high = copy[start + c + (after > last ? last : after)]!;
        data[start + c + i] = (sum + rest * (low + high)) * share;
        const leaving = i - ahead;
        sum += high - copy[start + c + (leaving < 0 ? 0 : leaving)]!;
      }
    }
  }
}

/** Along each column, row by row, so that memory is read in order. */
function boxColumns(
  data: Float32Array,
  copy: Float32Array,
  sums: Float32Array,
  stride: number,
  height: number,
  reach: number,
  rest: number,
): void {
  const share = 1 / (2 * reach + 1 + 2 * rest);
  const clamp = (row: number): number => stride * Math.min(height - 1, Math.max(0, row));
  copy.set(data.subarray(0, stride * height));
  sums.fill(0, 0, stride);
  for (let k = -reach; k <= reach; k++) {
    const from = clamp(k);
    for (let i = 0; i < stride; i++) sums[i] = sums[i]! + copy[from + i]!;
  }
  for (let row = 0; row < height; row++) {
    const low = clamp(row - reach - 1);
    const high = clamp(row + reach + 1);
    const leaving = clamp(row - reach);
    const to = row * stride;
    for (let i = 0; i < stride; i++) {
      const sum = sums[i]!;
      const after = copy[high + i]!;
      data[to + i] = (sum + rest * (copy[low + i]! + after)) * share;
      sums[i] = sum + after - copy[leaving + i]!;
    }
  }
}
