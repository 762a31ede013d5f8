import assert from 'node:assert/strict';
import { test } from 'uvu';
import { type FaceTargets, matchAnchors, type MatchOptions } from '../../src/detect/match.js';
import { Gpu } from '../../src/gpu/gpu.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { assertClose } from '../helpers/check_op.js';
import { testDevice as device } from '../helpers/device.js';
import { faceTargets } from '../helpers/face_targets.js';
import { array64, type Array64 } from '../reference/array64.js';
import { type Face, matchAnchors as twin } from '../reference/match.js';

const gpu = Gpu.of(device);

const REPORT: MatchOptions = {
  positiveThreshold: 0.7,
  negativeThreshold: 0.3,
  forceBestAnchor: true,
  variances: [1, 1],
};
const PUBLISHED: MatchOptions = {
  positiveThreshold: 0.35,
  negativeThreshold: 0.35,
  forceBestAnchor: 0.2,
  variances: [0.1, 0.2],
};

/** Codes: a few operations of half a unit in the last place; WGSL grants a quotient 2.5 units and a logarithm 2^-21. */
const TOLERANCE = 2 ** -20;

/** What the device answers, as lists; the device's memory is free again. */
async function matchOf(
  anchors: readonly number[],
  images: readonly (readonly Face[])[],
  options: MatchOptions,
  { own = false, landmarks = true, padding = 1 } = {},
) {
  const count = anchors.length / 4 / (own ? images.length : 1);
  using places = Tensor.from(device, anchors, own ? [images.length, count, 4] : [count, 4]);
  using targets = faceTargets(images, padding + Math.max(...images.map(({ length }) => length)));
  const matches = matchAnchors(places, targets, options, { landmarks });
  const tensors = [matches.labels, matches.faces, matches.boxes, matches.landmarks].filter((t) => t !== undefined);
  const [labels, faces, boxes, points] = await Promise.all(tensors.map((tensor) => tensor.read()));
  for (const tensor of tensors) tensor.dispose();
  return { labels: [...labels!], faces: [...faces!], boxes: [...boxes!], landmarks: points && [...points] };
}

/** Anchors and faces whose corners are quarters of a pixel, so that areas are exact in float32 and equal IoUs tie. */
function scene(seed: number, anchors: number, faces: number): { anchors: number[]; faces: Face[] } {
  let state = seed;
  const next = (range: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 16) % range;
  };
  return {
    anchors: Array.from({ length: anchors }, () => {
      const edge = 8 + 4 * next(8);
      return [next(96), next(64), edge, edge];
    }).flat(),
    faces: Array.from({ length: faces }, (_, f) => {
      const [x, y] = [next(320) / 4, next(200) / 4];
      const box = [x, y, x + 1 + next(120) / 4, y + 1 + next(120) / 4];
      return f % 3 === 1 ? { box } : { box, landmarks: Array.from({ length: 10 }, () => next(400) / 4) };
    }),
  };
}

async function assertTwin(
  anchors: readonly number[],
  images: readonly (readonly Face[])[],
  options: MatchOptions,
  own = false,
): Promise<void> {
  // With own anchors also without padding: the last row is a face.
  const got = await matchOf(anchors, images, options, { own, padding: own ? 0 : 2 });
  const count = got.labels.length / images.length;
  images.forEach((faces, i) => {
    const list: Array64 = array64([count, 4], own ? anchors.slice(i * count * 4, (i + 1) * count * 4) : anchors);
    const want = twin(list, faces, options);
    const part = (values: readonly number[], width: number) => values.slice(i * count * width, (i + 1) * count * width);
    assert.deepEqual(part(got.labels, 1), want.labels, `labels of image ${i}`);
    assert.deepEqual(part(got.faces, 1), want.faces, `faces of image ${i}`);
    assertClose(part(got.boxes, 4), want.boxes, TOLERANCE, `boxes of image ${i}`);
    // Points of faces without landmarks are read by nobody.
    const points = part(got.landmarks!, 10).map((value, k) => {
      const anchor = Math.floor(k / 10);
      const known = want.labels[anchor] === 1 && faces[want.faces[anchor]!]!.landmarks !== undefined;
      assert.ok(Number.isFinite(value));
      return known || want.labels[anchor] !== 1 ? value : 0;
    });
    assertClose(points, want.landmarks, TOLERANCE, `points of image ${i}`);
  });
}

for (const [name, options] of [
  ['the report', REPORT],
  ['the report, second heads', { ...REPORT, positiveThreshold: 0.5, negativeThreshold: 0.4 }],
  ['thresholds alone', { ...REPORT, forceBestAnchor: false }],
  ['the published code', PUBLISHED],
  ['small faces ignored', { ...PUBLISHED, ignoreBelow: 14 }],
] as const) {
  test(`${name}: 1,000 anchors and three images with 23, 0 and 1 faces match as in the twin`, async () => {
    const { anchors, faces } = scene(7, 1000, 23);
    await assertTwin(anchors, [faces, [], faces.slice(3, 4)], options);
  });

  test(`${name}: each image's own anchors match as in the twin`, async () => {
    const scenes = [scene(1, 77, 5), scene(2, 77, 2), scene(3, 77, 9)];
    await assertTwin(
      scenes.flatMap(({ anchors }) => anchors),
      scenes.map(({ faces }) => faces),
      options,
      true,
    );
  });
}

