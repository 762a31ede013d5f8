import assert from 'node:assert/strict';
import { test } from 'uvu';
import { checkPicture, checkSize, MAX_PIXELS, type Picture } from '../../src/image/picture.js';

test('RGB and grey become opaque RGBA, and RGBA is not copied', () => {
  const rgb = { data: Uint8Array.of(1, 2, 3, 4, 5, 6), width: 2, height: 1 };
  assert.deepEqual([...checkPicture(rgb, 'test').data], [1, 2, 3, 255, 4, 5, 6, 255]);
  const grey = { data: Uint8ClampedArray.of(7, 9), width: 1, height: 2 };
  assert.deepEqual([...checkPicture(grey, 'test').data], [7, 7, 7, 255, 9, 9, 9, 255]);
  const rgba = { data: new Uint8ClampedArray(24), width: 2, height: 3 };
  assert.equal(checkPicture(rgba, 'test').data, rgba.data);
  const raw = { data: Uint8Array.of(7, 50, 9, 60), info: { width: 2, height: 1, channels: 2 } };
  assert.deepEqual([...checkPicture(raw, 'test').data], [7, 7, 7, 50, 9, 9, 9, 60]);
});

test('what is no picture is refused by the name of the operation', () => {
  for (const value of [null, undefined, 'face.jpg', 7, {}]) {
    assert.throws(() => checkPicture(value as Picture, 'detect'), {
      name: 'ArgumentError',
      operation: 'detect',
    });
  }
});

test('data of another length or kind is refused', () => {
  const wrong: readonly unknown[] = [
    { data: new Uint8Array(5), width: 2, height: 1 },
    { data: new Uint8Array(4), width: 2, height: 1 },
    { data: new Float32Array(8), width: 2, height: 1 },
    { data: [0, 0, 0, 0], width: 1, height: 1 },
    { data: new Uint8Array(0), width: 0, height: 0 },
    { data: new Uint8Array(4), width: 0.5, height: 2 },
  ];
  for (const value of wrong) assert.throws(() => checkPicture(value as Picture, 'detect'), { name: 'ImageError' });
});

test('the largest size passes and one row more does not', () => {
  checkSize('test', 2 ** 14, MAX_PIXELS / 2 ** 14);
  for (const [width, height] of [
    [2 ** 14, MAX_PIXELS / 2 ** 14 + 1],
    [-1, -1],
    [Number.NaN, 1],
    [Infinity, 1],
  ] as const) {
    assert.throws(
      () => {
        checkSize('test', width, height);
      },
      { name: 'ImageError' },
    );
  }
});

test.run();
