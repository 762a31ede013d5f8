import { mix32 } from '../random.js';

/** Edge of the noise table, a power of two; it repeats beyond. */
const EDGE = 256;
const MASK = EDGE - 1;

function makeTable(key: number): Float32Array {
  return Float32Array.from({ length: EDGE * EDGE }, (_, i) => (mix32(i ^ mix32(key)) / 2 ** 32) * 2 - 1);
}

const table = makeTable(1);

/** Smooth noise in [−1, 1] that varies over about one unit; repeats after 256 units. */
export function noise(x: number, y: number): number {
  const column = Math.floor(x);
  const row = Math.floor(y);
  const u = x - column;
  const v = y - row;
  const s = u * u * (3 - 2 * u);
  const t = v * v * (3 - 2 * v);
  const left = column & MASK;
  const right = (column + 1) & MASK;
  const above = (row & MASK) * EDGE;
  const below = ((row + 1) & MASK) * EDGE;
  const top = table[above + left]! + s * (table[above + right]! - table[above + left]!);
  const bottom = table[below + left]! + s * (table[below + right]! - table[below + left]!);
  return top + t * (bottom - top);
}

/** Sum of octaves of noise, each twice as fine and `gain` times as strong as the one before; about [−1, 1]. */
export function fractal(x: number, y: number, octaves: number, gain = 0.5): number {
  let sum = 0;
  let amplitude = 1;
  let total = 0;
  let [u, v] = [x, y];
  for (let i = 0; i < octaves; i++) {
    sum += amplitude * noise(u, v);
    total += amplitude;
    amplitude *= gain;
    // Shifted and turned, so that the lattices of the octaves do not show.
    [u, v] = [1.6 * u + 1.2 * v + 17.3, -1.2 * u + 1.6 * v + 41.7];
  }
  return (1.6 * sum) / total;
}

/** 0 below `low`, 1 above `high`, a smooth step between. */
export function smoothStep(low: number, high: number, value: number): number {
  const t = Math.min(1, Math.max(0, (value - low) / (high - low)));
  return t * t * (3 - 2 * t);
}

/** A bump of height 1 at 0 that ends at a distance of 1; takes the squared distance. */
export function bump(squared: number): number {
  if (squared >= 1) return 0;
  const rest = 1 - squared;
  return rest * rest;
}

/** A smooth curve through points of increasing x (Catmull and Rom's, with clamped ends). */
export function curve(points: readonly (readonly [x: number, y: number])[]): (x: number) => number {
  // Sampled once: it is asked thousands of times a head.
  const [first, last] = [points[0]![0], points.at(-1)![0]];
  const count = 128;
  const samples = Float32Array.from({ length: count + 2 }, (_, i) => {
    const x = first + ((last - first) * Math.min(i, count)) / count;
    let k = 0;
    while (k < points.length - 2 && x > points[k + 1]![0]) k++;
    const [x1, y1] = points[k]!;
    const [x2, y2] = points[k + 1]!;
    const [x0, y0] = points[Math.max(0, k - 1)]!;
    const [x3, y3] = points[Math.min(points.length - 1, k + 2)]!;
    const t = (x - x1) / (x2 - x1);
    const m1 = ((y2 - y0) / (x2 - x0)) * (x2 - x1);
    const m2 = ((y3 - y1) / (x3 - x1)) * (x2 - x1);
    const [t2, t3] = [t * t, t * t * t];
    return (2 * t3 - 3 * t2 + 1) * y1 + (t3 - 2 * t2 + t) * m1 + (3 * t2 - 2 * t3) * y2 + (t3 - t2) * m2;
  });
  return (x) => {
    const at = Math.min(count, Math.max(0, ((x - first) / (last - first)) * count));
    const i = Math.floor(at);
    return samples[i]! + (at - i) * (samples[i + 1]! - samples[i]!);
  };
}
