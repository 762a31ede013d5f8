import assert from 'node:assert/strict';
import { test } from 'uvu';
import { assertGolden, assertGoldenGradients, readGolden } from '../helpers/golden.js';
import { maxPool2d, maxPool2dIndices, type MaxPool2dOptions } from './max_pool2d.js';

for (const golden of readGolden('ops').cases('max_pool2d')) {
  const { ties, ...options } = golden.options as MaxPool2dOptions & { ties: boolean };
  test(`${golden.name}, its places${ties ? '' : ' and its gradients'} are PyTorch's`, () => {
    // At a tie the maximum has no derivative; PyTorch gives all of it to the first place, which the indices show.
    if (ties) assertGolden(maxPool2d(golden.array('x'), options), golden.array('output'), golden.name);
    else assertGoldenGradients(golden, ['x'], (x) => maxPool2d(x, options));
    assert.deepEqual(maxPool2dIndices(golden.array('x'), options), golden.array('indices'));
  });
}

test.run();
