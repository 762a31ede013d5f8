import { test } from 'uvu';
import { mean } from '../../src/ops/mean.js';
import { mean as twin } from '../reference/mean.js';
import { checkOp, values } from '../helpers/check_op.js';
import '../helpers/device.js';

const EPS32 = 2 ** -24;

test('a mean over two levels of blocks is right, and its gradient is one over the number', async () => {
  await checkOp({
    op: (x) => mean(x),
    twin: (x) => twin(x),
    inputs: [values('x', [3, 4099])],
    tolerance: 32 * EPS32,
  });
});

test.run();
