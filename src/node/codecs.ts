import { inflateSync } from 'node:zlib';
import { decode as decodeTurbo } from '@cwasm/jpeg-turbo';
import jpeg from 'jpeg-js';
import { PNG } from 'pngjs';
import { checkOptions } from '../gpu/arguments.js';
import { ArgumentError, ImageError } from '../gpu/errors.js';
import { applyOrientation, orientationOfJpeg, orientationOfPng } from '../image/exif.js';
import type { Size } from '../image/letterbox.js';
import { checkPicture, checkSize, type Picture } from '../image/picture.js';

const CONVERT = 'Convert it to PNG or JPEG.';
const FETCH = 'Fetch the picture itself: that address may need a login, or be that of a page about it.';

/** A kind of file that is no PNG or JPEG. */
export interface OtherFile {
  readonly start: RegExp;
  readonly name: string;
  /** What to do. */
  readonly remedy: string;
  /** The package `sharp` may read it. */
  readonly sharp?: boolean;
}

const OTHERS: readonly OtherFile[] = [
  { start: /^$/, name: 'an empty file', remedy: 'Save or fetch it again: there is nothing in it.' },
  { start: /^GIF8/, name: 'a GIF', remedy: CONVERT, sharp: true },
  { start: /^RIFF....WEBP/s, name: 'a WebP picture', remedy: CONVERT, sharp: true },
  { start: /^....ftyp(hei|hev|mif|msf|avi)/s, name: 'a HEIC or AVIF picture', remedy: CONVERT, sharp: true },
  { start: /^BM/, name: 'a BMP picture', remedy: CONVERT },
  { start: /^(II[*+]\0|MM\0[*+])/, name: 'a TIFF picture', remedy: CONVERT, sharp: true },
  { start: /^(\xff\x0a|\0\0\0\x0cJXL )/, name: 'a JPEG XL picture', remedy: CONVERT, sharp: true },
  { start: /^%PDF/, name: 'a PDF document', remedy: CONVERT },
  { start: /^\s*<(\?xml|svg)/, name: 'an SVG picture', remedy: CONVERT },
  { start: /^\s*<(!doctype html|html)/i, name: 'a web page', remedy: FETCH },
  {
    start: /^version https:\/\/git-lfs/,
    name: 'a Git LFS pointer, not the file itself',
    remedy: 'Fetch the file itself: `git lfs pull`.',
  },
  {
    start: /^[\t\n\r\x20-\x7e]+$/,
    name: 'a text file',
    remedy: 'Name a picture; a list of paths goes to `retinaface detect -`.',
  },
];

/** What a file is that is no PNG or JPEG; undefined for one of these, and where nobody knows. */
export function otherFile(bytes: Uint8Array): OtherFile | undefined {
  const start = startOf(bytes);
  return OTHERS.find((other) => other.start.test(start));
}

function startOf(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes.subarray(0, 64));
}

/** The seven passes of an interlaced PNG: first column and row, steps to the next. */
const ADAM7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

const DAMAGED = 'The file is damaged or was cut short: fetch it again.';

/**
 * Decodes a PNG (all bit depths, palette, grey, interlaced) or JPEG (baseline, progressive, grey, CMYK), upright after
 * its EXIF orientation. Transparent PNGs keep their alpha, which detection ignores. `source` is what errors call it;
 * `maxPixels` bounds what is decoded, below the bound of any picture (2²⁸).
 * @throws ImageError for anything else, before decoding when the header claims more pixels than can be held; ArgumentError for
 * options that there are not.
 */
export function decodeImage(
  bytes: Uint8Array,
  source: string,
  options: { readonly maxPixels?: number | undefined } = {},
): Picture {
  checkOptions('decodeImage', { bytes, source }, { bytes: 'Uint8Array!', source: 'string!' });
  checkOptions('decodeImage', options, { maxPixels: 'number' });
  const { maxPixels } = options;
  const operation = `read ${source}`;
  const { width, height } = imageSize(bytes, source);
  checkSize(operation, width, height, maxPixels);
  return formatOf(bytes) === 'png'
    ? applyOrientation(decodePng(bytes, operation), orientationOfPng(bytes))
    : applyOrientation(decodeJpeg(bytes, operation), orientationOfJpeg(bytes));
}

/** What a file is by its beginning; undefined for what `decodeImage` does not read. */
export function formatOf(bytes: Uint8Array): 'png' | 'jpeg' | undefined {
  const start = String.fromCharCode(...bytes.subarray(0, 8));
  if (start.startsWith('\x89PNG\r\n\x1a\n')) return 'png';
  return start.startsWith('\xff\xd8\xff') ? 'jpeg' : undefined;
}

/**
 * The size that a PNG or JPEG claims in its header, before its EXIF orientation, in pixels; nothing is decoded.
 * @throws ImageError for anything else, and where the header is damaged.
 */
