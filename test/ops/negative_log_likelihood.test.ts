import assert from 'node:assert/strict';
import { test } from 'uvu';
import { Tape } from '../../src/autograd/tape.js';
import { negativeLogLikelihood } from '../../src/ops/negative_log_likelihood.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { checkOp, assertClose, values } from '../helpers/check_op.js';
import { testDevice as device } from '../helpers/device.js';
import { readGolden } from '../helpers/golden.js';
import { array64, map, sizeOf, type Array64, type Reduction } from '../reference/array64.js';
import { negativeLogLikelihood as twin } from '../reference/negative_log_likelihood.js';

const EPS32 = 2 ** -24;

/** WGSL grants exp and log near 1 an absolute error of a few units of 2^-22, and a sum the root of its terms. */
const TOLERANCE = 16 * EPS32;

const labelsOf = (rows: number, classes: number) =>
  Array.from({ length: rows }, (_, i) => (i * 7 + (i >> 2)) % classes);

/** A twin of any number of axes, from that of a matrix. */
function twinOf(labels: readonly number[], options: { weights?: Array64; reduction?: Reduction }) {
  return (logits: Array64): Array64 => {
    const matrix = array64([labels.length, logits.shape.at(-1)!], logits.data);
    const result = twin(matrix, labels, options);
    return options.reduction === 'none' ? array64(logits.shape.slice(0, -1), result.data) : result;
  };
}

/** Weights of which every third is 0. */
const someWeights = (shape: readonly number[]) => map(values('weights', shape), (w, i) => (i % 3 === 1 ? 0 : 2 + w));

for (const shape of [[3, 17, 2], [37, 5], [4, 1], [3]]) {
  for (const reduction of ['none', 'sum', 'mean'] as const) {
    for (const weighted of [false, true]) {
      test(`logits ${shape.join('×')}, ${reduction}, ${weighted ? 'with' : 'without'} weights`, async () => {
        const rows = shape.slice(0, -1);
        const labels = labelsOf(sizeOf(rows), shape.at(-1)!);
        const weights = weighted ? someWeights(rows) : undefined;
        using labelTensor = Tensor.from(device, Uint32Array.from(labels), rows);
        using weightTensor = weights && Tensor.from(device, Float32Array.from(weights.data), rows);
        await checkOp({
          op: (logits) => negativeLogLikelihood(logits, labelTensor, { weights: weightTensor, reduction }),
          twin: twinOf(labels, { reduction, ...(weights && { weights: array64([labels.length], weights.data) }) }),
          inputs: [map(values('logits', shape), (value) => Math.fround(4 * value))],
          tolerance: TOLERANCE * (reduction === 'sum' ? 4 : 1),
        });
      });
    }
  }
}

test('a sum over more rows than one block adds up, and its gradient is right along a direction', async () => {
  const labels = labelsOf(2 * 4099, 2);
  using labelTensor = Tensor.from(device, Uint32Array.from(labels), [2, 4099]);
  await checkOp({
    op: (logits) => negativeLogLikelihood(logits, labelTensor, { reduction: 'sum' }),
    twin: twinOf(labels, { reduction: 'sum' }),
    inputs: [values('logits', [2, 4099, 2])],
    tolerance: TOLERANCE,
  });
});

test('large logits do not overflow', async () => {
  const logits = [1e4, -1e4, -1e4, 1e4, 3e38, 0, -30, 60, 5, 5];
  const labels = [0, 0, 0, 1, 1];
  using x = Tensor.from(device, logits, [5, 2]);
  using labelTensor = Tensor.from(device, Uint32Array.from(labels), [5]);
  using losses = negativeLogLikelihood(x, labelTensor, { reduction: 'none' });
  const expected = twin(array64([5, 2], logits), labels, { reduction: 'none' });
  assertClose(await losses.read(), expected, TOLERANCE, 'losses');
});