/** Three anchors of 16 pixels, side by side. */
const ROW = [8, 8, 16, 16, 24, 8, 16, 16, 40, 8, 16, 16];

test('an IoU of exactly a threshold is positive, or no longer negative', async () => {
  const half: Face = { box: [0, 0, 16, 8] };
  const quarter: Face = { box: [40, 0, 48, 8] };
  const options = { ...REPORT, positiveThreshold: 0.5, negativeThreshold: 0.25, forceBestAnchor: false };
  assert.deepEqual((await matchOf(ROW, [[half, quarter]], options)).labels, [1, 0, 2]);
  const over = { ...options, positiveThreshold: 0.5 + 2 ** -20, negativeThreshold: 0.25 + 2 ** -20 };
  assert.deepEqual((await matchOf(ROW, [[half, quarter]], over)).labels, [2, 0, 0]);
});

test('a face below the bound takes no anchor, and anchors that cover half of it are no negatives', async () => {
  // Its longer edge is 6; half of it lies in the first anchor, half in the second.
  const small: Face = { box: [13, 5, 19, 8] };
  const options = { ...PUBLISHED, forceBestAnchor: true, ignoreBelow: 6.5 };
  assert.deepEqual((await matchOf(ROW, [[small]], options)).labels, [2, 2, 0]);
  assert.deepEqual((await matchOf(ROW, [[small]], { ...options, ignoreBelow: 6 })).labels, [1, 0, 0]);
  const aside: Face = { box: [13.5, 5, 19.5, 8] };
  assert.deepEqual((await matchOf(ROW, [[aside]], options)).labels, [0, 2, 0]);
  // Anchors of more than four times the bound look at more than that face.
  const wide = [16, 8, 26, 26, 16, 8, 26.25, 26.25];
  assert.deepEqual((await matchOf(wide, [[small]], options)).labels, [2, 0]);
  // A face that is taught keeps its anchor, whatever else lies there.
  const face: Face = { box: [0, 0, 16, 16] };
  const both = await matchOf(ROW, [[small, face]], options);
  assert.deepEqual([both.labels, both.faces[0]], [[1, 2, 0], 1]);
});

test('an anchor takes the face of its greatest IoU, and of equal ones the first', async () => {
  const [small, large]: Face[] = [{ box: [0, 0, 16, 12] }, { box: [0, 0, 16, 14] }];
  const options = { ...REPORT, forceBestAnchor: false };
  assert.deepEqual((await matchOf(ROW, [[small!, large!]], options)).faces.slice(0, 1), [1]);
  assert.deepEqual((await matchOf(ROW, [[large!, small!]], options)).faces.slice(0, 1), [0]);
  assert.deepEqual((await matchOf(ROW, [[small!, large!, large!]], options)).faces.slice(0, 1), [1]);
});

test('a face takes the first of several equally good anchors, near or far in the list', async () => {
  const face: Face = { box: [4, 4, 12, 12] };
  for (const count of [3, 300, 1000]) {
    for (const first of [0, 1, count - 1]) {
      // All further along than `first` are copies of it; those before lie elsewhere.
      const anchors = Array.from({ length: count }, (_, a) => (a < first ? [80, 80, 16, 16] : [8, 8, 16, 16])).flat();
      const { labels } = await matchOf(anchors, [[face]], REPORT);
      assert.equal(labels.indexOf(1), first, `${count} anchors`);
      assert.equal(labels.lastIndexOf(1), first, `${count} anchors`);
    }
  }
});

test('of two faces with one best anchor the later takes it, and the earlier spoils nothing', async () => {
  const [a, b]: Face[] = [{ box: [2, 2, 10, 10] }, { box: [4, 4, 14, 14] }];
  for (const faces of [
    [a!, b!],
    [b!, a!],
  ]) {
    const { labels, faces: matched, boxes } = await matchOf(ROW, [faces], REPORT);
    assert.deepEqual(labels, [1, 0, 0]);
    assert.equal(matched[0], 1);
    const [x1, y1, x2, y2] = faces[1]!.box as [number, number, number, number];
    const code = [(x1 + x2) / 2 - 8, (y1 + y2) / 2 - 8].map((d) => d / 16);
    const expected = [...code, Math.log((x2 - x1) / 16), Math.log((y2 - y1) / 16)];
    assertClose(boxes.slice(0, 4), array64([4], expected), TOLERANCE, 'box');
  }
});

