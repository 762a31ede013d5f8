import assert from 'node:assert/strict';
import { test } from 'uvu';
import { randomOf } from '../../src/data/random.js';
import { syntheticScene, syntheticSource } from '../../src/data/synthetic.js';
import { makeCanvas } from '../../src/data/synthetic/canvas.js';
import { drawFigure, Figure, type Light, type Pose } from '../../src/data/synthetic/figure.js';
import { drawPerson, type Person } from '../../src/data/synthetic/person.js';
import { ArgumentError } from '../../src/gpu/errors.js';

const bytes = (data: ArrayLike<number>): Buffer => Buffer.from(data as Uint8Array);

test('a scene is a function of seed and index', () => {
  const options = { size: 96 };
  const one = syntheticScene(5, 3, options);
  syntheticScene(6, 1, options);
  const again = syntheticScene(5, 3, options);
  assert.deepEqual(again.faces, one.faces);
  assert.ok(bytes(again.picture.data).equals(bytes(one.picture.data)));
  for (const [seed, index] of [
    [5, 4],
    [4, 3],
  ] as const) {
    assert.ok(!bytes(syntheticScene(seed, index, options).picture.data).equals(bytes(one.picture.data)));
  }
});

test('scenes are opaque pictures of the size asked for, neither dark nor white as a whole', () => {
  let between = 0;
  for (let index = 0; index < 12; index++) {
    const { picture } = syntheticScene(1, index, { size: 65 });
    assert.deepEqual([picture.width, picture.height, picture.data.length], [65, 65, 65 * 65 * 4]);
    assert.ok(
      bytes(picture.data).every((value, i) => i % 4 !== 3 || value === 255),
      'opaque',
    );
    const mean = bytes(picture.data).reduce((sum, value, i) => sum + (i % 4 === 3 ? 0 : value), 0) / (65 * 65 * 3);
    if (mean > 25 && mean < 230) between++;
  }
  assert.ok(between >= 10, `${between} of 12`);
});

test('a source plans faces without drawing, the same as the scene has', async () => {
  const source = syntheticSource(7, 30, { size: 160 });
  assert.equal(source.length, 30);
  for (const index of [0, 11, 29]) {
    const scene = syntheticScene(7, index, { size: 160 });
    assert.deepEqual(source.faces(index), scene.faces);
    assert.ok(bytes((await source.load(index)).data).equals(bytes(scene.picture.data)));
  }
  assert.notEqual(source.name(1), source.name(2));
});

test('numbers and heights of faces are in the ranges asked for, boxes inside the picture, and many in each part', () => {
  const size = 320;
  const counts: number[] = [];
  const heights: number[] = [];
  for (let index = 0; index < 150; index++) {
    const faces = syntheticSource(2, 150).faces(index);
    counts.push(faces.length);
    for (const { box, landmarks } of faces) {
      const [x1, y1, x2, y2] = box;
      assert.ok(x1 >= 0 && y1 >= 0 && x2 <= size && y2 <= size && x2 > x1 && y2 > y1);
      if (y1 > 0 && y2 < size) heights.push(y2 - y1);
      for (const value of landmarks ?? []) assert.ok(value >= 0 && value <= size);
    }
  }
  assert.ok(Math.min(...counts) === 0 && Math.max(...counts) <= 12 && Math.max(...counts) >= 9);
  // A box is up to a third higher or lower than asked for where a head is tilted or its mouth is open.
  assert.ok(Math.min(...heights) < 9 && Math.min(...heights) > 4 && Math.max(...heights) > 130);
  for (const [low, high] of [
    [0, 16],
    [16, 32],
    [32, 64],
    [64, 128],
  ] as const) {
    assert.ok(heights.filter((height) => height >= low && height < high).length >= 20, `${low} to ${high}`);
  }
  const alone = syntheticSource(3, 20, { size: 100, faces: [1, 1], faceHeights: [40, 50] });
  for (let index = 0; index < 20; index++) assert.ok(alone.faces(index).length <= 1);
});

test('options that no scene can have are refused', () => {
  for (const options of [
    { size: 8 },
    { size: 99.5 },
    { faces: [3, 2] },
    { faces: [-1, 2] },
    { faceHeights: [1, 20] },
    { faceHeights: [30, 20] },
  ] as const) {
    assert.throws(() => syntheticScene(1, 0, options), ArgumentError);
  }
});

const frontal: Pose = {
  x: 100,
  y: 90,
  scale: 50,
  yaw: 0,
  pitch: 0,
  roll: 0,
  bodyYaw: 0,
  bodyRoll: 0,
  distance: 12,
  arms: ['down', 'down'],
};

/** Someone with nothing on the head and the mouth closed, so that what is drawn is symmetric but for grain. */
const plain: Person = {
  ...drawPerson(randomOf(1, 0, 0)),
  open: 0,
  headwear: 'none',
  glasses: 'none',
  mask: false,
  hairLength: 0,
  hairThickness: 0,
  hairCover: 0,
  fringe: 0,
  gaze: [0, 0],
  beard: 0,
  moustache: 0,
  stubble: 0,
};

