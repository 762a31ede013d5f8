import assert from 'node:assert/strict';
import { test } from 'uvu';
import { ArgumentError, ShapeError } from '../../src/gpu/errors.js';
import { Gpu } from '../../src/gpu/gpu.js';
import { concat } from '../../src/ops/concat.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { concat as twin } from '../reference/concat.js';
import { checkOp, values } from '../helpers/check_op.js';
import { testDevice } from '../helpers/device.js';

for (const { axis, shapes } of [
  {
    axis: -1,
    shapes: [
      [2, 3, 4],
      [2, 3, 8],
    ],
  },
  {
    axis: 2,
    shapes: [
      [2, 3, 4],
      [2, 3, 3],
      [2, 3, 1],
    ],
  },
  {
    axis: 1,
    shapes: [
      [2, 3, 4],
      [2, 1, 4],
    ],
  },
  {
    axis: 0,
    shapes: [
      [2, 3],
      [1, 3],
    ],
  },
]) {
  test(`tensors are joined along axis ${axis} of ${shapes[0]!.length}, ${shapes.length} at a time`, async () => {
    await checkOp({
      op: (...tensors) => concat(tensors, axis),
      twin: (...tensors) => twin(tensors, axis),
      inputs: shapes.map((shape, index) => values(`part ${index}`, shape)),
      tolerance: 0,
      gradientTolerance: 1e-6,
    });
  });
}

test('the channel views of a whole tensor are joined without a copy, any others with one', async () => {
  const gpu = Gpu.of(testDevice);
  using whole = Tensor.from(testDevice, [1, 2, 3, 4, 5, 6], [2, 3]);
  using left = whole.channels(0, 1);
  using right = whole.channels(1, 2);
  const { dispatches } = gpu.counters();
  using same = concat([left, right], -1);
  assert.equal(gpu.counters().dispatches, dispatches);
  assert.ok(same.sharesMemoryWith(whole));
  assert.deepEqual([...(await same.read())], [1, 2, 3, 4, 5, 6]);
  using swapped = concat([right, left], -1);
  assert.deepEqual([...(await swapped.read())], [2, 3, 1, 5, 6, 4]);
  using stacked = concat([right, right], 0);
  assert.deepEqual([...(await stacked.read())], [2, 3, 5, 6, 2, 3, 5, 6]);
});

test('nothing to join and shapes that do not fit are refused', () => {
  using a = Tensor.from(testDevice, [1, 2], [1, 2]);
  using b = Tensor.from(testDevice, [1, 2, 3], [1, 3]);
  assert.throws(() => concat([], 0), ArgumentError);
  assert.throws(() => concat([a, b], 0), ShapeError);
  assert.throws(() => concat([a, b], 2), ShapeError);
});

test.run();
