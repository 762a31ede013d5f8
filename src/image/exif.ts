import type { Picture } from './picture.js';

/** EXIF orientation: 1 is upright, 2 mirrored, 3 upside down, 6 and 8 turned by a quarter. */
export type Orientation = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;

const ORIENTATION_TAG = 0x0112;

/** The orientation of a TIFF block as EXIF has it; damaged or without one it is 1. */
export function orientationOfTiff(tiff: Uint8Array): Orientation {
  if (tiff.length < 8) return 1;
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength);
  const order = view.getUint16(0);
  if (order !== 0x4949 && order !== 0x4d4d) return 1;
  const little = order === 0x4949;
  if (view.getUint16(2, little) !== 42) return 1;
  const directory = view.getUint32(4, little);
  if (directory + 2 > tiff.length) return 1;
  const entries = view.getUint16(directory, little);
  for (let i = 0; i < entries; i++) {
    const entry = directory + 2 + 12 * i;
    if (entry + 12 > tiff.length) return 1;
    if (view.getUint16(entry, little) !== ORIENTATION_TAG) continue;
    const value = view.getUint16(entry + 8, little);
    return value >= 1 && value <= 8 ? (value as Orientation) : 1;
  }
  return 1;
}

/** The orientation that a JPEG's APP1 segment names; 1 without one. */
export function orientationOfJpeg(bytes: Uint8Array): Orientation {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 2;
  while (at + 4 <= bytes.length && bytes[at] === 0xff) {
    const marker = bytes[at + 1]!;
    // Start of scan: what follows is the picture.
    if (marker === 0xda) return 1;
    const length = view.getUint16(at + 2);
    const segment = bytes.subarray(at + 4, at + 2 + length);
    const isExif = marker === 0xe1 && segment.length > 6 && String.fromCharCode(...segment.subarray(0, 4)) === 'Exif';
    if (isExif) return orientationOfTiff(segment.subarray(6));
    at += 2 + length;
  }
  return 1;
}

/** The orientation that a PNG's eXIf chunk names; 1 without one. */
export function orientationOfPng(bytes: Uint8Array): Orientation {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 8;
  while (at + 12 <= bytes.length) {
    const length = view.getUint32(at);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (type === 'eXIf') return orientationOfTiff(bytes.subarray(at + 8, at + 8 + length));
    at += 12 + length;
  }
  return 1;
}

/** The picture upright: pixel (x, y) of the result is the one that the orientation shows there. */
export function applyOrientation(picture: Picture, orientation: Orientation): Picture {
  if (orientation === 1) return picture;
  const { width, height } = picture;
  const turned = orientation >= 5;
  const mirroredX = [2, 3, 7, 8].includes(orientation);
  const mirroredY = [3, 4, 6, 7].includes(orientation);
  const [outWidth, outHeight] = turned ? [height, width] : [width, height];
  const from = new Uint32Array(Uint8Array.from(picture.data).buffer);
  const to = new Uint32Array(from.length);
  for (let y = 0; y < outHeight; y++) {
    for (let x = 0; x < outWidth; x++) {
      const [u, v] = turned ? [y, x] : [x, y];
      const sourceX = mirroredX ? width - 1 - u : u;
      const sourceY = mirroredY ? height - 1 - v : v;
      to[y * outWidth + x] = from[sourceY * width + sourceX]!;
    }
  }
  return { data: new Uint8Array(to.buffer), width: outWidth, height: outHeight };
}
