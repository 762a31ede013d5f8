import { test } from 'uvu';
import { multiply } from '../../src/ops/multiply.js';
import { multiply as twin } from '../reference/multiply.js';
import { checkOp, values } from '../helpers/check_op.js';
import '../helpers/device.js';

const EPS32 = 2 ** -24;

test('a product and both its gradients are right', async () => {
  await checkOp({
    op: (a, b) => multiply(a, b),
    twin: (a, b) => twin(a, b),
    inputs: [values('a', [3, 5, 3]), values('b', [3, 5, 3])],
    tolerance: 2 * EPS32,
  });
});

test('a square gets both gradients of its factor', async () => {
  await checkOp({
    op: (a) => multiply(a, a),
    twin: (a) => twin(a, a),
    inputs: [values('a', [7])],
    tolerance: 4 * EPS32,
  });
});

test.run();
