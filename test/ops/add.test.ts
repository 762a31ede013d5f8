import assert from 'node:assert/strict';
import { test } from 'uvu';
import { ShapeError } from '../../src/gpu/errors.js';
import { add } from '../../src/ops/add.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { add as twin } from '../reference/add.js';
import { leakyRelu } from '../reference/leaky_relu.js';
import { checkOp, values } from '../helpers/check_op.js';
import { testDevice } from '../helpers/device.js';

const EPS32 = 2 ** -24;

for (const slope of [undefined, 0, 0.125]) {
  test(`a sum ${slope === undefined ? 'alone' : `with a rectifier of slope ${slope}`} is right in both directions`, async () => {
    await checkOp({
      op: (a, b) => add(a, b, slope === undefined ? {} : { slope }),
      twin: (a, b) => (slope === undefined ? twin(a, b) : leakyRelu(twin(a, b), slope)),
      inputs: [values('a', [3, 5, 3]), values('b', [3, 5, 3])],
      tolerance: 2 * EPS32,
    });
  });
}

test('different shapes are refused', () => {
  using a = Tensor.from(testDevice, [1, 2], [2]);
  using b = Tensor.from(testDevice, [1, 2], [1, 2]);
  assert.throws(() => add(a, b), ShapeError);
});

test.run();
