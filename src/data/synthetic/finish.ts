import type { Picture } from '../../image/picture.js';
import { mix32, type Random } from '../random.js';
import { blur, type Canvas, scratch } from './canvas.js';

/** Resolution of the tone curve: samples of the root of light from 0 to 2. */
const CURVE_STEPS = 2048;

/** A power of two. */
const NOISE_STEPS = 8192;

/** Nearly normal draws to step through: noise needs many, and none of them exact. */
const GAUSSIAN = Float32Array.from({ length: NOISE_STEPS + 3 }, (_, i) => {
  // The sum of three uniform draws has a variance of a quarter.
  const uniform = [1, 2, 3].map((k) => mix32(mix32(i) + k) / 2 ** 32);
  return 2 * (uniform[0]! + uniform[1]! + uniform[2]! - 1.5);
});

/** How the eye tells light from dark between red, green and blue (Rec. 601). */
const LUMA = [0.299, 0.587, 0.114] as const;

/** Turns light into 8 bits as a camera does: optics, exposure, noise, tone curve, colour, compression. */
export function takePicture(canvas: Canvas, random: Random): Picture {
  const { data, width, height } = canvas;
  const count = width * height;
  const soft = random.chance(0.75) ? 0.3 + 0.5 * random.next() : 0.5 + (random.chance(0.4) ? 2 : 1) * random.next();
  blur(data, width, height, 3, soft * Math.max(1, Math.min(width, height) / 480));

  // Exposure by the mean, as cameras do, and off it, as they are.
  let mean = 0;
  for (let i = 0; i < count; i++) mean += 0.3 * data[3 * i]! + 0.6 * data[3 * i + 1]! + 0.1 * data[3 * i + 2]!;
  mean /= count;
  const automatic = (0.22 / Math.max(0.02, mean)) ** random.between(0.1, 0.6);
  const exposure = automatic * 2 ** (0.45 * random.normal());
  const warmth = 0.12 * random.normal();
  const tint = 0.04 * random.normal();
  const gains = [exposure * (1 + warmth), exposure * (1 - tint), exposure * (1 - warmth)];
  const contrast = Math.max(0.5, 1 + 0.2 * random.normal());
  const black = random.chance(0.3) ? 0.08 * random.next() : 0;
  const curve = new Float32Array(CURVE_STEPS + 1);
  for (let i = 0; i <= CURVE_STEPS; i++) {
    const light = ((2 * i) / CURVE_STEPS) ** 2;
    // A shoulder above 0.8 instead of a cut, then sRGB, then an S-curve around the middle.
    const held = light < 0.8 ? light : 0.8 + 0.35 * (1 - Math.exp(-(light - 0.8) / 0.35));
    const shown = held <= 0.0031308 ? 12.92 * held : 1.055 * held ** (1 / 2.4) - 0.055;
    const curved = 0.5 + (shown - 0.5) * contrast;
    curve[i] = 255 * (black + (1 - black) * curved);
  }
  const noiseLevel = random.chance(0.6) ? 7 * random.next() ** 2 : 0;
  const colourNoise = noiseLevel * 0.6 * random.next();
  // Far more grey pictures than there are: what tells a face without its colour must be learnt from them.
  const saturation = random.chance(0.2) ? 0 : Math.max(0.1, 1 + 0.25 * random.normal());
  const vignette = random.chance(0.3) ? 0.5 * random.next() : 0;
  const pixels = new Uint8Array(count * 4);
  for (let y = 0, i = 0; y < height; y++) {
    let draw = random.int(NOISE_STEPS);
    for (let x = 0; x < width; x++, i++) {
      const corner = vignette > 0 ? 1 - vignette * ((x / width - 0.5) ** 2 + (y / height - 0.5) ** 2) * 2 : 1;
      const at = 3 * i;
      let luma = 0;
      for (let c = 0; c < 3; c++) {
        const root = Math.sqrt(Math.max(0, data[at + c]! * gains[c]! * corner)) * (CURVE_STEPS / 2);
        const value = curve[root < CURVE_STEPS ? Math.floor(root) : CURVE_STEPS]!;
        data[at + c] = value;
        luma += LUMA[c]! * value;
      }
      draw = (draw + 5) & (NOISE_STEPS - 1);
      const common = noiseLevel * GAUSSIAN[draw]!;
      for (let c = 0; c < 3; c++) {
        data[at + c] = luma + saturation * (data[at + c]! - luma) + common + colourNoise * GAUSSIAN[draw + c + 1]!;
      }
    }
  }
  if (noiseLevel > 3 && random.chance(0.5)) blur(data, width, height, 3, random.between(0.3, 0.7));
  if (random.chance(0.6)) compress(data, width, height, random);
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < 3; c++) pixels[4 * i + c] = Math.max(0, Math.min(255, Math.round(data[3 * i + c]!)));
    pixels[4 * i + 3] = 255;
  }
  return { data: pixels, width, height };
}

