import { decode as decodeTurbo } from '@cwasm/jpeg-turbo';
import jpeg from 'jpeg-js';
import { PNG } from 'pngjs';
import { ImageError } from '../gpu/errors.js';
import { applyOrientation, orientationOfJpeg, orientationOfPng } from '../image/exif.js';
import { checkPicture, checkSize, type Picture } from '../image/picture.js';

/** Beginnings of files that are no PNG or JPEG, and what they are. */
const OTHERS: readonly (readonly [start: RegExp, name: string])[] = [
  [/^GIF8/, 'a GIF'],
  [/^RIFF....WEBP/s, 'a WebP picture'],
  [/^....ftyp(hei|mif|avi)/s, 'a HEIC or AVIF picture'],
  [/^BM/, 'a BMP picture'],
  [/^(II\*\0|MM\0\*)/, 'a TIFF picture'],
  [/^%PDF/, 'a PDF document'],
  [/^\s*<(\?xml|svg)/, 'an SVG picture'],
  [/^\s*<(!doctype html|html)/i, 'a web page'],
  [/^version https:\/\/git-lfs/, 'a Git LFS pointer, not the file itself'],
];

const DAMAGED = 'The file is damaged or was cut short: fetch it again.';

/**
 * Decodes a PNG (all bit depths, palette, grey, interlaced) or JPEG (baseline, progressive, grey, CMYK), upright after
 * its EXIF orientation. Transparent PNGs keep their alpha, which detection ignores. `source` is what errors call it.
 * @throws ImageError for anything else, before decoding when the header claims more pixels than can be held.
 */
export function decodeImage(bytes: Uint8Array, source: string): Picture {
  const operation = `read ${source}`;
  const start = String.fromCharCode(...bytes.subarray(0, 64));
  if (start.startsWith('\x89PNG\r\n\x1a\n'))
    return applyOrientation(decodePng(bytes, operation), orientationOfPng(bytes));
  if (start.startsWith('\xff\xd8\xff')) return applyOrientation(decodeJpeg(bytes, operation), orientationOfJpeg(bytes));
  const isText = /^[\t\n\r\x20-\x7e]+$/.test(start);
  throw new ImageError({
    operation,
    expected: 'a PNG or JPEG picture',
    got:
      bytes.length === 0
        ? 'an empty file'
        : (OTHERS.find(([pattern]) => pattern.test(start))?.[1] ?? (isText ? 'a text file' : 'another kind of file')),
    remedy: 'Convert it to PNG or JPEG.',
  });
}

/** A PNG of the picture. */
export function encodePng(picture: Picture): Uint8Array {
  const { data, width, height } = checkPicture(picture, 'encodePng');
  const png = new PNG({ width, height });
  png.data = Buffer.from(data);
  return PNG.sync.write(png);
}

/** A JPEG of the picture; `quality` 1 to 100. */
export function encodeJpeg(picture: Picture, quality = 92): Uint8Array {
  const { data, width, height } = checkPicture(picture, 'encodeJpeg');
  return jpeg.encode({ data: Buffer.from(data), width, height }, quality).data;
}

function decodePng(bytes: Uint8Array, operation: string): Picture {
  if (bytes.length < 33) throw damaged(operation, `${bytes.length} bytes, too few for a PNG`);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  checkSize(operation, view.getUint32(16), view.getUint32(20));
  try {
    const { data, width, height } = PNG.sync.read(Buffer.from(bytes));
    return { data: new Uint8Array(data), width, height };
  } catch (cause) {
    throw damaged(operation, `a PNG that does not decode (${messageOf(cause)})`, cause);
  }
}

/**
 * libjpeg-turbo decodes as OpenCV and Pillow do, to the bit; it has no conversion from four inks, which jpeg-js has.
 */
function decodeJpeg(bytes: Uint8Array, operation: string): Picture {
  const { width, height, components } = jpegHeader(bytes, operation);
  checkSize(operation, width, height);
  try {
    const decoded =
      components === 4
        ? jpeg.decode(bytes, { useTArray: true, tolerantDecoding: false, maxMemoryUsageInMB: 4096 })
        : decodeTurbo(bytes);
    return { data: new Uint8Array(decoded.data), width, height };
  } catch (cause) {
    throw damaged(operation, `a JPEG that does not decode (${messageOf(cause)})`, cause);
  }
}

/** Size and number of components from a JPEG's frame header. */
function jpegHeader(bytes: Uint8Array, operation: string): { width: number; height: number; components: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 2;
  while (at + 10 <= bytes.length) {
    if (bytes[at] !== 0xff) break;
    const marker = bytes[at + 1]!;
    if (marker === 0xff) {
      at++;
      continue;
    }
    // Start of frame, but for the markers of that range that are tables (DHT, JPG, DAC).
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      return { height: view.getUint16(at + 5), width: view.getUint16(at + 7), components: bytes[at + 9]! };
    }
    if (marker === 0xda || marker === 0xd9) break;
    at += 2 + view.getUint16(at + 2);
  }
  throw damaged(operation, 'a JPEG without a frame header');
}

function damaged(operation: string, got: string, cause?: unknown): ImageError {
  return new ImageError({ operation, expected: 'a whole picture', got, remedy: DAMAGED, cause });
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
