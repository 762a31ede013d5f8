// What is stored in f16 and summed in f32: every operation of a search beside its float64 twin, and whole searches beside
// those of f32.
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import { Tape } from '../../src/autograd/tape.js';
import { anchorCount } from '../../src/detect/anchors.js';
import { AdapterError, ArgumentError } from '../../src/gpu/errors.js';
import { Gpu } from '../../src/gpu/gpu.js';
import type { Face } from '../../src/image/face.js';
import { ConvBn } from '../../src/nn/conv_bn.js';
import { ParameterList } from '../../src/nn/parameter.js';
import { requestDevice } from '../../src/node/device.js';
import { RetinaFace } from '../../src/node/retinaface.js';
import { add } from '../../src/ops/add.js';
import { cast } from '../../src/ops/cast.js';
import { concat } from '../../src/ops/concat.js';
import type { Skeleton } from '../../src/ops/conv/choice.js';
import type { WindowOptions } from '../../src/ops/conv/geometry.js';
import { conv2d, conv2dWith } from '../../src/ops/conv2d.js';
import { maxPool2d } from '../../src/ops/max_pool2d.js';
import { prepareImages, prepareImagesInto } from '../../src/ops/prepare_images.js';
import { leakyRelu } from '../../src/ops/relu.js';
import { slice } from '../../src/ops/slice.js';
import { sum } from '../../src/ops/sum.js';
import { unpool } from '../../src/ops/unpool.js';
import { scope } from '../../src/tensor/scope.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { Trainer } from '../../src/train/trainer.js';
import { tune } from '../../src/tune/tune.js';
import { halfToNumber } from '../../src/weights/elements.js';
import { values } from '../helpers/check_op.js';
import { testDevice } from '../helpers/device.js';
import { drawnPicture } from '../helpers/drawn_picture.js';
import { testUnless } from '../helpers/unless.js';
import { add as addTwin } from '../reference/add.js';
import { array64, type Array64, map } from '../reference/array64.js';
import { concat as concatTwin } from '../reference/concat.js';
import { conv2d as convTwin } from '../reference/conv2d.js';
import { leakyRelu as leakyReluTwin } from '../reference/leaky_relu.js';
import { maxPool2d as maxPoolTwin } from '../reference/max_pool2d.js';
import { unpool as unpoolTwin } from '../reference/unpool.js';

const gpu = Gpu.of(testDevice);
const noHalf = gpu.device.features.has('shader-f16') ? undefined : 'the device has no shader-f16';
const testHalf = testUnless(noHalf);

/** What storing a number may change it by, of its size: WGSL leaves open to which neighbour it is rounded. */
const ROUNDED = 2 ** -10;
/** The smallest number of full digits; below, one is off by less than ROUNDED times this. */
const SMALLEST = 2 ** -14;
const EPS32 = 2 ** -23;

/** Numbers of [-1, 1) that f16 holds: what is computed of them is off by its own rounding alone. */
const exact = (name: string, shape: readonly number[]): Array64 =>
  map(values(name, shape), (value) => Math.floor(value * 256) / 256);

const upload = (array: Array64): Tensor<'f32'> => Tensor.from(testDevice, Float32Array.from(array.data), array.shape);

function half(array: Array64): Tensor<'f16'> {
  using wide = upload(array);
  return cast(wide, 'f16');
}

/** Each number but for its rounding to f16, and `error`, of what it was computed from. */
async function assertRounded(tensor: Tensor, expected: Array64, error: number, what: string): Promise<void> {
  assert.equal(tensor.dtype, 'f16', what);
  assert.deepEqual(tensor.shape, expected.shape, what);
  const got = (await tensor.read()) as Float32Array;
  for (const [i, value] of expected.data.entries()) {
    const tolerance = ROUNDED * Math.max(SMALLEST, Math.abs(value)) + error;
    if (!(Math.abs(got[i]! - value) <= tolerance)) assert.fail(`${what}[${i}] is ${got[i]!}, not ${value}`);
  }
}

