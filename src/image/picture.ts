import { ArgumentError, ImageError } from '../gpu/errors.js';

/** A picture: 8 bits a channel, RGBA, rows from the top, upright. */
export interface Picture {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
}

/** Pixels of the largest picture that is read: 1 GiB as RGBA. */
export const MAX_PIXELS = 2 ** 28;

/**
 * Throws an ImageError for sizes that no picture has, or that would not fit in memory; to be called before pixels are
 * decoded, because a header of a few bytes can claim anything.
 */
export function checkSize(operation: string, width: number, height: number): void {
  if (Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0 && width * height <= MAX_PIXELS) {
    return;
  }
  throw new ImageError({
    operation,
    expected: `1 to ${MAX_PIXELS.toLocaleString('en')} pixels`,
    got: `${width}×${height}`,
    remedy: 'Scale the picture down, or cut it into parts.',
  });
}

/**
 * A picture in RGBA from what a caller passes: RGBA, RGB or grey, told by the number of bytes a pixel.
 * @throws ArgumentError when it is no picture at all; ImageError when its data is no byte array or has another length.
 */
export function checkPicture(value: Picture, operation: string): Picture {
  const given: unknown = value;
  if (typeof given !== 'object' || given === null || !('data' in given)) {
    throw new ArgumentError({
      operation,
      expected: 'a picture: { data, width, height }',
      got: given === null ? 'null' : typeof given,
      remedy: 'Pass what readImage() returned, or the ImageData of a canvas.',
    });
  }
  const { data, width, height } = value;
  checkSize(operation, width, height);
  const pixels = width * height;
  const channels = data.length / pixels;
  const isBytes = data instanceof Uint8Array || data instanceof Uint8ClampedArray;
  if (!isBytes || ![1, 3, 4].includes(channels)) {
    throw new ImageError({
      operation,
      expected: `a Uint8Array of ${pixels * 4} (RGBA), ${pixels * 3} (RGB) or ${pixels} (grey) bytes for ${width}×${height}`,
      got: isBytes ? `${String(data.length)} bytes` : 'another kind of data',
      remedy: 'Pass 8-bit pixels, row by row, without padding.',
    });
  }
  if (channels === 4) return value;
  const rgba = new Uint8Array(pixels * 4);
  for (let i = 0; i < pixels; i++) {
    for (let c = 0; c < 3; c++) rgba[4 * i + c] = data[channels * i + (channels === 3 ? c : 0)]!;
    rgba[4 * i + 3] = 255;
  }
  return { data: rgba, width, height };
}