test('a face under the least IoU for force leaves the anchors to the others', async () => {
  // The second face's best anchor is the first one too, at 16/256; the published code gave it to that face all the same.
  const faces: Face[] = [{ box: [0, 0, 16, 12] }, { box: [2, 2, 6, 6] }];
  const matched = await matchOf(ROW, [faces], PUBLISHED);
  assert.deepEqual([matched.labels, matched.faces[0]], [[1, 0, 0], 0]);
  const forced = await matchOf(ROW, [faces], { ...PUBLISHED, forceBestAnchor: 0.0625 });
  assert.deepEqual([forced.labels, forced.faces[0]], [[1, 0, 0], 1]);
});

test('a forced face takes an anchor from one that fits it better', async () => {
  const faces: Face[] = [{ box: [0, 0, 16, 16] }, { box: [0, 0, 8, 8] }];
  const { labels, faces: matched } = await matchOf(ROW, [faces], REPORT);
  assert.deepEqual([labels, matched[0]], [[1, 0, 0], 1]);
});

test('faces that touch no anchor, and boxes without area, match nothing and give no number that is not finite', async () => {
  const boxes = [
    [200, 200, 220, 220],
    [8, 8, 8, 16],
    [8, 8, 16, 8],
    [4, 4, 4, 4],
    [12, 12, 4, 4],
    [16, 0, 16, 16],
  ];
  for (const options of [REPORT, PUBLISHED, { ...PUBLISHED, forceBestAnchor: 0 }]) {
    const { labels, boxes: codes, landmarks } = await matchOf(ROW, [boxes.map((box) => ({ box }))], options);
    assert.deepEqual(labels, [0, 0, 0]);
    assert.ok([...codes, ...landmarks!].every((value) => value === 0));
  }
});

test('anchors without area match nothing, even where they are all there is', async () => {
  const flat = [8, 8, 0, 16, 8, 8, 16, 0, 8, 8, -4, -4, 0, 8, 1e-9, 16];
  const { labels, boxes } = await matchOf(flat, [[{ box: [0, 0, 16, 16] }]], REPORT);
  assert.deepEqual(labels, [0, 0, 0, 0]);
  assert.ok(boxes.every((value) => value === 0));
});

test('a face of next to no width matches nothing', async () => {
  const { labels } = await matchOf(ROW, [[{ box: [0, 0, 1e-9, 16] }]], REPORT);
  assert.deepEqual(labels, [0, 0, 0]);
});

test('the targets of landmarks are left out where nobody asks for them', async () => {
  const { anchors, faces } = scene(5, 100, 4);
  const whole = await matchOf(anchors, [faces], REPORT);
  const part = await matchOf(anchors, [faces], REPORT, { landmarks: false });
  assert.deepEqual(part, { ...whole, landmarks: undefined });
});

test('memory is back where it was', async () => {
  const before = gpu.memory().bytes;
  await matchOf(ROW, [[{ box: [0, 0, 16, 16] }]], REPORT);
  assert.equal(gpu.memory().bytes, before);
});

test('what does not fit is refused before anything is allocated', () => {
  using anchors = Tensor.from(device, ROW, [3, 4]);
  using perImage = Tensor.from(device, [...ROW, ...ROW], [2, 3, 4]);
  using targets = faceTargets([[{ box: [0, 0, 16, 16] }]]);
  using none = Tensor.from(device, [], [1, 0, 4]);
  const { boxes, landmarks, annotated, counts } = targets;
  const before = { ...gpu.memory(), ...gpu.counters() };
  const refuses = (places: Tensor, change: Partial<FaceTargets>, options: Partial<MatchOptions>, name: string) => {
    const given = { boxes, landmarks, annotated, counts, ...change };
    assert.throws(() => matchAnchors(places, given, { ...REPORT, ...options }), { name });
  };
  refuses(perImage, {}, {}, 'ShapeError');
  refuses(annotated, {}, {}, 'ShapeError');
  refuses(anchors, { boxes: landmarks }, {}, 'ShapeError');
  refuses(anchors, { landmarks: boxes }, {}, 'ShapeError');
  refuses(anchors, { annotated: boxes }, {}, 'ShapeError');
  refuses(anchors, { boxes: none }, {}, 'ShapeError');
  refuses(anchors, {}, { negativeThreshold: 0 }, 'ArgumentError');
  refuses(anchors, {}, { negativeThreshold: 0.8 }, 'ArgumentError');
  refuses(anchors, {}, { positiveThreshold: 1.5 }, 'ArgumentError');
  refuses(anchors, {}, { positiveThreshold: Number.NaN }, 'ArgumentError');
  refuses(anchors, {}, { forceBestAnchor: 2 }, 'ArgumentError');
  refuses(anchors, {}, { variances: [0, 1] }, 'ArgumentError');
  refuses(anchors, {}, { ignoreBelow: -1 }, 'ArgumentError');
  refuses(anchors, {}, { ignoreBelow: Number.NaN }, 'ArgumentError');
  assert.deepEqual({ ...gpu.memory(), ...gpu.counters() }, before);
});

test.run();
