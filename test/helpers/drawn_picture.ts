import type { Picture } from '../../src/image/picture.js';

/** A picture of discs and a slope of grey, opaque: the same everywhere, and no two places alike. */
export function drawnPicture(width: number, height: number): Picture {
  const data = new Uint8Array(width * height * 4);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const ground = Math.floor((255 * (x + y)) / (width + height));
      const inside = [0.3, 0.6].some((at) => Math.hypot(x - at * width, y - at * height) < 0.15 * width);
      data.set(inside ? [220, 160, 120, 255] : [ground, 255 - ground, 60, 255], 4 * (y * width + x));
    }
  return { data, width, height };
}
