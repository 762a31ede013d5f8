import assert from 'node:assert/strict';
import { test } from 'uvu';
import {
  augmentBatch,
  augmentBatchBy,
  augmentFaces,
  type AugmentPlan,
  type ColourChange,
  drawAugmentation,
  plainPlan,
} from '../../src/data/augment.js';
import { randomOf } from '../../src/data/random.js';
import type { Face } from '../../src/data/sample.js';
import { ArgumentError } from '../../src/gpu/errors.js';
import { Gpu } from '../../src/gpu/gpu.js';
import { testDevice as device } from '../helpers/device.js';
import { augment } from '../reference/augment.js';

const same: ColourChange = { brightness: 0, contrast: 1, saturation: 1, hue: 0, order: 'contrast-first' };
const input = { order: 'bgr', mean: [104, 117, 123], std: [1, 2, 3] } as const;

/** A picture whose channels differ, smooth enough that a tap at another place is another value. */
function picture(width: number, height: number) {
  const data = Uint8Array.from({ length: width * height * 4 }, (_, i) => (i * 37 + (i >> 5) * 11) % 256);
  return { width, height, data };
}

// Some twenty float32 roundings of values up to 255; hue divides by the chroma, which a grey pixel makes as small as 1.
const TOLERANCE = 255 * 20 * 2 ** -24 * 16;

const plans: Readonly<Record<string, AugmentPlan>> = {
  'the whole picture, enlarged': plainPlan({ width: 13, height: 8 }),
  'the whole picture, stretched': plainPlan({ width: 13, height: 8 }, 'stretch'),
  'a crop inside, mirrored': { crop: { x: 2.3, y: 1.6, width: 5.2, height: 5.2 }, flip: true, colour: same },
  'a crop beyond all edges': { crop: { x: -4.3, y: -5.7, width: 19.4, height: 19.4 }, flip: true, colour: same },
  'a crop that shrinks by five': { crop: { x: -20.2, y: -27.4, width: 57.7, height: 57.7 }, flip: false, colour: same },
  'brighter, then more contrast': {
    crop: { x: 1.1, y: 0.2, width: 7.3, height: 7.3 },
    flip: false,
    colour: { ...same, brightness: 31.5, contrast: 1.4 },
  },
  'darker, greyer, of another hue, then less contrast': {
    crop: { x: 1.1, y: 0.2, width: 7.3, height: 7.3 },
    flip: true,
    colour: { brightness: -28, contrast: 0.6, saturation: 0.55, hue: -35, order: 'contrast-last' },
  },
  'more colour of another hue': {
    crop: { x: 0.4, y: 0.1, width: 12.1, height: 7.5 },
    flip: false,
    colour: { brightness: 0, contrast: 1.5, saturation: 1.5, hue: 36, order: 'contrast-last' },
  },
};

for (const [name, plan] of Object.entries(plans)) {
  for (const order of ['rgb', 'bgr'] as const) {
    test(`${name}, ${order}, equals the twin`, async () => {
      const source = picture(13, 8);
      using output = augmentBatch(device, [source], [plan], { ...input, order, size: 11 });
      const expected = augment(source, plan, { ...input, order, size: 11 });
      assert.deepEqual(output.shape, expected.shape);
      for (const [i, value] of (await output.read()).entries()) {
        const off = Math.abs(value - expected.data[i]!);
        assert.ok(off <= TOLERANCE, `element ${i}: ${value} instead of ${expected.data[i]!}, off by ${off}`);
      }
    });
  }
}

test('a picture that comes in bands is augmented the same to the bit', async () => {
  const source = picture(23, 61);
  for (const plan of [...Object.values(plans), plainPlan(source), plainPlan(source, 'stretch')]) {
    using whole = augmentBatch(device, [source], [plan], { ...input, size: 11 });
    using parts = augmentBatchBy(23 * 4 * 14, device, [source], [plan], { ...input, size: 11 });
    assert.deepEqual(await parts.read(), await whole.read());
  }
});

test('pictures of a batch keep their places, and no memory is left behind', async () => {
  const gpu = Gpu.of(device);
  const before = gpu.memory().bytes;
  const sources = [picture(5, 9), picture(20, 3), picture(1, 1)];
  const list = sources.map((each) => plainPlan(each));
  const output = augmentBatch(device, sources, list, { ...input, size: 6 });
  const got = await output.read();
  output.dispose();
  assert.equal(gpu.memory().bytes, before);
  sources.forEach((source, n) => {
    const expected = augment(source, list[n]!, { ...input, size: 6 });
    expected.data.forEach((value, i) => {
      assert.ok(Math.abs(got[n * 6 * 6 * 4 + i]! - value) <= TOLERANCE);
    });
  });
});