test('a face seen from the front is as high as a box says, narrower than high, and its points lie as in faces', () => {
  for (let index = 0; index < 20; index++) {
    const person = { ...drawPerson(randomOf(9, 0, index)), open: 0 };
    const { box, landmarks } = new Figure(person, frontal).face();
    const [x1, y1, x2, y2] = box;
    const ratio = (x2 - x1) / (y2 - y1);
    assert.ok(ratio > 0.65 && ratio < 1.05, `width over height ${ratio}`);
    const [ax, ay, bx, by, nx, ny, cx, cy, dx, dy] = landmarks! as [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    assert.ok(
      Math.abs((ax + bx) / 2 - 100) < 1e-3 && Math.abs(nx - 100) < 1e-3 && Math.abs((cx + dx) / 2 - 100) < 1e-3,
    );
    assert.ok(Math.abs(ay - by) < 1e-3 && Math.abs(cy - dy) < 1e-3, 'level');
    assert.ok(y1 < ay && by < ny && ny < cy && dy < y2, 'in order');
    assert.ok(ax < bx && cx < dx && dx - cx < 1.2 * (bx - ax), 'a laughing mouth is about as wide as the eyes');
  }
});

test('turning the head moves the nose across the eyes, leaning turns all points, and the mirror image is exact', () => {
  const face = (pose: Partial<Pose>): readonly number[] => new Figure(plain, { ...frontal, ...pose }).face().landmarks!;
  const nose = (points: readonly number[]): number => (points[4]! - points[0]!) / (points[2]! - points[0]!);
  assert.ok(nose(face({ yaw: 0.5 })) > 0.65 && nose(face({ yaw: -0.5 })) < 0.35);
  const [left, right] = [face({ yaw: 0.4 }), face({ yaw: -0.4 })];
  [1, 0, 2, 4, 3].forEach((to, from) => {
    assert.ok(Math.abs(left[2 * from]! + right[2 * to]! - 200) < 1e-3);
    assert.ok(Math.abs(left[2 * from + 1]! - right[2 * to + 1]!) < 1e-3);
  });
  const down = face({ pitch: 0.4 });
  assert.ok(down[5]! - down[1]! > face({})[5]! - face({})[1]!, 'looking down, the nose comes lower below the eyes');
  const lean = face({ roll: Math.PI / 2 });
  assert.ok(Math.abs(lean[0]! - lean[2]!) < 1e-3 && lean[3]! > lean[1]!);
});

test('what is drawn is where the labels say: skin in the box, dark eyes, nothing beside the head', () => {
  const light: Light = {
    direction: [0, -0.5, Math.sqrt(0.75)],
    key: [0.7, 0.7, 0.7],
    sky: [0.4, 0.4, 0.4],
    ground: [0.3, 0.3, 0.3],
    shadows: 0,
  };
  const canvas = makeCanvas(200, 200);
  canvas.data.fill(-1);
  const figure = new Figure({ ...plain, eyeOpen: 1, iris: [0.02, 0.02, 0.02] }, frontal);
  drawFigure(canvas, figure, light, 0);
  const { box, landmarks } = figure.face();
  const value = (x: number, y: number): number => canvas.data[3 * (Math.floor(y) * 200 + Math.floor(x)) + 1]!;
  const [x1, y1, x2, y2] = box;
  const [eyeX, eyeY] = [landmarks![0]!, landmarks![1]!];
  const cheek = value(eyeX, eyeY + 0.25 * (y2 - y1));
  assert.ok(cheek > 0.01);
  assert.ok(value(eyeX, eyeY) < 0.6 * cheek, 'the pupil is darker than the cheek');
  let inside = 0;
  for (let y = Math.ceil(y1); y < y2; y++) for (let x = Math.ceil(x1); x < x2; x++) if (value(x, y) >= 0) inside++;
  assert.ok(inside > 0.85 * (x2 - x1) * (y2 - y1), 'the face fills its box');
  assert.equal(value(x1 - 25, eyeY), -1);
  assert.equal(value(x2 + 25, eyeY), -1);
  assert.ok(value(x1 - 1.5, (y1 + y2) / 2) < 0 || value(x1 - 8, eyeY + 20) < 0, 'and ends near its sides');
});

test('no number of a drawn person is lost: every pixel of many is finite', () => {
  const light: Light = {
    direction: [0.6, -0.64, 0.48],
    key: [1, 1, 1],
    sky: [0.4, 0.4, 0.4],
    ground: [0.3, 0.3, 0.3],
    shadows: 1,
  };
  for (let index = 0; index < 40; index++) {
    const random = randomOf(11, 0, index);
    const canvas = makeCanvas(48, 48);
    const pose = {
      ...frontal,
      x: 24,
      y: 20,
      scale: 3 + 0.5 * index,
      yaw: 1.5 * random.normal(),
      pitch: 0.4 * random.normal(),
    };
    drawFigure(canvas, new Figure(drawPerson(random), pose), light, index % 2);
    assert.ok(
      canvas.data.every((value) => Number.isFinite(value) && value >= 0),
      `person ${index}`,
    );
  }
});

test.run();