testHalf('cast keeps what f16 holds, and takes one of its neighbours for anything else', async () => {
  const patterns = Array.from({ length: 2 ** 16 }, (_, bits) => halfToNumber(bits));
  const held = patterns.filter((value) => Number.isFinite(value) && Math.abs(value) >= SMALLEST);
  using x = Tensor.from(testDevice, [0, ...held], [held.length + 1]);
  using y = cast(x, 'f16');
  assert.deepEqual([...(await y.read())], [0, ...held]);
  await assertRounded(half(values('any', [99])), values('any', [99]), 0, 'rounded');
  // Written like any tensor.
  y.write(new Float32Array(held.length + 1).fill(0.5));
  using wide = cast(y, 'f32');
  assert.deepEqual(new Set(await wide.read()), new Set([0.5]));
  assert.equal(y.buffer.bytes, Math.ceil((2 * y.size) / 16) * 16);
});

interface Case {
  readonly x: readonly number[];
  readonly weight: readonly number[];
  readonly window: WindowOptions;
  readonly ways: readonly Skeleton[];
}

const shuffles: readonly Skeleton[] = gpu.subgroupSize === undefined ? [] : ['broadcast', 'winograd-broadcast'];
const CASES: Readonly<Record<string, Case>> = {
  '3×3, 12 to 64 channels': {
    x: [1, 7, 5, 12],
    weight: [3, 3, 12, 64],
    window: { padding: 1 },
    ways: ['plain', 'tiled', 'any', ...shuffles],
  },
  '3×3 stride 2, a picture of 4 channels': {
    x: [2, 9, 6, 4],
    weight: [3, 3, 4, 8],
    window: { stride: 2, padding: 1 },
    ways: shuffles.slice(0, 1),
  },
  'depthwise, 12 channels': {
    x: [2, 7, 5, 12],
    weight: [3, 3, 1, 12],
    window: { groups: 12, padding: 1 },
    ways: ['plain'],
  },
};

for (const [name, { x, weight, window, ways }] of Object.entries(CASES)) {
  testHalf(`convolutions of f16 are those of the twin, rounded once: ${name}`, async () => {
    const [input, filter] = [exact('x', x), exact('weight', weight)];
    const cout = weight[3]!;
    const [scale, shift] = [exact('scale', [cout]), exact('shift', [cout])];
    const sums = convTwin(input, filter, window);
    const residual = exact('residual', sums.shape);
    const expected = array64(
      sums.shape,
      sums.data.map((value, i) => {
        const v = value * scale.data[i % cout]! + shift.data[i % cout]! + residual.data[i]!;
        return v > 0 ? v : 0.1 * v;
      }),
    );
    using tx = half(input);
    using tw = half(filter);
    using tr = half(residual);
    using ts = upload(scale);
    using tb = upload(shift);
    for (const way of ways) {
      using y = conv2dWith(way, tx, tw, { ...window, scale: ts, shift: tb, residual: tr, slope: 0.1 });
      const terms = weight[0]! * weight[1]! * weight[2]!;
      await assertRounded(y, expected, 4 * EPS32 * (terms + 4), way);
    }
  });
}

testHalf('sums are f32: what f16 would lose one by one arrives, whole where the result is f32', async () => {
  const count = 512;
  const one = array64(
    [1, 1, 1, count],
    Float64Array.from({ length: count }, (_, i) => (i === 0 ? 2048 : 0.5)),
  );
  using x = half(one);
  using weight = half(array64([1, 1, count, 4], new Float64Array(4 * count).fill(1)));
  const exactSum = 2048 + (count - 1) / 2;
  using rounded = conv2d(x, weight);
  await assertRounded(rounded, array64([1, 1, 1, 4], new Float64Array(4).fill(exactSum)), 0, 'f16');
  using into = Tensor.empty(gpu, [1, 1, 1, 4]);
  conv2d(x, weight, { into }).dispose();
  assert.deepEqual([...(await into.read())], new Array(4).fill(exactSum));
});

