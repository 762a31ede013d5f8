import assert from 'node:assert/strict';
import { test } from 'uvu';
import { Tape } from '../../src/autograd/tape.js';
import { smoothL1 } from '../../src/ops/smooth_l1.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { assertClose, checkOp, values } from '../helpers/check_op.js';
import { testDevice as device } from '../helpers/device.js';
import { readGolden } from '../helpers/golden.js';
import { map, type Reduction } from '../reference/array64.js';
import { smoothL1 as twin } from '../reference/smooth_l1.js';

const EPS32 = 2 ** -24;
const TOLERANCE = 8 * EPS32;

/** Weights of which every third is 0. */
const someWeights = (shape: readonly number[]) => map(values('weights', shape), (w, i) => (i % 3 === 1 ? 0 : 2 + w));

for (const beta of [1, 0.25]) {
  for (const reduction of ['none', 'sum', 'mean'] as const) {
    for (const shape of [[3, 5, 4], [7, 10], [9]]) {
      for (const weighted of [false, true]) {
        const name = `${shape.join('×')}, β ${beta}, ${reduction}, ${weighted ? 'with' : 'without'} weights`;
        test(name, async () => {
          const weights = weighted ? someWeights(shape.slice(0, -1)) : undefined;
          using weightTensor = weights && Tensor.from(device, Float32Array.from(weights.data), weights.shape);
          await checkOp({
            op: (x, target) => smoothL1(x, target, { beta, reduction, weights: weightTensor }),
            twin: (x, target) => twin(x, target, { beta, reduction, ...(weights && { weights }) }),
            inputs: [map(values('x', shape), (value) => 2 * value), values('target', shape)],
            tolerance: TOLERANCE * (reduction === 'sum' ? 8 : 1),
          });
        });
      }
    }
  }
}

test('a distance of exactly β, and none at all, are on both branches the same', async () => {
  using x = Tensor.from(device, [1, -1, 0, 3], [2, 2]);
  using target = Tensor.from(device, [0, 0, 0, 0], [2, 2]);
  using losses = smoothL1(x, target, { reduction: 'none' });
  assert.deepEqual([...(await losses.read())], [0.5, 0.5, 0, 2.5]);
});

test('a row of weight 0 counts for nothing, whatever it holds', async () => {
  using x = Tensor.from(device, [Number.NaN, 1, 2, 3], [2, 2]);
  using target = Tensor.from(device, [0, 0, 0, 0], [2, 2]);
  using weights = Tensor.from(device, [0, 3], [2]);
  using tape = new Tape(device);
  tape.watch(x);
  using loss = tape.record(() => smoothL1(x, target, { weights }));
  tape.backward(loss);
  assert.deepEqual([...(await loss.read())], [2]);
  assert.deepEqual([...(await tape.gradient(x)!.read())], [0, 0, 0.5, 0.5]);
  using none = Tensor.from(device, [0, 0], [2]);
  using nothing = smoothL1(x, target, { weights: none });
  assert.deepEqual([...(await nothing.read())], [0]);
});

for (const golden of readGolden('ops').cases('smooth_l1')) {
  test(`${golden.name} is PyTorch's`, async () => {
    const { beta, reduction } = golden.options as { beta: number; reduction: Reduction };
    const upload = (name: string) => {
      const { data, shape } = golden.tensor(name);
      return Tensor.from(device, Float32Array.from(data), shape);
    };
    using x = upload('x');
    using target = upload('target');
    using loss = smoothL1(x, target, { beta, reduction });
    const expected = golden.array('output');
    assert.deepEqual(loss.shape, expected.shape);
    assertClose(await loss.read(), expected, 8 * TOLERANCE, golden.name);
  });
}

test('what does not fit is refused', () => {
  using x = Tensor.from(device, [1, 2, 3, 4], [2, 2]);
  using flat = Tensor.from(device, [1, 2, 3, 4], [4]);
  assert.throws(() => smoothL1(x, flat), { name: 'ShapeError' });
  assert.throws(() => smoothL1(x, x, { weights: flat }), { name: 'ShapeError', expected: 'weights [2]' });
  for (const beta of [0, -1, Number.NaN, Number.POSITIVE_INFINITY])
    assert.throws(() => smoothL1(x, x, { beta }), { name: 'ArgumentError' });
});

test.run();
