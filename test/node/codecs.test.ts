import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { type ColorType, PNG } from 'pngjs';
import { test } from 'uvu';
import type { Picture } from '../../src/image/picture.js';
import { decodeImage, encodeJpeg, encodePng } from '../../src/node/codecs.js';
import { readImage, writeImage } from '../../src/node/files.js';
import { crc32 } from '../../src/weights/zip.js';

const fixture = (name: string): Uint8Array => readFileSync(new URL(`../../fixtures/pictures/${name}`, import.meta.url));

/** A picture whose every pixel is its own colour. */
function gradient(width: number, height: number): Picture {
  const data = new Uint8Array(width * height * 4);
  for (let i = 0; i < width * height; i++)
    data.set([(i * 40) % 256, (i * 90) % 256, 255 - ((i * 17) % 256), 255], 4 * i);
  return { data, width, height };
}

function chunk(type: string, body: Uint8Array): Buffer {
  const typed = Buffer.concat([Buffer.from(type, 'latin1'), body]);
  const size = Buffer.alloc(4);
  size.writeUInt32BE(body.length);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(typed));
  return Buffer.concat([size, typed, sum]);
}

/** A PNG of raw scan lines, so that any bit depth and colour type can be made. */
function rawPng(
  header: { width: number; height: number; depth: number; type: number },
  lines: Uint8Array,
  extra: Buffer[] = [],
) {
  const ihdr = Buffer.alloc(13);
  ihdr.writeUInt32BE(header.width, 0);
  ihdr.writeUInt32BE(header.height, 4);
  ihdr.set([header.depth, header.type, 0, 0, 0], 8);
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', ihdr),
    ...extra,
    chunk('IDAT', deflateSync(lines)),
    chunk('IEND', new Uint8Array(0)),
  ]);
}

test('a PNG keeps every pixel through encoding and decoding', () => {
  const picture = gradient(7, 5);
  assert.deepEqual(decodeImage(encodePng(picture), 'a.png'), { ...picture, data: picture.data });
});

test('PNGs of 1, 2, 4, 8 and 16 bits grey are read', () => {
  // Two pixels, black and white, at every depth: filter byte 0, then the samples.
  const lines: Readonly<Record<number, number[]>> = {
    1: [0, 0x40],
    2: [0, 0x30],
    4: [0, 0x0f],
    8: [0, 0, 255],
    16: [0, 0, 0, 255, 255],
  };
  for (const [depth, line] of Object.entries(lines)) {
    const { data } = decodeImage(
      rawPng({ width: 2, height: 1, depth: Number(depth), type: 0 }, Uint8Array.from(line)),
      'grey.png',
    );
    assert.deepEqual([...data], [0, 0, 0, 255, 255, 255, 255, 255], `${depth} bits`);
  }
});

test('a palette PNG is read', () => {
  const palette = chunk('PLTE', Uint8Array.from([10, 20, 30, 200, 100, 50]));
  const bytes = rawPng({ width: 2, height: 1, depth: 1, type: 3 }, Uint8Array.from([0, 0x40]), [palette]);
  assert.deepEqual([...decodeImage(bytes, 'palette.png').data], [10, 20, 30, 255, 200, 100, 50, 255]);
});

test('a grey PNG with alpha is read', () => {
  const colorType: ColorType = 4;
  const png = new PNG({ width: 1, height: 1 });
  png.data = Buffer.from([9, 9, 9, 128]);
  const { data } = decodeImage(PNG.sync.write(png, { colorType }), 'alpha.png');
  assert.equal(data[3], 128);
});

test('a JPEG keeps its size, and its colours nearly', () => {
  const flat = { data: new Uint8Array(16 * 12 * 4).fill(120), width: 16, height: 12 };
  const back = decodeImage(encodeJpeg(flat, 95), 'a.jpg');
  assert.deepEqual([back.width, back.height], [16, 12]);
  for (const [i, value] of back.data.entries()) if (i % 4 < 3) assert.ok(Math.abs(value - 120) <= 2);
});