const COSINES = Float32Array.from({ length: 64 }, (_, i) => {
  const [k, n] = [i >> 3, i & 7];
  return (k === 0 ? Math.SQRT1_2 : 1) * 0.5 * Math.cos(((2 * n + 1) * k * Math.PI) / 16);
});

/** What JPEG at a random quality leaves: 8×8 cosine coefficients rounded to steps that grow with frequency. */
function compress(data: Float32Array, width: number, height: number, random: Random): void {
  const strength = 0.25 + 2.2 * random.next() ** 2;
  const luma = Float32Array.from({ length: 64 }, (_, i) => strength * (8 + 6.5 * ((i >> 3) + (i & 7))));
  const chroma = luma.map((step) => 1.7 * step);
  const count = width * height;
  const [w, h] = [Math.ceil(width / 2), Math.ceil(height / 2)];
  const light = scratch('luma', count);
  const blueness = scratch('blue', w * h);
  const redness = scratch('red', w * h);
  for (let i = 0; i < count; i++) {
    light[i] = LUMA[0] * data[3 * i]! + LUMA[1] * data[3 * i + 1]! + LUMA[2] * data[3 * i + 2]!;
  }
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      const i = Math.min(height - 1, 2 * y) * width + Math.min(width - 1, 2 * x);
      blueness[y * w + x] = data[3 * i + 2]! - light[i]!;
      redness[y * w + x] = data[3 * i]! - light[i]!;
    }
  }
  quantise(light, width, height, luma);
  quantise(blueness, w, h, chroma);
  quantise(redness, w, h, chroma);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const k = (y >> 1) * w + (x >> 1);
      const blue = blueness[k]!;
      const red = redness[k]!;
      data[3 * i] = light[i]! + red;
      data[3 * i + 1] = light[i]! - (LUMA[0] * red + LUMA[2] * blue) / LUMA[1];
      data[3 * i + 2] = light[i]! + blue;
    }
  }
}

const block = new Float32Array(64);
const half = new Float32Array(64);

function quantise(plane: Float32Array, width: number, height: number, steps: Float32Array): void {
  for (let top = 0; top < height; top += 8) {
    for (let left = 0; left < width; left += 8) {
      for (let i = 0; i < 64; i++) {
        const y = Math.min(height - 1, top + (i >> 3));
        block[i] = plane[y * width + Math.min(width - 1, left + (i & 7))]!;
      }
      forward(block, half);
      forward(half, block);
      let details = 0;
      for (let i = 0; i < 64; i++) {
        const level = Math.round(block[i]! / steps[i]!);
        block[i] = level * steps[i]!;
        if (level !== 0 && i > 0) details++;
      }
      if (details > 0) {
        backward(block, half);
        backward(half, block);
      } else block.fill(block[0]! / 8);
      const [rows, columns] = [Math.min(8, height - top), Math.min(8, width - left)];
      for (let y = 0; y < rows; y++) {
        for (let x = 0; x < columns; x++) plane[(top + y) * width + left + x] = block[8 * y + x]!;
      }
    }
  }
}

/** The cosine transform of each row, its result as a column: done twice, that of the block. */
function forward(from: Float32Array, to: Float32Array): void {
  for (let y = 0; y < 8; y++) {
    const at = 8 * y;
    const [a, b, c, d] = [from[at]!, from[at + 1]!, from[at + 2]!, from[at + 3]!];
    const [e, f, g, h] = [from[at + 4]!, from[at + 5]!, from[at + 6]!, from[at + 7]!];
    for (let k = 0; k < 8; k += 2) {
      const i = 8 * k;
      // Even cosines are mirrored about the middle, odd ones with the other sign.
      to[i + y] =
        COSINES[i]! * (a + h) + COSINES[i + 1]! * (b + g) + COSINES[i + 2]! * (c + f) + COSINES[i + 3]! * (d + e);
      to[i + 8 + y] =
        COSINES[i + 8]! * (a - h) + COSINES[i + 9]! * (b - g) + COSINES[i + 10]! * (c - f) + COSINES[i + 11]! * (d - e);
    }
  }
}

/** The inverse, likewise row by row into columns. */
function backward(from: Float32Array, to: Float32Array): void {
  for (let y = 0; y < 8; y++) {
    const at = 8 * y;
    for (let n = 0; n < 4; n++) {
      let even = 0;
      let odd = 0;
      for (let k = 0; k < 8; k += 2) {
        even += from[at + k]! * COSINES[8 * k + n]!;
        odd += from[at + k + 1]! * COSINES[8 * k + 8 + n]!;
      }
      to[8 * n + y] = even + odd;
      to[8 * (7 - n) + y] = even - odd;
    }
  }
}
