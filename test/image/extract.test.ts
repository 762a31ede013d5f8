import assert from 'node:assert/strict';
import { test } from 'uvu';
import { alignFace } from '../../src/image/align.js';
import { extractFaces } from '../../src/image/extract.js';
import type { Face } from '../../src/image/face.js';
import type { Picture } from '../../src/image/picture.js';

/** Red is the column, green the row: what is cut out says where it comes from. */
const ramp = (() => {
  const [width, height] = [200, 100];
  const data = new Uint8Array(width * height * 4);
  for (let i = 0; i < width * height; i++) data.set([i % width, Math.floor(i / width), 0, 255], 4 * i);
  return { data, width, height };
})();

const face: Face = {
  score: 1,
  box: { x1: 40, y1: 20, x2: 80, y2: 70 },
  landmarks: {
    leftEye: { x: 50, y: 40 },
    rightEye: { x: 70, y: 40 },
    nose: { x: 60, y: 50 },
    leftMouth: { x: 52, y: 60 },
    rightMouth: { x: 68, y: 60 },
  },
};
const at = ({ data, width }: Picture, x: number, y: number): number[] => [
  ...data.subarray(4 * (y * width + x), 4 * (y * width + x) + 3),
];

test('a box is cut out pixel for pixel, with its margin, as far as it lies in the picture', () => {
  const [plain] = extractFaces(ramp, [face], { align: false });
  assert.deepEqual(
    [plain!.width, plain!.height, at(plain!, 0, 0), at(plain!, 39, 49)],
    [40, 50, [40, 20, 0], [79, 69, 0]],
  );
  const [wide] = extractFaces(ramp, [face], { align: false, margin: 0.6 });
  // 24 more to the left and right; 30 above and below, where there are 20 and 30.
  assert.deepEqual([wide!.width, wide!.height, at(wide!, 0, 0)], [88, 100, [16, 0, 0]]);
});

test('with a size it is the square around the box, black outside the picture', () => {
  const [square] = extractFaces(ramp, [face], { align: false, size: 50 });
  assert.deepEqual([square!.width, square!.height], [50, 50]);
  assert.deepEqual(at(square!, 0, 0), [35, 20, 0]);
  const corner = { ...face, box: { x1: -10, y1: -10, x2: 10, y2: 10 } };
  const [cut] = extractFaces(ramp, [corner], { align: false, size: 20 });
  assert.deepEqual(
    [at(cut!, 5, 5), at(cut!, 15, 15)],
    [
      [0, 0, 0],
      [5, 5, 0],
    ],
  );
});

test('aligned faces are those of alignFace; a margin shows more of the same at the same size', () => {
  const [aligned] = extractFaces(ramp, [face]);
  assert.deepEqual(aligned, alignFace(ramp, face));
  const [roomy] = extractFaces(ramp, [face], { margin: 0.5, size: 224 });
  // The middle half of it is the face without a margin.
  for (const [u, v] of [
    [30, 40],
    [80, 90],
  ] as const) {
    assert.deepEqual(at(roomy!, 56 + u, 56 + v), at(aligned, u, v));
  }
});

test('what cannot be cut out is told', () => {
  const typo: object = { crop: true };
  const slips: readonly (readonly [() => unknown, RegExp])[] = [
    [() => extractFaces(ramp, [{ score: 1, box: face.box }]), /a face without landmarks/],
    [() => extractFaces(ramp, [face], { margin: -1 }), /a margin of 0 to 4, got -1/],
    [() => extractFaces(ramp, [face], { size: 0 }), /a whole size of 1 to 4096/],
    [() => extractFaces(ramp, [face], typo), /options of align, size, margin, got 'crop'/],
    [() => extractFaces(ramp, face as unknown as Face[]), /a list of faces/],
    [
      () => extractFaces(ramp, [{ ...face, box: { x1: 300, y1: 0, x2: 310, y2: 9 } }], { align: false }),
      /boxes inside/,
    ],
    [() => extractFaces(null as unknown as Picture, [face]), /expected a picture/],
  ];
  for (const [call, message] of slips) assert.throws(call, { name: 'ArgumentError', message });
  assert.deepEqual(extractFaces(ramp, []), []);
});

test.run();
