import { test } from 'uvu';
import { softmax } from '../../src/ops/softmax.js';
import { map } from '../reference/array64.js';
import { softmax as twin } from '../reference/softmax.js';
import { checkOp, values } from '../helpers/check_op.js';
import '../helpers/device.js';

const EPS32 = 2 ** -24;

for (const classes of [2, 5]) {
  test(`rows of ${classes} classes become probabilities, with their gradient`, async () => {
    await checkOp({
      op: (x) => softmax(x),
      twin: (x) => twin(x),
      inputs: [values('x', [2, 9, classes])],
      tolerance: 16 * EPS32,
    });
  });
}

test('large numbers do not overflow', async () => {
  await checkOp({
    op: (x) => softmax(x),
    twin: (x) => twin(x),
    inputs: [map(values('x', [4, 3]), (value) => Math.fround(500 * value))],
    watched: [],
    // WGSL allows exp an error of (3 + 2·|x|) units in the last place; the largest |x| that leaves anything is 17.
    tolerance: 64 * EPS32,
  });
});

test.run();
