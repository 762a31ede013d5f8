import assert from 'node:assert/strict';
import { test } from 'uvu';
import { ShapeError } from '../../src/gpu/errors.js';
import { reshape } from '../../src/ops/reshape.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { array64 } from '../reference/array64.js';
import { checkOp, values } from '../helpers/check_op.js';
import { testDevice } from '../helpers/device.js';

test('another shape holds the same elements, and the gradient comes back in the first shape', async () => {
  await checkOp({
    op: (x) => reshape(x, [6, 5]),
    twin: (x) => array64([6, 5], x.data),
    inputs: [values('x', [2, 3, 5])],
    tolerance: 0,
    gradientTolerance: 1e-6,
  });
});

test('another number of elements is refused', () => {
  using x = Tensor.from(testDevice, [1, 2], [2]);
  assert.throws(() => reshape(x, [3]), ShapeError);
});

test.run();
