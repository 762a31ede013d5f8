import { test } from 'uvu';
import { sum } from '../../src/ops/sum.js';
import { sum as twin } from '../reference/sum.js';
import { checkOp, values } from '../helpers/check_op.js';
import '../helpers/device.js';

const EPS32 = 2 ** -24;

for (const shape of [[1], [3, 5, 7], [3, 4099]]) {
  test(`${shape.join('×')} elements add up, and each has a gradient of one`, async () => {
    await checkOp({
      op: (x) => sum(x),
      twin: (x) => twin(x),
      inputs: [values('x', shape)],
      // Partial sums grow as the root of their number: 16 in a row, then a tree.
      tolerance: 32 * EPS32 * Math.sqrt(Math.max(...shape)),
    });
  });
}

test.run();