/** A JPEG with an EXIF segment that names an orientation, in either byte order. */
function withOrientation(jpeg: Uint8Array, orientation: number, little: boolean): Uint8Array {
  const tiff = Buffer.alloc(26);
  const u16 = (value: number, at: number) => (little ? tiff.writeUInt16LE(value, at) : tiff.writeUInt16BE(value, at));
  const u32 = (value: number, at: number) => (little ? tiff.writeUInt32LE(value, at) : tiff.writeUInt32BE(value, at));
  tiff.write(little ? 'II' : 'MM', 0, 'latin1');
  u16(42, 2);
  u32(8, 4);
  u16(1, 8);
  u16(0x0112, 10);
  u16(3, 12);
  u32(1, 14);
  u16(orientation, 18);
  const body = Buffer.concat([Buffer.from('Exif\0\0', 'latin1'), tiff]);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(body.length + 2);
  return Buffer.concat([jpeg.subarray(0, 2), Buffer.from([0xff, 0xe1]), length, body, jpeg.subarray(2)]);
}

test('the eight EXIF orientations are turned upright, in both byte orders', () => {
  // Left half dark, right half light, and a bright stripe at the bottom: no two orientations look alike.
  const width = 32;
  const height = 16;
  const data = new Uint8Array(width * height * 4);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++)
      data.fill(y >= 12 ? 255 : x < 16 ? 20 : 120, 4 * (y * width + x), 4 * (y * width + x) + 4);
  }
  const jpeg = encodeJpeg({ data, width, height }, 95);
  // Where the stored top left, top right and bottom end up: corners as [x, y] in fractions of the upright picture.
  const darkCorner = {
    1: [0, 0],
    2: [1, 0],
    3: [1, 1],
    4: [0, 1],
    5: [0, 0],
    6: [1, 0],
    7: [1, 1],
    8: [0, 1],
  } as const;
  for (const [orientation, [cx, cy]] of Object.entries(darkCorner)) {
    for (const little of [true, false]) {
      const upright = decodeImage(withOrientation(jpeg, Number(orientation), little), 'turned.jpg');
      const turned = Number(orientation) >= 5;
      assert.deepEqual([upright.width, upright.height], turned ? [height, width] : [width, height]);
      const x = cx === 0 ? 2 : upright.width - 3;
      const y = cy === 0 ? 2 : upright.height - 3;
      assert.ok(upright.data[4 * (y * upright.width + x)]! < 60, `orientation ${orientation}: dark corner`);
    }
  }
});

test('damaged EXIF is taken as upright', () => {
  const jpeg = encodeJpeg(gradient(8, 8));
  const exif = withOrientation(jpeg, 6, true);
  exif[12 + 4] = 0xff;
  exif[12 + 5] = 0xff;
  assert.equal(decodeImage(exif, 'a.jpg').width, 8);
});

test('a header that claims 60,000×60,000 is refused before decoding', () => {
  const png = rawPng({ width: 60_000, height: 60_000, depth: 8, type: 6 }, new Uint8Array(4));
  assert.throws(() => decodeImage(png, 'bomb.png'), { name: 'ImageError', message: /60000×60000/ });
});

test('every cut of a PNG and of a JPEG is an ImageError that names the file', () => {
  const png = encodePng(gradient(9, 9));
  const jpeg = encodeJpeg(gradient(40, 40));
  for (const [name, bytes] of [
    ['cut.png', png],
    ['cut.jpg', jpeg],
  ] as const) {
    // Without its last bytes a JPEG may still hold all of its pixels.
    for (let length = 0; length < bytes.length * 0.9; length += 7) {
      assert.throws(() => decodeImage(bytes.subarray(0, length), name), {
        name: 'ImageError',
        message: new RegExp(name),
      });
    }
  }
});

test('a JPEG without its end marker is refused: it cannot be told from one that was cut in its last rows', () => {
  const jpeg = encodeJpeg(gradient(40, 40));
  assert.deepEqual([...jpeg.subarray(-2)], [0xff, 0xd9]);
  for (const missing of [1, 2]) {
    assert.throws(() => decodeImage(jpeg.subarray(0, -missing), 'open.jpg'), {
      name: 'ImageError',
      message: /open\.jpg/,
    });
  }
});

