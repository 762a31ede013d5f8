import { inflateSync } from 'node:zlib';
import { ImageError } from '../gpu/errors.js';
import { checkSize, type Picture } from '../image/picture.js';
import { crc32 } from '../weights/zip.js';

/** Samples a pixel and the allowed bit depths, by colour type (PNG specification, table 11.1). */
const COLOUR_TYPES: Readonly<Record<number, { readonly channels: number; readonly depths: readonly number[] }>> = {
  0: { channels: 1, depths: [1, 2, 4, 8, 16] },
  2: { channels: 3, depths: [8, 16] },
  3: { channels: 1, depths: [1, 2, 4, 8] },
  4: { channels: 2, depths: [8, 16] },
  6: { channels: 4, depths: [8, 16] },
};

/** First pixel and step of the seven passes of an interlaced picture, and of the only pass of another. */
const ADAM7: readonly Pass[] = [
  { x: 0, y: 0, dx: 8, dy: 8 },
  { x: 4, y: 0, dx: 8, dy: 8 },
  { x: 0, y: 4, dx: 4, dy: 8 },
  { x: 2, y: 0, dx: 4, dy: 4 },
  { x: 0, y: 2, dx: 2, dy: 4 },
  { x: 1, y: 0, dx: 2, dy: 2 },
  { x: 0, y: 1, dx: 1, dy: 2 },
];
const WHOLE: readonly Pass[] = [{ x: 0, y: 0, dx: 1, dy: 1 }];

interface Pass {
  readonly x: number;
  readonly y: number;
  readonly dx: number;
  readonly dy: number;
}

interface Png {
  readonly width: number;
  readonly height: number;
  readonly depth: number;
  readonly type: number;
  readonly interlaced: boolean;
  readonly palette: Uint8Array;
  readonly transparency: Uint8Array;
  readonly data: readonly Uint8Array[];
}

/**
 * Decodes a PNG of any colour type and bit depth, interlaced or not. Transparent pixels keep their colour; 16 bits are
 * rounded to 8; gamma and colour profiles are not applied.
 *
 * A file whose pixels are not all there is refused. That is why this is no call of pngjs: it takes what is missing from
 * uninitialised memory, so that a cut file is read as a picture of what the process held before.
 *
 * @throws ImageError; for sizes that are out of range, before anything is allocated
 */
export function decodePng(bytes: Uint8Array, operation: string): Picture {
  const fail = (got: string, cause?: unknown): never => {
    throw new ImageError({
      operation,
      expected: 'a whole PNG',
      got,
      remedy: 'The file is damaged or was cut short: fetch it again.',
      cause,
    });
  };
  const png = readChunks(bytes, operation, fail);
  const { width, height, depth, type } = png;
  const { channels } = COLOUR_TYPES[type]!;
  const passes = (png.interlaced ? ADAM7 : WHOLE)
    .map((pass) => ({
      ...pass,
      columns: Math.ceil((width - pass.x) / pass.dx),
      rows: Math.ceil((height - pass.y) / pass.dy),
    }))
    .filter(({ columns, rows }) => columns > 0 && rows > 0);
  const bytesPerRow = (columns: number): number => Math.ceil((columns * channels * depth) / 8);
  const expected = passes.reduce((sum, { columns, rows }) => sum + rows * (1 + bytesPerRow(columns)), 0);

  let raw: Uint8Array;
  try {
    raw = inflateSync(Buffer.concat(png.data), { maxOutputLength: expected });
  } catch (cause) {
    return fail(`image data that does not decompress (${cause instanceof Error ? cause.message : String(cause)})`, cause);
  }
  if (raw.length < expected) return fail(`${raw.length} of ${expected} bytes of image data`);

  const rgba = new Uint8Array(width * height * 4);
  const step = Math.max(1, (channels * depth) >> 3);
  let at = 0;
  for (const { x, y, dx, dy, columns, rows } of passes) {
    const length = bytesPerRow(columns);
    const samples = new Uint16Array(columns * channels);
    for (let row = 0; row < rows; row++, at += 1 + length) {
      if (!unfilter(raw, at, length, step, row > 0)) return fail(`the unknown filter ${raw[at]!}`);
      readSamples(raw, at + 1, depth, samples);
      const first = ((y + row * dy) * width + x) * 4;
      if (!writePixels(png, samples, rgba, first, dx * 4)) return fail('a pixel whose colour the palette lacks');
    }
  }
  return { data: rgba, width, height };
}

