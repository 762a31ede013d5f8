import assert from 'node:assert/strict';
import { test } from 'uvu';
import { letterbox } from '../../src/image/letterbox.js';

test('a wide picture fills the width, a tall one the height', () => {
  assert.deepEqual(letterbox(1280, 720, { width: 640, height: 640 }), { scale: 0.5, width: 640, height: 360 });
  assert.deepEqual(letterbox(300, 600, { width: 640, height: 480 }), { scale: 0.8, width: 240, height: 480 });
});

test('a picture of the canvas’ size stays as it is', () => {
  assert.deepEqual(letterbox(641, 479, { width: 641, height: 479 }), { scale: 1, width: 641, height: 479 });
});

test('the longest picture keeps a row of pixels', () => {
  assert.deepEqual(letterbox(20_000, 1, { width: 640, height: 640 }), { scale: 0.032, width: 640, height: 1 });
});

test('no picture reaches past the canvas, and its shape is kept within half a pixel', () => {
  for (const [width, height] of [
    [933, 682],
    [7, 5],
    [1023, 1025],
    [4000, 3001],
  ] as const) {
    const canvas = { width: 333, height: 217 };
    const placed = letterbox(width, height, canvas);
    assert.ok(placed.width <= canvas.width && placed.height <= canvas.height);
    assert.ok(Math.abs(placed.width - width * placed.scale) <= 0.5);
    assert.ok(Math.abs(placed.height - height * placed.scale) <= 0.5);
  }
});

test.run();
