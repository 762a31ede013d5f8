import assert from 'node:assert/strict';
import { test } from 'uvu';
import { applyOrientation, type Orientation, orientationOfPng, orientationOfTiff } from '../../src/image/exif.js';

/** A 3×2 picture whose pixels are called a to f, by their red byte. */
const stored = {
  data: Uint8Array.from(Array.from('abcdef').flatMap((name) => [name.charCodeAt(0), 1, 2, 255])),
  width: 3,
  height: 2,
};

/** What EXIF 2.32 says of each orientation: where the stored row 0 and column 0 are seen. */
const upright: Readonly<Record<Orientation, readonly string[]>> = {
  1: ['abc', 'def'],
  2: ['cba', 'fed'],
  3: ['fed', 'cba'],
  4: ['def', 'abc'],
  5: ['ad', 'be', 'cf'],
  6: ['da', 'eb', 'fc'],
  7: ['fc', 'eb', 'da'],
  8: ['cf', 'be', 'ad'],
};

for (const [orientation, rows] of Object.entries(upright)) {
  test(`orientation ${orientation} shows every pixel of 3×2 in its place`, () => {
    const { data, width, height } = applyOrientation(stored, Number(orientation) as Orientation);
    assert.deepEqual([width, height], [rows[0]!.length, rows.length]);
    const expected = Array.from(rows.join('')).flatMap((name) => [name.charCodeAt(0), 1, 2, 255]);
    assert.deepEqual([...data], expected);
  });
}

/** A TIFF block of one directory with one entry: the orientation. */
function tiff(orientation: number, little: boolean): Uint8Array {
  const view = new DataView(new ArrayBuffer(26));
  view.setUint16(0, little ? 0x4949 : 0x4d4d);
  view.setUint16(2, 42, little);
  view.setUint32(4, 8, little);
  view.setUint16(8, 1, little);
  view.setUint16(10, 0x0112, little);
  view.setUint16(12, 3, little);
  view.setUint32(14, 1, little);
  view.setUint16(18, orientation, little);
  return new Uint8Array(view.buffer);
}

test('both byte orders are read', () => {
  for (const little of [true, false]) assert.equal(orientationOfTiff(tiff(6, little)), 6);
});

test('a block that is cut anywhere before its value ends, or names no orientation, is upright', () => {
  const whole = tiff(8, true);
  for (let length = 0; length < 22; length++) assert.equal(orientationOfTiff(whole.subarray(0, length)), 1);
  for (const value of [0, 9, 65_535]) assert.equal(orientationOfTiff(tiff(value, false)), 1);
});

test('no single damaged byte makes reading fail', () => {
  for (const little of [true, false]) {
    for (let at = 0; at < 26; at++) {
      for (const byte of [0, 1, 127, 255]) {
        const damaged = tiff(3, little);
        damaged[at] = byte;
        const orientation = orientationOfTiff(damaged);
        assert.ok(orientation >= 1 && orientation <= 8);
      }
    }
  }
});

test('the eXIf chunk of a PNG is read, and one that claims more bytes than there are is harmless', () => {
  const body = tiff(5, false);
  const png = new Uint8Array(8 + 8 + body.length + 4);
  const view = new DataView(png.buffer);
  view.setUint32(8, body.length);
  png.set(
    Array.from('eXIf').map((letter) => letter.charCodeAt(0)),
    12,
  );
  png.set(body, 16);
  assert.equal(orientationOfPng(png), 5);
  view.setUint32(8, 0xffff_ffff);
  assert.ok(orientationOfPng(png) >= 1);
  assert.equal(orientationOfPng(png.subarray(0, 10)), 1);
});

test.run();
