import type { AugmentPlan } from '../../src/data/augment.js';
import { zeros, type Array64 } from './array64.js';
import type { Picture } from './image.js';

export interface AugmentTwinOptions {
  readonly size: number;
  readonly order: 'rgb' | 'bgr';
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

type Colour = [number, number, number];

const cut = (value: number): number => Math.min(255, Math.max(0, value));

/** The picture between its pixels: linear in x and y, constant beyond the outermost centres. */
function bilinear(picture: Picture, x: number, y: number): Colour {
  const { width, height, data } = picture;
  const u = Math.min(Math.max(x - 0.5, 0), width - 1);
  const v = Math.min(Math.max(y - 0.5, 0), height - 1);
  const [left, top] = [Math.floor(u), Math.floor(v)];
  const colour: Colour = [0, 0, 0];
  for (const [row, vertical] of [
    [top, 1 - (v - top)],
    [Math.min(top + 1, height - 1), v - top],
  ] as const)
    for (const [column, horizontal] of [
      [left, 1 - (u - left)],
      [Math.min(left + 1, width - 1), u - left],
    ] as const)
      for (let c = 0; c < 3; c++) colour[c]! += vertical * horizontal * data[(row * width + column) * 4 + c]!;
  return colour;
}

/** Red, green and blue as hue in degrees, saturation and value, by their textbook definition. */
function toHsv([red, green, blue]: Colour): Colour {
  const value = Math.max(red, green, blue);
  const chroma = value - Math.min(red, green, blue);
  const saturation = value === 0 ? 0 : chroma / value;
  if (chroma === 0) return [0, saturation, value];
  if (value === red) return [60 * ((green - blue) / chroma), saturation, value];
  if (value === green) return [60 * ((blue - red) / chroma + 2), saturation, value];
  return [60 * ((red - green) / chroma + 4), saturation, value];
}

function fromHsv([hue, saturation, value]: Colour): Colour {
  const turn = (((hue % 360) + 360) % 360) / 60;
  const chroma = value * saturation;
  const second = chroma * (1 - Math.abs((turn % 2) - 1));
  const low = value - chroma;
  const table: readonly Colour[] = [
    [chroma, second, 0],
    [second, chroma, 0],
    [0, chroma, second],
    [0, second, chroma],
    [second, 0, chroma],
    [chroma, 0, second],
  ];
  const [red, green, blue] = table[Math.min(5, Math.floor(turn))]!;
  return [red + low, green + low, blue + low];
}

function recolour(colour: Colour, change: AugmentPlan['colour']): Colour {
  let result = colour.map((value) => cut(value + change.brightness)) as Colour;
  const contrast = (): Colour => result.map((value) => cut(value * change.contrast)) as Colour;
  if (change.order === 'contrast-first') result = contrast();
  const [hue, saturation, value] = toHsv(result);
  result = fromHsv([hue + change.hue, Math.min(1, saturation * change.saturation), value]).map(cut) as Colour;
  return change.order === 'contrast-last' ? contrast() : result;
}

/**
 * A picture by its plan as network input [1, size, size, 4]: each output pixel the mean of ⌈step⌉² bilinear samples of what it
 * covers (at most 16²), mirrored, recoloured, normalised; what lies outside the picture and the fourth channel are 0.
 */
export function augment(picture: Picture, plan: AugmentPlan, options: AugmentTwinOptions): Array64 {
  const { size, order, mean, std } = options;
  const { crop, flip, colour } = plan;
  const [stepX, stepY] = [crop.width / size, crop.height / size];
  const samples = (step: number): number => Math.min(16, Math.max(1, Math.ceil(step - 1e-6)));
  const [countX, countY] = [samples(stepX), samples(stepY)];
  const output = zeros([1, size, size, 4]);
  for (let row = 0; row < size; row++)
    for (let column = 0; column < size; column++) {
      const from = flip ? size - 1 - column : column;
      const sum: Colour = [0, 0, 0];
      let inside = 0;
      for (let v = 0; v < countY; v++)
        for (let u = 0; u < countX; u++) {
          const x = crop.x + (from + (u + 0.5) / countX) * stepX;
          const y = crop.y + (row + (v + 0.5) / countY) * stepY;
          if (x < 0 || y < 0 || x >= picture.width || y >= picture.height) continue;
          bilinear(picture, x, y).forEach((value, c) => (sum[c]! += value));
          inside++;
        }
      if (inside === 0) continue;
      const changed = recolour(sum.map((value) => value / inside) as Colour, colour);
      for (let c = 0; c < 3; c++) {
        const value = changed[order === 'rgb' ? c : 2 - c]!;
        output.data[(row * size + column) * 4 + c] = ((inside / (countX * countY)) * (value - mean[c]!)) / std[c]!;
      }
    }
  return output;
}
