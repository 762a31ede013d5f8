import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import { Tape } from '../../src/autograd/tape.js';
import { anchorsFor } from '../../src/detect/anchors.js';
import { type FaceTargets, matchAnchors } from '../../src/detect/match.js';
import { Gpu } from '../../src/gpu/gpu.js';
import type { HeadOutputs } from '../../src/retinaface/heads.js';
import {
  type LossOptions,
  multiboxLoss,
  PUBLISHED_CASCADE_LOSS,
  PUBLISHED_LOSS,
  PUBLISHED_NEGATIVES_CASCADE_LOSS,
  PUBLISHED_NEGATIVES_LOSS,
  REPORT_CASCADE_LOSS,
  REPORT_LOSS,
  REPORT_STRICT_CASCADE_LOSS,
  REPORT_STRICT_LOSS,
} from '../../src/retinaface/loss.js';
import { scope } from '../../src/tensor/scope.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { readSafetensors } from '../../src/weights/safetensors.js';
import { assertClose, values } from '../helpers/check_op.js';
import { testDevice as device } from '../helpers/device.js';
import { faceTargets } from '../helpers/face_targets.js';
import { noSharedData, sharedData } from '../helpers/shared_data.js';
import { array64, map, type Array64 } from '../reference/array64.js';
import { numericGradient } from '../reference/gradient.js';
import type { Face } from '../reference/match.js';
import { multiboxGoals, multiboxLoss as twin, type Outputs } from '../reference/multibox_loss.js';
import { testUnless } from '../helpers/unless.js';

const gpu = Gpu.of(device);
const upload = ({ data, shape }: { readonly data: ArrayLike<number>; readonly shape: readonly number[] }) =>
  Tensor.from(device, Float32Array.from(data), shape);

/** The loss of outputs that live on the device, and its gradient to each of them, in the order class, box, landmarks. */
async function lossAndGradients(outputs: HeadOutputs, anchors: Tensor, targets: FaceTargets, options: LossOptions) {
  using tape = new Tape(device);
  const watched = [outputs.logits, outputs.boxes, outputs.landmarks].filter((tensor) => tensor !== undefined);
  for (const tensor of [...watched, anchors]) tape.watch(tensor);
  const { total, parts, counts } = tape.record(() => scope(() => multiboxLoss(outputs, anchors, targets, options)));
  tape.backward(total);
  const result = {
    total: (await total.read())[0]!,
    parts: [...(await parts.read())],
    counts: [...(await counts.read())],
    gradients: await Promise.all(watched.map((tensor) => tape.gradient(tensor)!.read())),
  };
  assert.equal(tape.gradient(anchors), undefined, 'no gradient reaches the anchors');
  for (const tensor of [total, parts, counts]) tensor.dispose();
  return result;
}

const EPS32 = 2 ** -24;

/** Losses are sums of a few hundred terms that are each off by a few units in the last place of the logits. */
const TOLERANCE = 64 * EPS32;

/** Central differences of the twin: the third derivative of a loss is at most 1, and weights are at most 2. */
const DIFFERENCES = 1e-7;

const LEVELS = [
  { stride: 12, sizes: [10, 16] },
  { stride: 20, sizes: [28] },
];
const ANCHORS = anchorsFor(LEVELS, 56, 40);
const COUNT = ANCHORS.length / 4;

const points = (...values: number[]) => values;
const IMAGES: readonly (readonly Face[])[] = [
  [
    { box: [3, 5, 14.5, 17], landmarks: points(6, 9, 11, 9.5, 8, 12, 6, 14, 11, 14.5) },
    { box: [20, 4, 41, 29] },
    { box: [22, 5, 42, 30], landmarks: points(27, 12, 36, 13, 31, 18, 28, 24, 35, 25) },
    { box: [50, 30, 50, 38], landmarks: points(50, 31, 50, 31, 50, 34, 50, 36, 50, 36) },
  ],
  [],
  [{ box: [30.5, 20, 38, 29] }, { box: [1, 1, 3, 3.5], landmarks: points(1, 2, 2, 2, 2, 3, 1, 3, 2, 3) }],
];

