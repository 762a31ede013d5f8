import assert from 'node:assert/strict';
import { test } from 'uvu';
import { assertGoldenGradients, readGolden } from '../helpers/golden.js';
import { array64, zeros, type Reduction } from './array64.js';
import { negativeLogLikelihood } from './negative_log_likelihood.js';

for (const golden of readGolden('ops').cases('negative_log_likelihood')) {
  test(`${golden.name} and its gradient are PyTorch's`, () => {
    const weights = golden.optional('weights');
    const options = { ...(golden.options as { reduction: Reduction }), ...(weights && { weights }) };
    assertGoldenGradients(golden, ['logits'], (logits) =>
      negativeLogLikelihood(logits, golden.integers('labels'), options),
    );
  });
}

test('the mean over rows that all weigh nothing is 0', () => {
  const loss = negativeLogLikelihood(array64([2, 2], [1, 2, 3, 4]), [0, 1], { weights: zeros([2]) });
  assert.deepEqual([...loss.data], [0]);
});

test.run();
