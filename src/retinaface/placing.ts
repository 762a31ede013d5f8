import { letterbox, type Placement, type Size } from '../image/letterbox.js';
import type { AnyPicture } from '../ops/device_picture.js';
import type { DetectOptions } from './detect_options.js';

/** Longest side, in pixels, up to which pictures are searched at their own size unless `size` says otherwise. */
export const DEFAULT_MAX_SIDE = 2150;

/**
 * The second look at a large picture: one whose own size has a long side of more pixels than `above` is also searched at a long side
 * of `side`. Each look answers for the faces that it sees best (SNIP, Singh and Davis 2018): in pixels of the size of the first, that
 * one for those below `until`, the second for those from `from` on, which it sees at 38 or more, both for those between.
 */
const OVERVIEW = { above: 1280, side: 640, from: 128, until: 192 } as const;

/** A picture, where it lies on its canvas, and its place among those that were passed. */
export interface PlacedPicture {
  readonly picture: AnyPicture;
  readonly placement: Placement;
  readonly index: number;
}

/** Pictures that fill the same canvas, in pixels, and can share a pass: each is found exactly as it would be alone. */
export interface Canvas extends Size {
  readonly pictures: readonly PlacedPicture[];
}

/** A picture as one pass sees it: at a multiple of the size that it would be searched at. */
export interface View {
  readonly picture: AnyPicture;
  readonly scale: number;
}

/** One look at a picture: at which multiple of its size, and which faces count, by their longer sides in pixels of the picture. */
export interface Look {
  readonly scale: number;
  readonly from: number;
  readonly until: number;
}

/** The looks at a picture at these scales, or at those that its size asks for. */
export function looksAt({ width, height }: Size, scales: readonly number[] | undefined): Look[] {
  const longSide = Math.max(width, height);
  const searched = Math.min(longSide, DEFAULT_MAX_SIDE);
  if (scales || searched <= OVERVIEW.above) {
    return (scales ?? [1]).map((scale) => ({ scale, from: 0, until: Infinity }));
  }
  const pixel = longSide / searched;
  return [
    { scale: 1, from: 0, until: OVERVIEW.until * pixel },
    { scale: OVERVIEW.side / searched, from: OVERVIEW.from * pixel, until: Infinity },
  ];
}

/** Places views on as few canvases as `size` allows, in the order of their first pictures. */
export function placeOnCanvases(views: readonly View[], size: DetectOptions['size']): Canvas[] {
  const canvases = new Map<string, Size & { readonly pictures: PlacedPicture[] }>();
  for (const [index, { picture, scale }] of views.entries()) {
    const { width, height } = scaled(canvasFor(picture, size), scale);
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
  return scaled({ width, height }, size === 'original' ? 1 : Math.min(1, DEFAULT_MAX_SIDE / Math.max(width, height)));
}

function scaled({ width, height }: Size, scale: number): Size {
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}