const outputsOf = (landmarks: boolean): Outputs => ({
  logits: map(values('logits', [3, COUNT, 2]), (value) => 2 * value),
  boxes: map(values('boxes', [3, COUNT, 4]), (value) => 2 * value),
  ...(landmarks && { landmarks: map(values('landmarks', [3, COUNT, 10]), (value) => 2 * value) }),
});

/** The anchors of each image: the same for all, or moved a little, as those of a cascade are. */
const anchorsOf = (own: boolean): Array64[] =>
  IMAGES.map((_, i) =>
    array64(
      [COUNT, 4],
      ANCHORS.map((value, k) => (own ? value + ((k * 5 + i * 3) % 7) / 4 : value)),
    ),
  );

const ORIGINAL: LossOptions = { ...REPORT_LOSS, lambda: { class: 1, box: 0.25, landmarks: 0.1 }, beta: 0.5 };

const CASES: readonly (readonly [string, LossOptions, boolean, boolean])[] = [
  ['the report, first heads', REPORT_LOSS, false, true],
  ['the report, second heads of a cascade', REPORT_CASCADE_LOSS, true, true],
  ['the report to the letter', REPORT_STRICT_LOSS, false, true],
  ['the report to the letter, second heads', REPORT_STRICT_CASCADE_LOSS, true, true],
  ['the report without landmarks', REPORT_LOSS, false, false],
  ["the original paper's λ and another β", ORIGINAL, false, true],
  ['the published code', PUBLISHED_LOSS, false, true],
  ['the published code, second heads of a cascade', PUBLISHED_CASCADE_LOSS, true, true],
  ['the published code and pictures without faces', PUBLISHED_NEGATIVES_LOSS, false, true],
  ['the same, second heads of a cascade', PUBLISHED_NEGATIVES_CASCADE_LOSS, true, true],
];

for (const [name, options, own, withLandmarks] of CASES) {
  test(`${name}: losses, counts and gradients are the twin's`, async () => {
    const before = gpu.memory().bytes;
    const outputs = outputsOf(withLandmarks);
    const anchors = anchorsOf(own);
    const goals = multiboxGoals(outputs, anchors, IMAGES, options);
    const expected = twin(outputs, goals, options);
    const inputs = [outputs.logits, outputs.boxes, ...(outputs.landmarks ? [outputs.landmarks] : [])];
    const tensors = inputs.map(upload);
    {
      using places = upload(
        own ? { data: anchors.flatMap(({ data }) => [...data]), shape: [3, COUNT, 4] } : anchors[0]!,
      );
      using targets = faceTargets(IMAGES);
      const heads = { logits: tensors[0]!, boxes: tensors[1]!, landmarks: tensors[2] };
      const got = await lossAndGradients(heads, places, targets, options);
      assert.deepEqual(got.counts, goals.counts.flat());
      assertClose(got.parts, array64([3], expected.parts), TOLERANCE, 'parts');
      assertClose([got.total], array64([], [expected.total]), TOLERANCE, 'total');
      const total = ([logits, boxes, landmarks]: readonly Array64[]) =>
        twin({ logits: logits!, boxes: boxes!, ...(landmarks && { landmarks }) }, goals, options).total;
      got.gradients.forEach((gradient, i) => {
        assertClose(gradient, numericGradient(total, inputs, i), TOLERANCE + DIFFERENCES, `gradient ${i}`);
      });
    }
    for (const tensor of tensors) tensor.dispose();
    assert.equal(gpu.memory().bytes, before, 'all memory is given back');
  });
}

for (const [name, options, negatives] of [
  ['the report', REPORT_LOSS, 30],
  ['the report to the letter', REPORT_STRICT_LOSS, 0],
  ['the published code', PUBLISHED_LOSS, 0],
  ['the published code with a minimum', { ...PUBLISHED_LOSS, minimumNegatives: 5 }, 5],
  ['the published code and pictures without faces', PUBLISHED_NEGATIVES_LOSS, Math.min(70, COUNT)],
] as const) {
  test(`a batch without faces teaches ${negatives} negatives an image by ${name}, and no boxes`, async () => {
    using logits = upload(outputsOf(false).logits);
    using boxes = upload(outputsOf(false).boxes);
    using anchors = Tensor.from(device, ANCHORS, [COUNT, 4]);
    using targets = faceTargets([[], [], []]);
    const got = await lossAndGradients({ logits, boxes, landmarks: undefined }, anchors, targets, options);
    assert.deepEqual(got.counts, [0, negatives, 0, 0, negatives, 0, 0, negatives, 0]);
    assert.deepEqual(got.parts.slice(1), [0, 0]);
    assertClose([got.total], array64([], [options.lambda.class * got.parts[0]!]), TOLERANCE, 'total');
    assert.equal(got.total > 0, negatives > 0);
    assert.ok(Number.isFinite(got.total));
    assert.ok(got.gradients[1]!.every((value) => value === 0));
    assert.equal(got.gradients[0]!.filter((value) => value !== 0).length, 3 * 2 * negatives);
  });
}

