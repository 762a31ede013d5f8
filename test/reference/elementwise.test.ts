import { test } from 'uvu';
import { assertGoldenGradients, readGolden } from '../helpers/golden.js';
import { add } from './add.js';
import type { Array64, Reduction } from './array64.js';
import { concat } from './concat.js';
import { leakyRelu } from './leaky_relu.js';
import { mean } from './mean.js';
import { multiply } from './multiply.js';
import { relu } from './relu.js';
import { smoothL1 } from './smooth_l1.js';
import { softmax } from './softmax.js';
import { sum } from './sum.js';
import { unpool } from './unpool.js';

type Twin = (options: unknown, ...inputs: readonly Array64[]) => Array64;

/** Twins that take only arrays and plain options, with the names of their inputs in the goldens. */
const twins: Record<string, { inputs: readonly string[]; twin: Twin }> = {
  relu: { inputs: ['x'], twin: (_, x) => relu(x) },
  leaky_relu: { inputs: ['x'], twin: (options, x) => leakyRelu(x, (options as { slope: number }).slope) },
  add: { inputs: ['a', 'b'], twin: (_, a, b) => add(a, b) },
  multiply: { inputs: ['a', 'b'], twin: (_, a, b) => multiply(a, b) },
  sum: { inputs: ['x'], twin: (_, x) => sum(x) },
  mean: { inputs: ['x'], twin: (_, x) => mean(x) },
  concat: { inputs: ['x0', 'x1', 'x2'], twin: (options, ...xs) => concat(xs, (options as { axis: number }).axis) },
  unpool: { inputs: ['x'], twin: (options, x) => unpool(x, options as { size: [number, number] }) },
  softmax: { inputs: ['x'], twin: (_, x) => softmax(x) },
  smooth_l1: {
    inputs: ['x', 'target'],
    twin: (options, x, target) => smoothL1(x, target, options as { beta: number; reduction: Reduction }),
  },
};

const goldens = readGolden('ops');
for (const [operation, { inputs, twin }] of Object.entries(twins)) {
  for (const golden of goldens.cases(operation)) {
    test(`${golden.name} and its gradients are PyTorch's`, () => {
      assertGoldenGradients(golden, inputs, (...values) => twin(golden.options, ...values));
    });
  }
}

test.run();