export function imageSize(bytes: Uint8Array, source: string): Size {
  const operation = `read ${source}`;
  const format = formatOf(bytes);
  if (format === 'png') {
    if (bytes.length < 33) throw damaged(operation, `${bytes.length} bytes, too few for a PNG`);
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    return { width: view.getUint32(16), height: view.getUint32(20) };
  }
  if (format === 'jpeg') {
    const { width, height } = jpegHeader(bytes, operation);
    return { width, height };
  }
  const { name = 'another kind of file', remedy = CONVERT } = otherFile(bytes) ?? {};
  throw new ImageError({ operation, expected: 'a PNG or JPEG picture', got: name, remedy });
}

/** A PNG of the picture. */
export function encodePng(picture: Picture): Uint8Array {
  const { data, width, height } = checkPicture(picture, 'encodePng');
  const png = new PNG({ width, height });
  png.data = Buffer.from(data);
  return PNG.sync.write(png);
}

/**
 * A JPEG of the picture; `quality` 1 to 100.
 * @throws ArgumentError for another quality, or for a picture beyond the 65,535 pixels that a JPEG's sides can have.
 */
export function encodeJpeg(picture: Picture, quality = 92): Uint8Array {
  const { data, width, height } = checkPicture(picture, 'encodeJpeg');
  if (!(quality >= 1 && quality <= 100) || width > 65_535 || height > 65_535) {
    throw new ArgumentError({
      operation: 'encodeJpeg',
      expected: 'a quality of 1 to 100 and sides of at most 65,535 pixels',
      got: `quality ${quality} and ${width}×${height}`,
      remedy: 'Pass another quality, or write a larger picture as PNG.',
    });
  }
  return jpeg.encode({ data: Buffer.from(data), width, height }, quality).data;
}

function decodePng(bytes: Uint8Array, operation: string): Picture {
  const end = checkPngData(bytes, operation);
  try {
    const { data, width, height } = PNG.sync.read(Buffer.from(bytes.subarray(0, end)));
    return { data: new Uint8Array(data), width, height };
  } catch (cause) {
    throw damaged(operation, `a PNG that does not decode (${messageOf(cause)})`, cause);
  }
}

/**
 * Refuses a PNG whose image data is not all there, and returns where its IEND chunk ends. It has to come first: pngjs
 * takes missing rows from uninitialised memory, so that a cut file would decode to what the process held before.
 */
function checkPngData(bytes: Uint8Array, operation: string): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const data: Uint8Array[] = [];
  let at = 8;
  for (let type = ''; type !== 'IEND';) {
    if (at + 12 > bytes.length) throw damaged(operation, 'a PNG that ends before its IEND chunk');
    const length = view.getUint32(at);
    type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (type === 'IDAT') data.push(bytes.subarray(at + 8, at + 8 + length));
    at += 12 + length;
  }
  if (at > bytes.length) throw damaged(operation, 'a PNG that ends inside its IEND chunk');
  const expected = pngDataLength(view);
  let length: number;
  try {
    ({ length } = inflateSync(Buffer.concat(data), { maxOutputLength: expected }));
  } catch (cause) {
    throw damaged(operation, `a PNG whose image data does not decompress (${messageOf(cause)})`, cause);
  }
  if (length < expected) throw damaged(operation, `a PNG with ${length} of ${expected} bytes of image data`);
  return at;
}

/** Bytes of a PNG's image data before compression: of each pass its rows, each with a filter byte before it. */
function pngDataLength(view: DataView): number {
  const [width, height, depth, type] = [view.getUint32(16), view.getUint32(20), view.getUint8(24), view.getUint8(25)];
  const bits = depth * ({ 2: 3, 4: 2, 6: 4 }[type] ?? 1);
  const passes = view.getUint8(28) === 1 ? ADAM7 : [[0, 0, 1, 1] as const];
  let bytes = 0;
  for (const [x, y, stepX, stepY] of passes) {
    const columns = Math.max(0, Math.ceil((width - x) / stepX));
    const rows = columns === 0 ? 0 : Math.max(0, Math.ceil((height - y) / stepY));
    bytes += rows * (1 + Math.ceil((columns * bits) / 8));
  }
  return bytes;
}

/**
 * libjpeg-turbo decodes as OpenCV and Pillow do, to the bit; it has no conversion from four inks, which jpeg-js has.
 */
function decodeJpeg(bytes: Uint8Array, operation: string): Picture {
  const { width, height, components } = jpegHeader(bytes, operation);
  // A block of 8×8 pixels takes at least one bit: a forged size is refused before its pixels are allocated, which the
  // heap of the decoder's WebAssembly module would never give back.
  if (width * height > bytes.length * 8 * 64) {
    throw damaged(operation, `${bytes.length} bytes, too few for a JPEG of ${width}×${height}`);
  }
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
