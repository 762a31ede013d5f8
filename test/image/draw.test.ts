import assert from 'node:assert/strict';
import { test } from 'uvu';
import { drawFaces } from '../../src/image/draw.js';
import type { Picture } from '../../src/image/picture.js';
import type { Box, Face } from '../../src/image/face.js';

const grey = (width: number, height: number): Picture => ({
  data: new Uint8Array(width * height * 4).fill(128),
  width,
  height,
});

const face = (box: Box, landmarks = true): Face => {
  const at = (x: number, y: number) => ({ x: box.x1 + x * (box.x2 - box.x1), y: box.y1 + y * (box.y2 - box.y1) });
  const points = {
    leftEye: at(0.3, 0.4),
    rightEye: at(0.7, 0.4),
    nose: at(0.5, 0.6),
    leftMouth: at(0.35, 0.8),
    rightMouth: at(0.65, 0.8),
  };
  return landmarks ? { score: 0.98, box, landmarks: points } : { score: 0.98, box };
};

const pixel = ({ data, width }: Picture, x: number, y: number): number[] => [
  ...data.subarray(4 * (y * width + x), 4 * (y * width + x) + 3),
];

test('box and landmarks are drawn where they are, on a copy', () => {
  const picture = grey(200, 160);
  const drawn = drawFaces(picture, [face({ x1: 40, y1: 50, x2: 140, y2: 150 })]);
  assert.ok(
    picture.data.every((value) => value === 128),
    'the given picture changed',
  );
  const line = pixel(drawn, 40, 100);
  assert.notDeepEqual(line, [128, 128, 128]);
  // Right and bottom edges lie inside the box, which ends before pixel 140 and row 150.
  assert.deepEqual(pixel(drawn, 139, 100), line);
  assert.deepEqual(pixel(drawn, 90, 149), line);
  assert.deepEqual(pixel(drawn, 140, 100), [128, 128, 128]);
  const dots = [
    [70, 90],
    [110, 90],
    [90, 110],
    [75, 130],
    [105, 130],
  ].map(([x, y]) => pixel(drawn, x!, y!).join());
  assert.equal(new Set([...dots, '128,128,128']).size, 6, 'five colours, none of them the ground');
  assert.deepEqual(pixel(drawn, 60, 75), [128, 128, 128]);
});

test('a network without landmarks gets boxes', () => {
  const drawn = drawFaces(grey(100, 100), [face({ x1: 20, y1: 30, x2: 80, y2: 90 }, false)]);
  assert.deepEqual(pixel(drawn, 50, 66), [128, 128, 128]);
  assert.notDeepEqual(pixel(drawn, 20, 60), [128, 128, 128]);
});

test('faces over and past the edges, and in the smallest picture, are drawn as far as they reach', () => {
  const boxes: readonly Box[] = [
    { x1: -50, y1: -60, x2: 30, y2: 25 },
    { x1: 40, y1: 30, x2: 400, y2: 300 },
    { x1: -500, y1: -500, x2: 500, y2: 500 },
    { x1: 900, y1: 900, x2: 950, y2: 950 },
    { x1: 10, y1: 10, x2: 10, y2: 10 },
  ];
  for (const [width, height] of [
    [64, 48],
    [1, 1],
  ] as const) {
    for (const box of boxes) {
      const drawn = drawFaces(grey(width, height), [face(box)]);
      assert.deepEqual([drawn.width, drawn.height, drawn.data.length], [width, height, width * height * 4]);
    }
  }
  // The right edge of the first box is inside.
  assert.notDeepEqual(pixel(drawFaces(grey(64, 48), [face(boxes[0]!)]), 29, 20), [128, 128, 128]);
});

test('a face at the top edge has its label inside the picture', () => {
  const box = { x1: 60, y1: 0, x2: 160, y2: 120 };
  const labelled = drawFaces(grey(200, 160), [face(box, false)]);
  const colours = new Set<string>();
  for (let y = 0; y < 8; y++) for (let x = 60; x < 80; x++) colours.add(pixel(labelled, x, y).join());
  assert.ok(colours.size >= 2, 'ground and digits');
  // Within the box's first rows, some pixels have the digits' colour: neither the line's nor the picture's.
  const line = pixel(labelled, 60, 60).join();
  assert.ok([...colours].some((colour) => colour !== line && colour !== '128,128,128'));
});

test.run();