test('the padding beside a picture is 0 whatever its colours do', async () => {
  const plan: AugmentPlan = {
    crop: { x: 0, y: 0, width: 8, height: 8 },
    flip: false,
    colour: { ...same, brightness: 30, saturation: 1.5 },
  };
  using output = augmentBatch(device, [picture(8, 4)], [plan], { ...input, size: 8 });
  const got = await output.read();
  assert.ok(got.subarray(0, 4 * 8 * 4).some((value) => value !== 0));
  assert.ok(got.subarray(4 * 8 * 4).every((value) => value === 0));
});

const face: Face = { box: [10, 20, 30, 44], landmarks: [15, 28, 25, 28, 20, 33, 16, 38, 24, 38] };

test('a plain plan scales faces with the picture', () => {
  const [fitted] = augmentFaces(plainPlan({ width: 80, height: 40 }), [face], 40);
  assert.deepEqual(fitted, { box: [5, 10, 15, 22], landmarks: face.landmarks!.map((value) => value / 2) });
  const [stretched] = augmentFaces(plainPlan({ width: 80, height: 40 }, 'stretch'), [face], 40);
  assert.deepEqual(
    stretched?.box,
    [5, 20, 15, 44].map((value) => Math.min(40, value)),
  );
});

test('a flip mirrors the box and swaps left and right landmarks', () => {
  const plan: AugmentPlan = { crop: { x: 0, y: 0, width: 50, height: 50 }, flip: true, colour: same };
  const [flipped] = augmentFaces(plan, [face], 50);
  assert.deepEqual(flipped, { box: [20, 20, 40, 44], landmarks: [25, 28, 35, 28, 30, 33, 26, 38, 34, 38] });
  assert.deepEqual(augmentFaces(plan, [flipped], 50), [face]);
});

test('a face stays if its centre is inside; its box is clipped, and landmarks outside make it unannotated', () => {
  const crop = (x: number, y: number): AugmentPlan => ({
    crop: { x, y, width: 20, height: 20 },
    flip: false,
    colour: same,
  });
  // The centre is (20, 32).
  assert.deepEqual(augmentFaces(crop(20, 20), [face], 40), []);
  assert.deepEqual(augmentFaces(crop(0, 20), [face], 40), []);
  assert.deepEqual(augmentFaces(crop(19.5, 20), [face], 40), [{ box: [0, 0, 21, 40] }]);
  assert.deepEqual(augmentFaces(crop(11, 24), [face], 20), [
    { box: [0, 0, 19, 20], landmarks: [4, 4, 14, 4, 9, 9, 5, 14, 13, 14] },
  ]);
});

test('an augmentation is a function of seed, epoch and picture, and holds at least one face', () => {
  const size = { width: 200, height: 120 };
  const faces: Face[] = [{ box: [2, 100, 10, 112] }, { box: [150, 3, 171, 30] }];
  const seen = new Set<string>();
  let [flips, first, bright] = [0, 0, 0];
  const runs = 400;
  for (let epoch = 0; epoch < runs; epoch++) {
    const plan = drawAugmentation(randomOf(3, epoch, 5), size, faces);
    assert.deepEqual(plan, drawAugmentation(randomOf(3, epoch, 5), size, faces));
    const { x, y, width, height } = plan.crop;
    assert.equal(width, height);
    assert.ok(x >= 0 && y >= 0 && x + width <= 200.001 && y + height <= 120.001);
    assert.ok(augmentFaces(plan, faces, 64).length >= 1 || width === 120, 'a face, or the whole short side');
    seen.add((width / 120).toFixed(2));
    if (plan.flip) flips++;
    if (plan.colour.order === 'contrast-first') first++;
    if (plan.colour.brightness !== 0) bright++;
    assert.ok(Math.abs(plan.colour.brightness) <= 32 && Math.abs(plan.colour.hue) <= 36);
    for (const factor of [plan.colour.contrast, plan.colour.saturation]) assert.ok(factor >= 0.5 && factor <= 1.5);
  }
  assert.deepEqual([...seen].sort(), ['0.30', '0.45', '0.60', '0.80', '1.00']);
  // Five deviations of 400 fair draws.
  for (const count of [flips, first, bright]) assert.ok(Math.abs(count - runs / 2) < 5 * Math.sqrt(runs / 4));
});