test('a small loss keeps its digits', async () => {
  const gaps = [0, 0.0625, 0.5, 1, 2, 3.5, 3.875, 3.9375, 4, 5, 8, 12, 16];
  using x = Tensor.from(
    device,
    gaps.flatMap((gap) => [0, gap]),
    [gaps.length, 2],
  );
  using labels = Tensor.from(device, new Uint32Array(gaps.length).fill(1), [gaps.length]);
  using losses = negativeLogLikelihood(x, labels, { reduction: 'none' });
  const got = await losses.read();
  gaps.forEach((gap, i) => {
    const loss = Math.log1p(Math.exp(-gap));
    // Relative: ln(1 + e^-16) is far under the rounding of 1. WGSL grants exp(−16) 35 units in the last place.
    assert.ok(Math.abs(got[i]! - loss) < 72 * EPS32 * loss, `${got[i]} instead of ${loss}`);
  });
});

test('a row of weight 0 counts for nothing, whatever its logits', async () => {
  using x = Tensor.from(device, [Number.NaN, 1, 2, 3], [2, 2]);
  using labels = Tensor.from(device, Uint32Array.of(0, 1), [2]);
  using weights = Tensor.from(device, [0, 3], [2]);
  using tape = new Tape(device);
  tape.watch(x);
  using loss = tape.record(() => negativeLogLikelihood(x, labels, { weights }));
  tape.backward(loss);
  assertClose(await loss.read(), array64([], [Math.log1p(Math.exp(-1))]), TOLERANCE, 'loss');
  const other = 1 / (1 + Math.exp(1));
  assertClose(await tape.gradient(x)!.read(), array64([4], [0, 0, other, -other]), TOLERANCE, 'gradient');
  using none = Tensor.from(device, [0, 0], [2]);
  using nothing = negativeLogLikelihood(x, labels, { weights: none });
  assert.deepEqual([...(await nothing.read())], [0]);
});

test('a label outside the classes has no loss and no gradient', async () => {
  using labels = Tensor.from(device, Uint32Array.of(2, 1, 0xffff_ffff), [3]);
  await checkOp({
    op: (logits) => negativeLogLikelihood(logits, labels, { reduction: 'sum' }),
    twin: (logits) => twin(array64([1, 2], logits.data.subarray(2, 4)), [1], { reduction: 'sum' }),
    inputs: [values('logits', [3, 2])],
    tolerance: TOLERANCE,
  });
});

for (const golden of readGolden('ops').cases('negative_log_likelihood')) {
  test(`${golden.name} is PyTorch's`, async () => {
    const { shape, data } = golden.tensor('logits');
    const labels = golden.integers('labels');
    const weights = golden.optional('weights');
    using x = Tensor.from(device, Float32Array.from(data), shape);
    using labelTensor = Tensor.from(device, Uint32Array.from(labels), [labels.length]);
    using weightTensor = weights && Tensor.from(device, Float32Array.from(weights.data), weights.shape);
    const { reduction } = golden.options as { reduction: Reduction };
    using loss = negativeLogLikelihood(x, labelTensor, { weights: weightTensor, reduction });
    const expected = golden.array('output');
    assert.deepEqual(loss.shape, expected.shape);
    assertClose(await loss.read(), expected, TOLERANCE, golden.name);
  });
}

test('shapes that do not fit are refused', () => {
  using x = Tensor.from(device, [1, 2, 3, 4], [2, 2]);
  using labels = Tensor.from(device, Uint32Array.of(0, 1, 1), [3]);
  using right = Tensor.from(device, Uint32Array.of(0, 1), [2]);
  using scalar = Tensor.from(device, [1], []);
  using scalarLabel = Tensor.from(device, Uint32Array.of(1), []);
  assert.throws(() => negativeLogLikelihood(x, labels), { name: 'ShapeError', expected: 'labels [2]' });
  assert.throws(() => negativeLogLikelihood(x, right, { weights: x }), { name: 'ShapeError' });
  assert.throws(() => negativeLogLikelihood(scalar, scalarLabel), { name: 'ShapeError' });
});

test.run();
