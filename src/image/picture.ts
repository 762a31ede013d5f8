import { describe, isPromise } from '../gpu/arguments.js';
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
export function checkSize(operation: string, width: number, height: number, maxPixels = MAX_PIXELS): void {
  const whole = Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0;
  const most = Math.min(maxPixels, MAX_PIXELS);
  if (whole && width * height <= most) return;
  throw new ImageError({
    operation,
    expected: whole ? `at most ${most.toLocaleString('en')} pixels` : 'a width and a height of at least one pixel',
    got: `${describe(width)}×${describe(height)}`,
    remedy: whole
      ? 'Scale the picture down, or cut it into parts.'
      : 'There is nothing in it: a video or image that has not loaded is 0×0.',
  });
}

/** What sharp's `raw().toBuffer({ resolveWithObject: true })` answers: 8 bits a channel, one to four channels. */
export interface RawPicture {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly info: { readonly width: number; readonly height: number; readonly channels?: number };
}

function isRaw(value: object): value is RawPicture {
  return 'info' in value && typeof value.info === 'object' && value.info !== null && 'width' in value.info;
}

/** True for pixels with a size, right or wrong: `checkPicture` tells which. */
export function isPicture(value: unknown): value is Picture | RawPicture {
  if (typeof value !== 'object' || value === null || !('data' in value)) return false;
  return isRaw(value) || ('width' in value && 'height' in value);
}

/**
 * A picture in RGBA from what a caller passes: RGBA, RGB or grey, told by the number of bytes a pixel, as
 * `{ data, width, height }` or as sharp's `{ data, info }`, which may also say that it is grey with alpha.
 * @throws ArgumentError when it is no picture at all; ImageError when its data is no byte array or has another length.
 */
export function checkPicture(value: Picture | RawPicture, operation: string): Picture {
  const given: unknown = value;
  if (!isPicture(given)) {
    throw new ArgumentError({
      operation,
      expected: 'a picture: { data, width, height }',
      got: describe(given),
      remedy: remedyFor(given),
    });
  }
  const data: unknown = given.data;
  const { width, height } = isRaw(given) ? given.info : given;
  checkSize(operation, width, height);
  const pixels = width * height;
  const isBytes = data instanceof Uint8Array || data instanceof Uint8ClampedArray;
  const channels = isBytes ? data.length / pixels : 0;
  if (!isBytes || !(channels === 2 ? isRaw(given) && given.info.channels === 2 : [1, 3, 4].includes(channels))) {
    throw new ImageError({
      operation,
      expected: `data as a Uint8Array of ${pixels * 4} (RGBA), ${pixels * 3} (RGB) or ${pixels} (grey) bytes for ${width}×${height}`,
      got: isBytes ? `${data.length} bytes` : describe(data),
      remedy: 'Pass 8-bit pixels, row by row, without padding.',
    });
  }
  if (channels === 4) return { data, width, height };
  const rgba = new Uint8Array(pixels * 4);
  for (let i = 0; i < pixels; i++) {
    for (let c = 0; c < 3; c++) rgba[4 * i + c] = data[channels * i + (channels === 3 ? c : 0)]!;
    rgba[4 * i + 3] = channels === 2 ? data[2 * i + 1]! : 255;
  }
  return { data: rgba, width, height };
}

/** What to write in the place of what was passed as a picture. */
function remedyFor(given: unknown): string {
  if (isPromise(given)) return 'Await it: `await readImage(…)`.';
  if (Array.isArray(given)) return 'Pass one picture at a time.';
  if (
    given instanceof Uint8Array ||
    given instanceof ArrayBuffer ||
    typeof given === 'string' ||
    given instanceof URL
  ) {
    return 'Decode it first: `await readImage(…)` takes a path, an address or the bytes of a file.';
  }
  return 'Pass what `await readImage(…)` answers, or the ImageData of a canvas.';
}