test('pictures without faces change nothing where there are none: it is the published loss', async () => {
  const faces: readonly Face[] = [{ box: [2, 3, 11, 14], landmarks: points(4, 6, 9, 6.5, 6, 9, 4, 11, 9, 11.5) }];
  const images = [faces, [{ box: [30, 20, 41, 31] }], faces];
  const outputs = outputsOf(true);
  using logits = upload(outputs.logits);
  using boxes = upload(outputs.boxes);
  using landmarks = upload(outputs.landmarks!);
  using anchors = Tensor.from(device, ANCHORS, [COUNT, 4]);
  using targets = faceTargets(images);
  const published = await lossAndGradients({ logits, boxes, landmarks }, anchors, targets, PUBLISHED_LOSS);
  const other = await lossAndGradients({ logits, boxes, landmarks }, anchors, targets, PUBLISHED_NEGATIVES_LOSS);
  for (let i = 0; i < 9; i += 3) assert.equal(published.counts[i + 1], 8 * published.counts[i]!);
  assert.deepEqual(other.counts, published.counts);
  assertClose([other.total], array64([], [published.total]), TOLERANCE, 'total');
  other.gradients.forEach((gradient, i) => {
    const expected = published.gradients[i]!;
    assertClose(gradient, array64([expected.length], [...expected]), TOLERANCE, `gradient ${i}`);
  });
});

test('the same batch gives the same bits', async () => {
  const outputs = outputsOf(true);
  using logits = upload(outputs.logits);
  using boxes = upload(outputs.boxes);
  using landmarks = upload(outputs.landmarks!);
  using anchors = Tensor.from(device, ANCHORS, [COUNT, 4]);
  using targets = faceTargets(IMAGES);
  const once = await lossAndGradients({ logits, boxes, landmarks }, anchors, targets, REPORT_LOSS);
  assert.deepEqual(await lossAndGradients({ logits, boxes, landmarks }, anchors, targets, REPORT_LOSS), once);
});

test('nothing is read back', () => {
  using logits = upload(outputsOf(false).logits);
  using boxes = upload(outputsOf(false).boxes);
  using anchors = Tensor.from(device, ANCHORS, [COUNT, 4]);
  using targets = faceTargets(IMAGES);
  const before = gpu.counters();
  const { total, parts, counts } = multiboxLoss({ logits, boxes, landmarks: undefined }, anchors, targets, REPORT_LOSS);
  const { reads, submissions } = gpu.counters();
  assert.deepEqual([reads, submissions], [before.reads, before.submissions]);
  for (const tensor of [total, parts, counts]) tensor.dispose();
});

test('what does not fit is refused before anything is allocated', () => {
  using logits = upload(outputsOf(false).logits);
  using boxes = upload(outputsOf(false).boxes);
  using anchors = Tensor.from(device, ANCHORS, [COUNT, 4]);
  using fewer = Tensor.from(device, ANCHORS.subarray(4), [COUNT - 1, 4]);
  using targets = faceTargets(IMAGES);
  using others = faceTargets(IMAGES.slice(1));
  const outputs = { logits, boxes, landmarks: undefined };
  const before = { ...gpu.memory(), ...gpu.counters() };
  assert.throws(() => multiboxLoss(outputs, fewer, targets, REPORT_LOSS), { name: 'ShapeError' });
  assert.throws(() => multiboxLoss(outputs, anchors, others, REPORT_LOSS), { name: 'ShapeError' });
  assert.throws(() => multiboxLoss({ ...outputs, landmarks: boxes }, anchors, targets, REPORT_LOSS), {
    name: 'ShapeError',
  });
  const lambda = { class: 1, box: -1, landmarks: 1 };
  assert.throws(() => multiboxLoss(outputs, anchors, targets, { ...REPORT_LOSS, lambda }), { name: 'ArgumentError' });
  for (const wrong of [{ beta: 0 }, { negativeRatio: -1 }, { minimumNegatives: 0.5 }, { positiveThreshold: 0.1 }]) {
    assert.throws(() => multiboxLoss(outputs, anchors, targets, { ...REPORT_LOSS, ...wrong }), {
      name: 'ArgumentError',
    });
  }
  assert.deepEqual({ ...gpu.memory(), ...gpu.counters() }, before);
});