test('a portrait holds all of one large face, which fills it by two fifths of its edge or more', () => {
  const size = { width: 400, height: 300 };
  const large: Face = { box: [200, 150, 260, 230] };
  const faces: Face[] = [{ box: [10, 10, 30, 40] }, large, { box: [300, 20, 347, 90] }];
  let portraits = 0;
  for (let epoch = 0; epoch < 60; epoch++) {
    const { crop } = drawAugmentation(randomOf(3, epoch, 5), size, faces, { portraits: 0.5, scales: [1] });
    if (crop.width === 300) continue;
    portraits++;
    assert.equal(crop.width, crop.height);
    assert.ok(crop.width >= 1.1 * 80 && crop.width <= 2.5 * 80);
    assert.ok(crop.x <= 200 && crop.y <= 150 && crop.x + crop.width >= 260 && crop.y + crop.height >= 230);
  }
  // Half of 60, within three deviations.
  assert.ok(Math.abs(portraits - 30) < 12, String(portraits));
  // Without, and where no face is large enough, crops are what they were.
  for (const [given, share] of [
    [faces, 0],
    [[], 0],
  ] as const) {
    const random = () => randomOf(4, 1, 2);
    assert.deepEqual(
      drawAugmentation(random(), size, given, { portraits: share }),
      drawAugmentation(random(), size, given),
    );
  }
  const { crop } = drawAugmentation(randomOf(3, 0, 5), size, faces.slice(0, 1), { portraits: 1, scales: [1] });
  assert.equal(crop.width, 300);
});

test('a stretch draws crops longer one way or the other, inside the picture and up to its ratio', () => {
  const size = { width: 200, height: 120 };
  const draw = (epoch: number, faces: readonly Face[]) =>
    drawAugmentation(randomOf(3, epoch, 5), size, faces, { stretch: 1.6 });
  const ratios = Array.from({ length: 400 }, (_, epoch) => {
    const { x, y, width, height } = draw(epoch, []).crop;
    assert.ok(x >= 0 && y >= 0 && x + width <= 200.001 && y + height <= 120.001);
    assert.ok(
      [0.3, 0.45, 0.6, 0.8, 1].some((scale) => Math.abs(Math.max(width, height) - 120 * scale) < 1e-9),
      'the longer side has the edge of the square',
    );
    return Math.log(width / height) / Math.log(1.6);
  });
  assert.ok(ratios.every((ratio) => Math.abs(ratio) <= 1 + 1e-9));
  // Uniform from −1 to 1: five deviations of the mean, and both ends are reached.
  const mean = ratios.reduce((sum, ratio) => sum + ratio, 0) / ratios.length;
  assert.ok(Math.abs(mean) < 5 / Math.sqrt(3 * ratios.length));
  assert.ok(Math.min(...ratios) < -0.9 && Math.max(...ratios) > 0.9);
  const faces: Face[] = [{ box: [2, 100, 10, 112] }, { box: [150, 3, 171, 30] }];
  for (let epoch = 0; epoch < 400; epoch++) {
    const plan = draw(epoch, faces);
    const { width, height } = plan.crop;
    assert.ok(
      augmentFaces(plan, faces, 64).length >= 1 || (width === 120 && height === 120),
      'a face, or the short side',
    );
  }
  // A crop twice as wide as high makes its faces half as wide.
  const plan = { ...plainPlan(size, 'stretch'), crop: { x: 0, y: 0, width: 120, height: 60 } };
  assert.deepEqual(augmentFaces(plan, [{ box: [12, 6, 36, 18] }], 60), [{ box: [6, 6, 18, 18] }]);
});

test('scales over 1 place the whole picture on a larger ground', () => {
  for (let epoch = 0; epoch < 20; epoch++) {
    const { crop } = drawAugmentation(randomOf(1, epoch, 0), { width: 30, height: 20 }, [], { scales: [2] });
    assert.equal(crop.width, 40);
    assert.ok(crop.x <= 0 && crop.x >= -10 && crop.y <= 0 && crop.y >= -20);
  }
});

test('what cannot be augmented is refused before anything is allocated', () => {
  const gpu = Gpu.of(device);
  const before = gpu.memory().bytes;
  const source = picture(4, 4);
  const plan = plainPlan(source);
  const options = { ...input, size: 8 };
  assert.throws(() => augmentBatch(device, [source], [], options), ArgumentError);
  assert.throws(() => augmentBatch(device, [{ ...source, width: 5 }], [plan], options), ArgumentError);
  assert.throws(() => augmentBatch(device, [source], [plan], { ...options, size: 0.5 }), ArgumentError);
  const empty = { ...plan, crop: { x: 0, y: 0, width: 0, height: 4 } };
  assert.throws(() => augmentBatch(device, [source], [empty], options), ArgumentError);
  assert.throws(() => drawAugmentation(randomOf(0, 0, 0), source, [], { scales: [0] }), ArgumentError);
  assert.throws(() => drawAugmentation(randomOf(0, 0, 0), source, [], { stretch: 0.5 }), ArgumentError);
  assert.throws(() => drawAugmentation(randomOf(0, 0, 0), source, [], { portraits: 1.5 }), ArgumentError);
  assert.equal(gpu.memory().bytes, before);
});

test.run();
