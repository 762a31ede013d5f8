import assert from 'node:assert/strict';
import { test } from 'uvu';
import { ShapeError } from '../../src/gpu/errors.js';
import { slice } from '../../src/ops/slice.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { array64, type Array64 } from '../reference/array64.js';
import { checkOp, values } from '../helpers/check_op.js';
import { testDevice } from '../helpers/device.js';

/** Element by element: the part of an axis of a three-axis array. */
function twin(x: Array64, axis: number, start: number, count: number): Array64 {
  const kept = x.data.filter((_, i) => {
    const behind = x.shape.slice(axis + 1).reduce((product, size) => product * size, 1);
    const place = Math.floor(i / behind) % x.shape[axis]!;
    return place >= start && place < start + count;
  });
  return array64(x.shape.toSpliced(axis, 1, count), kept);
}

for (const [axis, start, count] of [
  [0, 1, 1],
  [1, 2, 3],
  [2, 4, 4],
  [2, 1, 6],
] as const) {
  test(`${count} of axis ${axis} from ${start} on are copied, and the gradient elsewhere is zero`, async () => {
    await checkOp({
      op: (x) => slice(x, { axis, start, count }),
      twin: (x) => twin(x, axis, start, count),
      inputs: [values('slice', [2, 5, 8])],
      tolerance: 0,
      gradientTolerance: 1e-6,
    });
  });
}

test('a channel view is sliced like the tensor that it stands for', async () => {
  using whole = Tensor.from(testDevice, [1, 2, 3, 4, 5, 6], [2, 3]);
  using view = whole.channels(1, 2);
  using column = slice(view, { axis: 1, start: 1, count: 1 });
  using row = slice(view, { axis: 0, start: 1, count: 1 });
  assert.deepEqual([...(await column.read())], [3, 6]);
  assert.deepEqual([...(await row.read())], [5, 6]);
});

test('a range outside the axis is refused', () => {
  using x = Tensor.from(testDevice, [1, 2], [2]);
  assert.throws(() => slice(x, { axis: 0, start: 1, count: 2 }), ShapeError);
});

test.run();