test('a PNG whose image data is short is refused, and never filled up from memory', () => {
  const header = { width: 40, height: 40, depth: 8, type: 2 };
  // 20 of 40 rows, each 1 filter byte and 40 pixels of 3 bytes; every chunk is intact.
  const half = rawPng(header, new Uint8Array(20 * 121));
  assert.throws(() => decodeImage(half, 'half.png'), { name: 'ImageError', message: /2420 of 4840 bytes/ });
  const pixel = rawPng({ ...header, width: 16_000, height: 16_000 }, new Uint8Array(4));
  assert.throws(() => decodeImage(pixel, 'pixel.png'), { name: 'ImageError', message: /4 of 768016000 bytes/ });
  const interlaced = Buffer.from(half);
  interlaced[28] = 1;
  interlaced.writeUInt32BE(crc32(interlaced.subarray(12, 29)), 29);
  assert.throws(() => decodeImage(interlaced, 'passes.png'), { name: 'ImageError', message: /2420 of 4875 bytes/ });
});

test('what follows the end of a PNG is not read', () => {
  const picture = gradient(3, 2);
  const bytes = Buffer.concat([encodePng(picture), Buffer.from('appended')]);
  assert.deepEqual(decodeImage(bytes, 'more.png'), picture);
});

test('a small JPEG that claims a large size is refused before decoding', () => {
  const jpeg = Buffer.from(encodeJpeg(gradient(8, 8)));
  const frame = jpeg.indexOf(Buffer.from([0xff, 0xc0]));
  jpeg.writeUInt16BE(16_000, frame + 5);
  jpeg.writeUInt16BE(16_000, frame + 7);
  assert.throws(() => decodeImage(jpeg, 'forged.jpg'), { name: 'ImageError', message: /too few for .* 16000×16000/ });
});

test('a JPEG is not written with a quality or a size that the format lacks', () => {
  const strip = { data: new Uint8Array(70_000 * 4), width: 70_000, height: 1 };
  assert.throws(() => encodeJpeg(strip), { name: 'ArgumentError', message: /70000×1/ });
  for (const quality of [0, 101, Number.NaN]) {
    assert.throws(() => encodeJpeg(gradient(2, 2), quality), { name: 'ArgumentError' });
  }
});

test('a very long and a single-pixel picture survive PNG and JPEG', () => {
  for (const [width, height] of [
    [20_000, 16],
    [1, 1],
  ] as const) {
    const picture = { data: new Uint8Array(width * height * 4).fill(255), width, height };
    for (const bytes of [encodePng(picture), encodeJpeg(picture)]) {
      assert.deepEqual(decodeImage(bytes, 'long'), picture);
    }
  }
});

test('other files are named for what they are', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['just some words', /a text file/],
    ['GIF89a', /a GIF/],
    ['<svg xmlns="">', /an SVG/],
    ['<!DOCTYPE html>', /a web page/],
    ['', /an empty file/],
  ];
  for (const [text, message] of cases) {
    assert.throws(() => decodeImage(new TextEncoder().encode(text), 'photo.jpg'), { name: 'ImageError', message });
  }
});

test('pictures are written whole or not at all', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'pictures-'));
  try {
    const picture = gradient(6, 4);
    await writeImage(join(folder, 'a.png'), picture);
    assert.deepEqual(await readImage(join(folder, 'a.png')), picture);
    await assert.rejects(writeImage(join(folder, 'a.gif'), picture), { name: 'ArgumentError' });
    await assert.rejects(writeImage(join(folder, 'none', 'a.png'), picture), { name: 'FileError' });
    await assert.rejects(readImage(join(folder, 'missing.png')), { name: 'FileError', message: /missing\.png/ });
    await assert.rejects(readImage(folder), { name: 'FileError' });
    await writeFile(join(folder, 'b.jpg'), 'text');
    await assert.rejects(readImage(join(folder, 'b.jpg')), { name: 'ImageError' });
    assert.deepEqual((await readdir(folder)).sort(), ['a.png', 'b.jpg']);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('progressive, grey and four-ink JPEGs are read', () => {
  for (const name of ['progressive.jpg', 'grey.jpg', 'cmyk.jpg']) {
    const { width, height, data } = decodeImage(fixture(name), name);
    assert.deepEqual([width, height], [16, 8], name);
    // Left half light, right half dark, in each of them.
    assert.ok(data[4 * (3 * 16 + 2)]! > 150, `${name}: light`);
    assert.ok(data[4 * (3 * 16 + 13)]! < 110, `${name}: dark`);
  }
});

test.run();
