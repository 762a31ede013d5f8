import { test } from 'uvu';
import { assertGolden, assertGoldenGradients, readGolden } from '../helpers/golden.js';
import { batchNorm } from './batch_norm.js';

for (const golden of readGolden('ops').cases('batch_norm')) {
  test(`${golden.name}, its running statistics and its gradients are PyTorch's`, () => {
    const options = {
      ...(golden.options as { training: boolean; momentum: number; eps: number }),
      runningMean: golden.array('running_mean'),
      runningVar: golden.array('running_var'),
    };
    assertGoldenGradients(
      golden,
      ['x', 'gamma', 'beta'],
      (x, gamma, beta) => batchNorm(x, { ...options, gamma: gamma, beta: beta }).output,
    );
    const [x, gamma, beta] = [golden.array('x'), golden.array('gamma'), golden.array('beta')];
    const { runningMean, runningVar } = batchNorm(x, { ...options, gamma, beta });
    assertGolden(runningMean, golden.array('new_running_mean'), `${golden.name}/new_running_mean`);
    assertGolden(runningVar, golden.array('new_running_var'), `${golden.name}/new_running_var`);
  });
}

test.run();
