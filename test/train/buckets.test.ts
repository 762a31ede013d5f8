import assert from 'node:assert/strict';
import { test } from 'uvu';
import { ShapeError } from '../../src/gpu/errors.js';
import { Gpu } from '../../src/gpu/gpu.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { BucketLayout, GradientBuckets } from '../../src/train/buckets.js';
import { testDevice } from '../helpers/device.js';

const gpu = Gpu.of(testDevice);

const parametersOf = (shapes: readonly (readonly number[])[]) =>
  shapes.map((shape, i) => ({ name: `p${i}`, value: Tensor.zeros(gpu, shape) }));

test('parameters lie in order at multiples of 64 elements, and a bucket that is full is followed by another', () => {
  const parameters = parametersOf([[3, 3, 2, 5], [1], [64], [130], [], [0], [7]]);
  const { places, lengths } = new BucketLayout(gpu, parameters, 256 * 4);
  assert.deepEqual(
    places.map(({ bucket, start, size }) => [bucket, start, size]),
    [
      [0, 0, 90],
      [0, 128, 1],
      [0, 192, 64],
      [1, 0, 130],
      [1, 192, 1],
      [2, 0, 0],
      [2, 64, 7],
    ],
  );
  assert.deepEqual(lengths, [256, 256, 128]);
  const whole = new BucketLayout(gpu, parameters);
  assert.deepEqual(whole.lengths, [640]);
  for (const { value } of parameters) value.dispose();
});

test('a parameter larger than a bucket has one of its own', () => {
  const parameters = parametersOf([[8], [1000], [8]]);
  assert.deepEqual(new BucketLayout(gpu, parameters, 1024).lengths, [64, 1024, 64]);
  for (const { value } of parameters) value.dispose();
});

test('the first gradient of a step replaces, later ones add, and a parameter without one is zero', async () => {
  const before = gpu.memory().bytes;
  const parameters = parametersOf([[5], [2, 3]]);
  const buckets = new GradientBuckets(gpu, parameters);
  const five = Tensor.from(gpu, [1, 2, 3, 4, 5], [5]);
  const six = Tensor.from(gpu, [-1, -2, -3, -4, -5, -6], [2, 3]);
  buckets.add(0, five);
  buckets.add(0, five, 0.5);
  buckets.add(1, six);
  assert.deepEqual(buckets.end(), [true, true]);
  const first = await buckets.tensors[0]!.read();
  assert.deepEqual([...first.slice(0, 6)], [1.5, 3, 4.5, 6, 7.5, 0]);
  assert.deepEqual([...first.slice(64, 71)], [-1, -2, -3, -4, -5, -6, 0]);

  buckets.add(0, five, 2);
  assert.deepEqual(buckets.end(), [true, false]);
  const second = await buckets.tensors[0]!.read();
  assert.deepEqual([...second.slice(0, 6)], [2, 4, 6, 8, 10, 0]);
  assert.ok(second.slice(64).every((value) => value === 0));

  assert.deepEqual(buckets.end(), [false, false]);
  assert.ok((await buckets.tensors[0]!.read()).every((value) => value === 0));
  for (const held of [buckets, five, six, ...parameters.map(({ value }) => value)]) held.dispose();
  assert.equal(gpu.memory().bytes, before);
});

test('what lies in memory behind a gradient stays out of the bucket, and a channel view counts as its own elements', async () => {
  const parameters = parametersOf([[5], [2, 2]]);
  const wide = Tensor.from(gpu, new Float32Array(64).fill(NaN).fill(1, 0, 5), [64]);
  const gradient = Tensor.zeros(gpu, [5]);
  gpu.copy(wide.buffer, gradient.buffer, gradient.buffer.bytes);
  const rows = Tensor.from(gpu, [1, 2, 3, 4, 5, 6], [2, 3]);
  const view = rows.channels(1, 2);
  using buckets = new GradientBuckets(gpu, parameters);
  buckets.add(0, gradient, 3);
  buckets.add(1, view);
  buckets.end();
  const [bucket] = buckets.tensors;
  const all = await bucket!.read();
  assert.deepEqual([...all.slice(0, 9)], [3, 3, 3, 3, 3, 0, 0, 0, 0]);
  assert.deepEqual([...all.slice(64, 69)], [2, 3, 5, 6, 0]);
  for (const tensor of [wide, gradient, rows, view, ...parameters.map(({ value }) => value)]) tensor.dispose();
});

test('what a step that failed wrote into a place is zero after the next one', async () => {
  const parameters = parametersOf([[4], [5]]);
  using buckets = new GradientBuckets(gpu, parameters);
  using gradient = Tensor.from(gpu, [1, 2, 3, 4], [4]);
  const place = buckets.places().get(parameters[0]!.value.id)!;
  gpu.copy(gradient.buffer, place.buffer, 16);
  using other = Tensor.from(gpu, [1, 2, 3, 4, 5], [5]);
  buckets.add(1, other);
  assert.deepEqual([...buckets.places().keys()], [parameters[0]!.value.id]);
  assert.deepEqual(buckets.end(), [false, true]);
  assert.ok((await buckets.tensors[0]!.read()).subarray(0, 64).every((value) => value === 0));
  for (const { value } of parameters) value.dispose();
});

test('a gradient of another shape is refused by the name of its parameter', () => {
  const parameters = parametersOf([[5]]);
  using buckets = new GradientBuckets(gpu, parameters);
  using gradient = Tensor.zeros(gpu, [5, 1]);
  assert.throws(() => {
    buckets.add(0, gradient);
  }, ShapeError);
  parameters[0]!.value.dispose();
});

test.run();