function readChunks(bytes: Uint8Array, operation: string, fail: (got: string) => never): Png {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let header: Omit<Png, 'palette' | 'transparency' | 'data'> | undefined;
  let palette = new Uint8Array();
  let transparency = new Uint8Array();
  const data: Uint8Array[] = [];
  // What follows IEND is not the picture's. A file that ends without one is whole if its pixels are.
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at);
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (name === 'IEND') break;
    const end = at + 8 + length;
    if (end + 4 > bytes.length) return fail(`a file that ends inside its ${JSON.stringify(name)} chunk`);
    const body = bytes.slice(at + 8, end);
    if (!header && name !== 'IHDR') return fail(`${JSON.stringify(name)} where the IHDR chunk should be`);
    if (['IHDR', 'PLTE', 'tRNS', 'IDAT'].includes(name) && crc32(bytes.subarray(at + 4, end)) !== view.getUint32(end)) {
      return fail(`a wrong checksum of its ${name} chunk`);
    }
    if (name === 'IHDR') header = readHeader(body, operation, fail);
    else if (name === 'PLTE') palette = body;
    else if (name === 'tRNS') transparency = body;
    else if (name === 'IDAT') data.push(body);
    at = end + 4;
  }
  if (!header) return fail(`${bytes.length} bytes, too few for a PNG`);
  if (data.length === 0) return fail('a PNG without image data');
  return { ...header, palette, transparency, data };
}

function readHeader(body: Uint8Array, operation: string, fail: (got: string) => never) {
  if (body.length !== 13) return fail(`an IHDR chunk of ${body.length} bytes`);
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  checkSize(operation, width, height);
  const [depth, type, , , interlace] = [...body.subarray(8)] as [number, number, number, number, number];
  if (!COLOUR_TYPES[type]?.depths.includes(depth)) return fail(`colour type ${type} of ${depth} bits`);
  return { width, height, depth, type, interlaced: interlace === 1 };
}

/** Undoes the filter of one row in place (PNG specification, 9.2); false for a filter that does not exist. */
function unfilter(raw: Uint8Array, at: number, length: number, step: number, hasAbove: boolean): boolean {
  const filter = raw[at]!;
  if (filter > 4) return false;
  if (filter === 0) return true;
  const start = at + 1;
  const pitch = length + 1;
  for (let i = 0; i < length; i++) {
    const k = start + i;
    const left = i >= step ? raw[k - step]! : 0;
    const above = hasAbove ? raw[k - pitch]! : 0;
    if (filter === 1) raw[k]! += left;
    else if (filter === 2) raw[k]! += above;
    else if (filter === 3) raw[k]! += (left + above) >> 1;
    else raw[k]! += paeth(left, above, hasAbove && i >= step ? raw[k - pitch - step]! : 0);
  }
  return true;
}

/** Of the three neighbours the one nearest to left + above − corner; ties in this order. */
function paeth(left: number, above: number, corner: number): number {
  const toLeft = Math.abs(above - corner);
  const toAbove = Math.abs(left - corner);
  const toCorner = Math.abs(left + above - 2 * corner);
  if (toLeft <= toAbove && toLeft <= toCorner) return left;
  return toAbove <= toCorner ? above : corner;
}

function readSamples(raw: Uint8Array, at: number, depth: number, samples: Uint16Array): void {
  if (depth === 8) {
    for (let i = 0; i < samples.length; i++) samples[i] = raw[at + i]!;
  } else if (depth === 16) {
    for (let i = 0; i < samples.length; i++) samples[i] = (raw[at + 2 * i]! << 8) | raw[at + 2 * i + 1]!;
  } else {
    const mask = (1 << depth) - 1;
    for (let i = 0; i < samples.length; i++) {
      const bit = i * depth;
      samples[i] = (raw[at + (bit >> 3)]! >> (8 - depth - (bit & 7))) & mask;
    }
  }
}

/** Writes one row's pixels, `stride` bytes apart; false for a palette index without a colour. */
function writePixels(png: Png, samples: Uint16Array, rgba: Uint8Array, first: number, stride: number): boolean {
  const { type, depth, palette, transparency } = png;
  const largest = 2 ** depth - 1;
  const toByte = (sample: number): number => (depth === 8 ? sample : Math.round((sample * 255) / largest));
  const { channels } = COLOUR_TYPES[type]!;
  // The one colour that is transparent, in samples of 16 bits.
  const key = type === 0 || type === 2 ? [...transparency] : [];
  const isKey = (i: number): boolean => {
    if (key.length < 2 * channels) return false;
    for (let c = 0; c < channels; c++) if (samples[i + c] !== key[2 * c]! * 256 + key[2 * c + 1]!) return false;
    return true;
  };
  for (let i = 0, at = first; i < samples.length; i += channels, at += stride) {
    if (type === 3) {
      const index = samples[i]!;
      if (3 * index + 2 >= palette.length) return false;
      for (let c = 0; c < 3; c++) rgba[at + c] = palette[3 * index + c]!;
      rgba[at + 3] = transparency[index] ?? 255;
      continue;
    }
    const grey = channels < 3;
    for (let c = 0; c < 3; c++) rgba[at + c] = toByte(samples[i + (grey ? 0 : c)]!);
    rgba[at + 3] = channels % 2 === 0 ? toByte(samples[i + channels - 1]!) : isKey(i) ? 0 : 255;
  }
  return true;
}