testHalf('what moves, compares, adds and prepares numbers takes f16', async () => {
  const [a, b] = [exact('a', [1, 5, 6, 8]), exact('b', [1, 5, 6, 8])];
  const thin = exact('thin', [1, 5, 6, 3]);
  using ta = half(a);
  using tb = half(b);
  using narrow = half(thin);
  const windows = { kernel: 3, stride: 2, padding: 1 };
  using pooled = maxPool2d(ta, windows);
  await assertRounded(pooled, maxPoolTwin(a, windows), 0, 'maxPool2d');
  using poolsOfThree = maxPool2d(narrow, windows);
  await assertRounded(poolsOfThree, maxPoolTwin(thin, windows), 0, 'maxPool2d, 3 channels');
  using larger = unpool(ta, { size: [9, 7] });
  await assertRounded(larger, unpoolTwin(a, { size: [9, 7] }), 0, 'unpool');
  using both = add(ta, tb);
  await assertRounded(both, addTwin(a, b), 0, 'add');
  using leaky = leakyRelu(ta, 0.1);
  await assertRounded(leaky, leakyReluTwin(a, 0.1), EPS32, 'leakyRelu');
  using joined = concat([ta, tb], 3);
  await assertRounded(joined, concatTwin([a, b], 3), 0, 'concat');
  using cut = slice(joined, { axis: 3, start: 7, count: 3 });
  const middle = concatTwin([a, b], 3);
  const expected = array64([1, 5, 6, 3], middle.data.filter((_, i) => i % 16 >= 7 && i % 16 < 10)); // prettier-ignore
  await assertRounded(cut, expected, 0, 'slice');
  const picture = drawnPicture(40, 24);
  const options = {
    ...{ width: 32, height: 32, placements: [{ scale: 0.8, width: 32, height: 19 }], order: 'bgr' as const },
    ...{ mean: [104, 117, 123] as const, std: [1, 1, 1] as const },
  };
  using wide = prepareImages(gpu, [picture], options);
  using prepared = Tensor.empty(gpu, wide.shape, { dtype: 'f16' });
  prepareImagesInto(prepared, [picture], options);
  await assertRounded(prepared, array64(wide.shape, await wide.read()), 0, 'prepareImages');
});

testHalf('a deformable ConvBn among layers of f16 computes in f32', async () => {
  const layers = (['f32', 'f16'] as const).map((precision) => {
    const parameters = new ParameterList(gpu, precision);
    const names = { conv: 'layer.0', norm: 'layer.1', offset: 'layer.offset' };
    const layer = new ConvBn(parameters, { ...names, in: 4, out: 8, kernel: 3 });
    for (const { name, shape, tensor } of parameters) {
      const draw = values(name, tensor.shape).data;
      tensor.write(Float32Array.from(draw, (value) => (shape.length === 1 ? 2 + value : value)));
    }
    layer.fold();
    return layer;
  });
  const input = exact('x', [1, 6, 5, 4]);
  using wide = upload(input);
  using narrow = half(input);
  using expected = layers[0]!.forward(wide, { slope: 0 });
  using y = layers[1]!.forward(narrow, { slope: 0 });
  await assertRounded(y, array64(expected.shape, await expected.read()), 0, 'deformable');
});

testHalf('what computes in f32 alone refuses f16, and so does a tape', () => {
  using x = half(exact('x', [1, 2, 2, 4]));
  using wide = upload(exact('x', [1, 2, 2, 4]));
  using weight = upload(exact('weight', [1, 1, 4, 4]));
  using halved = cast(weight, 'f16');
  const says = (words: RegExp) => (error: unknown) => error instanceof ArgumentError && words.test(error.message);
  assert.throws(() => sum(x), says(/sum: expected x to be a tensor of f32, got one of f16/));
  assert.throws(() => add(x, wide), says(/add: expected b to be a tensor of f16, got one of f32/));
  assert.throws(() => conv2d(x, weight), says(/conv2d: expected weight to be a tensor of f16, got one of f32/));
  assert.throws(() => conv2d(wide, halved), says(/conv2d: expected weight to be a tensor of f32, got one of f16/));
  assert.throws(
    () => conv2d(x, halved, { bias: cast(upload(exact('bias', [4])), 'f16') }),
    says(/conv2d: expected bias to be a tensor of f32/),
  );
  using tape = new Tape(gpu);
  assert.throws(() => tape.watch(x), says(/Tape\.watch: expected tensor to be a tensor of f32/));
});

