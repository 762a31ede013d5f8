import assert from 'node:assert/strict';
import { test } from 'uvu';
import { assertGoldenGradients, readGolden } from '../helpers/golden.js';
import { array64 } from './array64.js';
import { conv2d, type Conv2dOptions } from './conv2d.js';

for (const golden of readGolden('ops').cases('conv2d')) {
  test(`${golden.name} and its gradients are PyTorch's`, () => {
    const options = golden.options as Required<Omit<Conv2dOptions, 'bias'>>;
    assertGoldenGradients(golden, ['x', 'weight', 'bias'], (x, weight, bias) =>
      conv2d(x, weight, { ...options, ...(golden.has('bias') && { bias }) }),
    );
  });
}

test('a convolution slides its kernel unflipped', () => {
  const x = array64([1, 1, 3, 1], [1, 2, 3]);
  const weight = array64([1, 2, 1, 1], [10, 1]);
  assert.deepEqual([...conv2d(x, weight).data], [12, 23]);
});

test.run();
