import { test } from 'node:test';
import { leakyRelu, relu } from '../../src/ops/relu.js';
import { leakyRelu as leakyTwin } from '../reference/leaky_relu.js';
import { relu as twin } from '../reference/relu.js';
import { checkOp, values } from '../helpers/check_op.js';
import '../helpers/device.js';

const EPS32 = 2 ** -24;

test('a rectifier passes what is positive, and its gradient', async () => {
  await checkOp({
    op: (x) => relu(x),
    twin: (x) => twin(x),
    inputs: [values('x', [3, 5, 3])],
    tolerance: EPS32,
  });
});

test('a leaky rectifier scales what is negative, and its gradient', async () => {
  await checkOp({
    op: (x) => leakyRelu(x, 0.125),
    twin: (x) => leakyTwin(x, 0.125),
    inputs: [values('x', [3, 5, 3])],
    tolerance: EPS32,
  });
});
