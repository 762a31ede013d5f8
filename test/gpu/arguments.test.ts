import assert from 'node:assert/strict';
import { test } from 'uvu';
import { type AugmentOptions, drawAugmentation } from '../../src/data/augment.js';
import { randomOf } from '../../src/data/random.js';
import { iouMatrix } from '../../src/detect/iou_matrix.js';
import { nms } from '../../src/detect/nms.js';
import { protocolOf } from '../../src/evaluate/protocol.js';
import { describe } from '../../src/gpu/arguments.js';
import { Gpu } from '../../src/gpu/gpu.js';
import { type Conv2dOptions, conv2d } from '../../src/ops/conv2d.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { Sgd, type SgdOptions } from '../../src/train/sgd.js';
import { testDevice as device } from '../helpers/device.js';

test('values are described as what they are', () => {
  const values: readonly (readonly [unknown, string])[] = [
    [null, 'null'],
    [undefined, 'undefined'],
    ['640', "'640'"],
    [7, '7'],
    [Promise.resolve(), 'a promise'],
    [new Uint8Array(3), 'a Uint8Array of 3 elements'],
    [new ArrayBuffer(3), 'an ArrayBuffer'],
    [[1, 2], 'an array of 2'],
    [{}, 'an empty object'],
    [{ a: 1, b: 2 }, 'an object with a, b'],
    [() => 1, 'a function'],
  ];
  for (const [value, words] of values) assert.equal(describe(value), words);
});

test('public functions refuse options that they do not have, and those of another type', async () => {
  const x = Tensor.from(device, new Float32Array(16), [1, 2, 2, 4]);
  const weight = Tensor.from(device, new Float32Array(16), [1, 1, 4, 4]);
  const boxes = Tensor.from(device, new Float32Array(4), [1, 4]);
  const scores = Tensor.from(device, new Float32Array(1), [1]);
  const slips: readonly (readonly [() => unknown, RegExp])[] = [
    [() => conv2d(x, weight, { strides: 2 } as Conv2dOptions), /conv2d: expected options of stride, .*got 'strides'/],
    [
      () => conv2d(x, weight, { stride: '2' } as unknown as Conv2dOptions),
      /stride to be a number or an array, got '2'/,
    ],
    [() => iouMatrix(boxes, boxes, { plusone: true } as object), /Did you mean 'plusOne'/],
    [() => new Sgd(Gpu.of(device), [], { lr: 0.1 } as SgdOptions), /got 'lr'/],
    [() => protocolOf('report', { threshold: 0.1 } as object), /Did you mean 'scoreThreshold'/],
    [
      () => drawAugmentation(randomOf(1, 0, 0), { width: 9, height: 9 }, [], { flips: 1 } as AugmentOptions),
      /got 'flips'/,
    ],
  ];
  for (const [slip, message] of slips) assert.throws(slip, { name: 'ArgumentError', message });
  const threshold = { threshold: 0.4 } as unknown as { iouThreshold: number };
  await assert.rejects(nms(boxes, scores, threshold), { message: /Did you mean 'iouThreshold'/ });
  for (const tensor of [x, weight, boxes, scores]) tensor.dispose();
});

test.run();
