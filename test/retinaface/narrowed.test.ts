import assert from 'node:assert/strict';
import { test } from 'uvu';
import { anchorCount, anchorsFor } from '../../src/detect/anchors.js';
import { ArgumentError } from '../../src/gpu/errors.js';
import { Gpu } from '../../src/gpu/gpu.js';
import { configurations, narrowed } from '../../src/retinaface/config.js';
import { RetinaFace } from '../../src/retinaface/retinaface.js';
import { scope } from '../../src/tensor/scope.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { readWeights } from '../../src/weights/read.js';
import { writeSafetensors } from '../../src/weights/safetensors.js';
import { testDevice as device } from '../helpers/device.js';

const gpu = Gpu.of(device);

test('a narrowed network has the same graph with all channels times the width, at odd sizes too', () => {
  using model = new RetinaFace(device, narrowed(configurations.full, 1 / 4));
  model.initialise(1);
  const { network } = model;
  const { levels } = network.configuration;
  const [width, height] = [75, 53];
  using x = Tensor.empty(gpu, [1, height, width, 4]);
  using anchors = Tensor.from(gpu, anchorsFor(levels, width, height), [anchorCount(levels, width, height), 4]);
  const { backbone, pyramid, features, first, second } = network.forward(x, anchors);
  const sizes = [
    [14, 19],
    [7, 10],
    [4, 5],
    [2, 3],
    [1, 2],
  ];
  assert.deepEqual(
    backbone.map(({ shape }) => shape),
    [64, 128, 256, 512].map((channels, i) => [1, ...sizes[i]!, channels]),
  );
  for (const maps of [pyramid, features]) {
    assert.deepEqual(
      maps.map(({ shape }) => shape),
      sizes.map((size) => [1, ...size, 64]),
    );
  }
  const count = anchorCount(levels, width, height);
  assert.deepEqual(
    [first.logits.shape, second?.landmarks?.shape],
    [
      [1, count, 2],
      [1, count, 10],
    ],
  );
  const heads = [first, second!].flatMap(({ logits, boxes, landmarks }) => [logits, boxes, landmarks!]);
  for (const tensor of [...backbone, ...pyramid, ...features, ...heads]) tensor.dispose();
});

test('the eighteen values of heads without landmarks are computed as vectors of four', async () => {
  if (!device.features.has('timestamp-query')) return;
  using model = new RetinaFace(device, narrowed(configurations['context-no-landmark'], 1 / 4));
  model.initialise(1);
  using x = Tensor.zeros(gpu, [1, 64, 64, 4]);
  const { levels } = model.network.configuration;
  using anchors = Tensor.from(gpu, anchorsFor(levels, 64, 64), [anchorCount(levels, 64, 64), 4]);
  const kernels = await gpu.profile(() => {
    scope(() => void model.network.forward(x, anchors));
  });
  assert.ok(kernels.some(({ kernel }) => kernel.startsWith('conv2d_forward')));
  assert.ok(!kernels.some(({ kernel }) => kernel === 'conv2d_forward_any'));
});

for (const [name, width] of [
  ['baseline', 1 / 16],
  ['context-no-landmark', 3 / 16],
  ['context', 1 / 4],
  ['full', 1 / 8],
] as const) {
  test(`the weights of ${name} ×${width} are recognised and load again`, async () => {
    using model = new RetinaFace(device, narrowed(configurations[name], width));
    model.initialise(3);
    const state = await model.state();
    using loaded = new RetinaFace(device);
    loaded.loadState(await readWeights(writeSafetensors(state, {}), 'narrow.safetensors'), 'narrow.safetensors');
    assert.deepEqual(
      [loaded.configuration?.name, loaded.configuration?.width, loaded.configuration?.channels],
      [name, width, 256 * width],
    );
    for (const [key, { data }] of await loaded.state()) assert.deepEqual(data, state.get(key)!.data, key);
  });
}

test('width 1 is the configuration itself, and a narrowed one can be narrowed to another width', () => {
  const { context } = configurations;
  assert.equal(narrowed(context, 1), context);
  assert.deepEqual(narrowed(narrowed(context, 1 / 4), 1 / 2), narrowed(context, 1 / 2));
});

test('widths that leave no multiples of four channels, and networks without a width, are refused', () => {
  for (const width of [0, -0.25, 0.3, 1.25, NaN]) {
    assert.throws(() => narrowed(configurations.context, width), ArgumentError, String(width));
  }
  assert.throws(() => narrowed(configurations['published-mobilenet0.25'], 1 / 4), /ResNet-50/);
});

test.run();
