import assert from 'node:assert/strict';
import { test } from 'uvu';
import { alignFace } from '../../src/image/align.js';
import type { Landmarks, Point } from '../../src/image/face.js';

const template: readonly (readonly [number, number])[] = [
  [38.2946, 51.6963],
  [73.5318, 51.5014],
  [56.0252, 71.7366],
  [41.5493, 92.3655],
  [70.7299, 92.2041],
];

function landmarks(place: (x: number, y: number) => Point): Landmarks {
  const [leftEye, rightEye, nose, leftMouth, rightMouth] = template.map(([x, y]) => place(x, y));
  return { leftEye: leftEye!, rightEye: rightEye!, nose: nose!, leftMouth: leftMouth!, rightMouth: rightMouth! };
}

/** Red grows by 1 a column, green by 1 a row: bilinear sampling gives back the place that was sampled. */
const ramp = (() => {
  const [width, height] = [250, 240];
  const data = new Uint8Array(width * height * 4);
  for (let i = 0; i < width * height; i++) data.set([i % width, Math.floor(i / width), 99, 255], 4 * i);
  return { data, width, height };
})();

test('landmarks that lie on the template leave the picture in place', () => {
  const { data, width, height } = alignFace(
    ramp,
    landmarks((x, y) => ({ x, y })),
  );
  assert.deepEqual([width, height], [112, 112]);
  for (let i = 0; i < width * height; i++) {
    assert.deepEqual([...data.subarray(4 * i, 4 * i + 4)], [i % 112, Math.floor(i / 112), 99, 255]);
  }
});

test('a face that is turned, scaled and moved is brought back', () => {
  // Turned by 30°, 1.4 times as large.
  const [a, b] = [1.4 * Math.cos(Math.PI / 6), 1.4 * Math.sin(Math.PI / 6)];
  const place = (x: number, y: number): Point => ({ x: a * x - b * y + 90, y: b * x + a * y + 12 });
  const { data } = alignFace(ramp, landmarks(place));
  for (const [u, v] of [
    [30, 40],
    [56, 56],
    [80, 70],
  ] as const) {
    const { x, y } = place(u + 0.5, v + 0.5);
    const at = 4 * (v * 112 + u);
    // Rounding to 8 bits is all that differs.
    assert.ok(Math.abs(data[at]! - (x - 0.5)) <= 0.51, `column at ${u}, ${v}`);
    assert.ok(Math.abs(data[at + 1]! - (y - 0.5)) <= 0.51, `row at ${u}, ${v}`);
  }
});

test('another size shows the same face', () => {
  const { data, width } = alignFace(
    ramp,
    landmarks((x, y) => ({ x, y })),
    { size: 224 },
  );
  assert.equal(width, 224);
  // The centre of pixel (101, 61) of 224 is at (50.75, 30.75) of 112, which is column 50.25, row 30.25.
  assert.deepEqual([...data.subarray(4 * (61 * 224 + 101), 4 * (61 * 224 + 101) + 2)], [50, 30]);
});

test('what lies outside the picture is black and opaque', () => {
  const { data } = alignFace(
    ramp,
    landmarks((x, y) => ({ x: x - 1000, y })),
  );
  for (let i = 0; i < data.length; i += 4) assert.deepEqual([...data.subarray(i, i + 4)], [0, 0, 0, 255]);
});

test('landmarks without a direction, and sizes without pixels, are refused', () => {
  const bad = [
    landmarks(() => ({ x: 5, y: 5 })),
    landmarks((x) => ({ x, y: Number.NaN })),
    landmarks((x) => ({ x, y: Infinity })),
  ];
  for (const points of bad) assert.throws(() => alignFace(ramp, points), { name: 'ArgumentError' });
  for (const size of [0, -1, 1.5, Number.NaN, 5000]) {
    const points = landmarks((x, y) => ({ x, y }));
    assert.throws(() => alignFace(ramp, points, { size }), { name: 'ArgumentError' });
  }
});

test.run();
