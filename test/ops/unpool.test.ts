import assert from 'node:assert/strict';
import { test } from 'uvu';
import { ArgumentError } from '../../src/gpu/errors.js';
import { unpool } from '../../src/ops/unpool.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { unpool as twin } from '../reference/unpool.js';
import { checkOp, values } from '../helpers/check_op.js';
import { testDevice } from '../helpers/device.js';

for (const { channels, size } of [
  { channels: 4, size: [6, 8] },
  { channels: 3, size: [5, 7] },
  { channels: 4, size: [2, 3] },
] as const) {
  test(`[2, 3, 4, ${channels}] is resampled to ${size.join('×')} and every shown pixel gathers its gradient`, async () => {
    await checkOp({
      op: (x) => unpool(x, { size }),
      twin: (x) => twin(x, { size }),
      inputs: [values('unpool', [2, 3, 4, channels])],
      tolerance: 0,
      gradientTolerance: 1e-6,
    });
  });
}

test('a size of nothing is refused', () => {
  using x = Tensor.from(testDevice, new Float32Array(4), [1, 2, 2, 1]);
  assert.throws(() => unpool(x, { size: 0 }), ArgumentError);
});

test.run();