testUnless(noSharedData)('matches, losses and gradients are those of the published code', async () => {
  const file = 'golden/multibox_loss_128';
  const { tensors } = readSafetensors(readFileSync(sharedData(`${file}.safetensors`)), file);
  const printed = JSON.parse(readFileSync(sharedData(`${file}.json`), 'utf8')) as Record<string, number> & {
    readonly npos_per_image: readonly number[];
    readonly npos_landm_per_image: readonly number[];
  };
  const golden = (name: string) => tensors.get(name)!;
  // Rows of x1 y1 x2 y2, five points, and 1 or, without landmarks, −1; all in parts of the picture, as the anchors are.
  const images = ['target0', 'target1'].map((name) => {
    const { shape, data } = golden(name);
    return Array.from({ length: shape[0]! }, (_, f): Face => {
      const row = [...data.subarray(f * 15, f * 15 + 15)];
      return { box: row.slice(0, 4), ...(row[14]! > 0 && { landmarks: row.slice(4, 14) }) };
    });
  });
  using targets = faceTargets(images, 6);
  using anchors = upload(golden('priors'));
  using logits = upload(golden('conf'));
  using boxes = upload(golden('loc'));
  using landmarks = upload(golden('landm'));

  const count = golden('priors').shape[0]!;
  const matches = matchAnchors(anchors, targets, PUBLISHED_LOSS);
  const [labels, faces, boxTargets, landmarkTargets] = await Promise.all([
    matches.labels.read(),
    matches.faces.read(),
    matches.boxes.read(),
    matches.landmarks!.read(),
  ]);
  for (const tensor of [matches.labels, matches.faces, matches.boxes, matches.landmarks!]) tensor.dispose();
  golden('conf_t').data.forEach((label, i) => {
    assert.equal(labels[i], Math.abs(label), `label of anchor ${i}`);
    if (label === 0) return;
    assert.equal(images[Math.floor(i / count)]![faces[i]!]!.landmarks !== undefined, label > 0, `face of anchor ${i}`);
    const row = (data: Float32Array, width: number) => data.subarray(i * width, (i + 1) * width);
    const expected = (name: string, width: number) => array64([width], row(golden(name).data, width));
    assertClose(row(boxTargets, 4), expected('loc_t', 4), 16 * EPS32, `box of anchor ${i}`);
    if (label > 0) assertClose(row(landmarkTargets, 10), expected('landm_t', 10), 16 * EPS32, `points of anchor ${i}`);
  });

  const got = await lossAndGradients({ logits, boxes, landmarks }, anchors, targets, PUBLISHED_LOSS);
  const [positives, withLandmarks] = [printed.npos_per_image, printed.npos_landm_per_image];
  assert.deepEqual(
    got.counts,
    positives.flatMap((n, i) => [n, 8 * n, withLandmarks[i]!]),
  );
  const parts = array64([3], [printed['loss_c']!, printed['loss_l']!, printed['loss_landm']!]);
  assertClose(got.parts, parts, 1e-6, 'parts');
  assertClose([got.total], array64([], [printed['total_2l_c_landm']!]), 1e-6, 'total');
  ['grad_conf', 'grad_loc', 'grad_landm'].forEach((name, k) => {
    const { data } = golden(name);
    const largest = data.reduce((maximum, value) => Math.max(maximum, Math.abs(value)), 0);
    data.forEach((value, i) => {
      const error = Math.abs(got.gradients[k]![i]! - value);
      assert.ok(error <= 16 * EPS32 * largest, `${name}[${i}]: ${got.gradients[k]![i]} instead of ${value}`);
    });
  });
});

test.run();