test('a device without f16 says what it lacks', async () => {
  const bare = await requestDevice({ defaultLimits: true });
  const lacks = (error: unknown) =>
    error instanceof AdapterError && /shader-f16.*requestDevice\(\)/.test(error.message);
  assert.throws(() => new RetinaFace(bare, undefined, { precision: 'f16' }), lacks);
  assert.throws(() => Tensor.empty(bare, [4], { dtype: 'f16' }), lacks);
  const unknown = { precision: 'half' as 'f16' };
  assert.throws(() => new RetinaFace(bare, undefined, unknown), /compute in half: expected f32, or f16/);
  bare.destroy();
});

function coordinates({ box: { x1, y1, x2, y2 }, landmarks }: Face): number[] {
  const { leftEye, rightEye, nose, leftMouth, rightMouth } = landmarks!;
  const points = [leftEye, rightEye, nose, leftMouth, rightMouth];
  return [x1, y1, x2, y2, ...points.flatMap(({ x, y }) => [x, y])];
}

/** Bytes that a pass takes. */
function bytesOf({ network }: RetinaFace): number {
  const { peakBytes } = gpu.rehearse(() => {
    using x = Tensor.empty(gpu, [1, 320, 320, 4], { dtype: network.parameters.precision });
    using anchors = Tensor.empty(gpu, [anchorCount(network.configuration.levels, 320, 320), 4]);
    scope(() => network.infer(x, anchors));
  });
  return peakBytes;
}

const picture = fileURLToPath(new URL('../../fixtures/pictures/found.jpg', import.meta.url));

testHalf(
  'a model of f16 finds the faces of f32, to 2 pixels and 0.02, in two thirds of the memory, replayed, too',
  async () => {
    const options = { scoreThreshold: 0.5 };
    using wide = new RetinaFace(testDevice);
    await wide.load();
    const expected = await wide.detect(picture, options);
    assert.ok(expected.length >= 5, 'there are faces');
    using model = new RetinaFace(testDevice, undefined, { precision: 'f16' });
    await model.load();
    const faces = await model.detect(picture, options);
    assert.ok(bytesOf(model) < 0.7 * bytesOf(wide), 'memory of a pass');
    assert.equal(faces.length, expected.length);
    for (const [i, face] of faces.entries()) {
      assert.ok(Math.abs(face.score - expected[i]!.score) <= 0.02, `score ${i}`);
      const places = coordinates(expected[i]!);
      assert.ok(
        coordinates(face).every((value, k) => Math.abs(value - places[k]!) <= 2),
        `places of ${i}`,
      );
    }
    // Recorded, then replayed.
    assert.deepEqual(await model.detect(picture, options), faces);
    assert.deepEqual(await model.detect(picture, options), faces);
    assert.deepEqual(await wide.detect(picture, options), expected);
    assert.throws(() => new Trainer(model.network), /new Trainer: expected a network of f32/);
    // Its weights can be read: those of f32, rounded.
    const [stored, loaded] = [await model.state(), await wide.state()];
    for (const [name, { data }] of stored) {
      const given = loaded.get(name)!.data;
      for (const [i, value] of data.entries())
        if (Math.abs(value - given[i]!) > ROUNDED * Math.max(SMALLEST, Math.abs(given[i]!))) assert.fail(name);
    }
  },
);

testHalf('ways are chosen for f16 by names of their own', async () => {
  using x = half(exact('x', [1, 8, 8, 16]));
  using weight = half(exact('weight', [1, 1, 16, 64]));
  const compute = (): void => {
    conv2d(x, weight).dispose();
  };
  const { computations, choices } = await tune(gpu, compute);
  assert.deepEqual(
    computations.map(({ key, wrong }) => [key, wrong]),
    [['conv2d forward 1×1 /1×1 *1×1 16→64 2^6 f16', []]],
  );
  assert.ok([...choices.keys()].every((key) => key.endsWith(' f16')));
});

test.run();
