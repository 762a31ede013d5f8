import { letterbox, type Placement, type Size } from '../image/letterbox.js';
import type { Picture } from '../image/picture.js';
import type { DetectOptions } from './detect_options.js';

/** Longest side, in pixels, up to which pictures are searched at their own size unless `size` says otherwise. */
export const DEFAULT_MAX_SIDE = 2150;

/** A picture, where it lies on its canvas, and its place among those that were passed. */
export interface PlacedPicture {
  readonly picture: Picture;
  readonly placement: Placement;
  readonly index: number;
}

/** Pictures that fill the same canvas, in pixels, and can share a pass: each is found exactly as it would be alone. */
export interface Canvas extends Size {
  readonly pictures: readonly PlacedPicture[];
}

/** Places pictures on as few canvases as `size` allows, in the order of their first pictures. */
export function placeOnCanvases(pictures: readonly Picture[], size: DetectOptions['size']): Canvas[] {
  const canvases = new Map<string, Size & { readonly pictures: PlacedPicture[] }>();
  for (const [index, picture] of pictures.entries()) {
    const { width, height } = canvasFor(picture, size);
    const placement = letterbox(picture.width, picture.height, { width, height });
    const key = `${width}×${height}`;
    let canvas = canvases.get(key);
    if (!canvas) canvases.set(key, (canvas = { width, height, pictures: [] }));
    canvas.pictures.push({ picture, placement, index });
  }
  return [...canvases.values()];
}

function canvasFor({ width, height }: Size, size: DetectOptions['size']): Size {
  if (typeof size === 'number') return { width: size, height: size };
  if (typeof size === 'object') return size;
  const scale = size === 'original' ? 1 : Math.min(1, DEFAULT_MAX_SIDE / Math.max(width, height));
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}
