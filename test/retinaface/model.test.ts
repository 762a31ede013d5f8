// The networks and the model with weights made by a formula: shapes, sizes, memory, errors. Needs no data.
import assert from 'node:assert/strict';
import { test } from 'uvu';
import { anchorsFor } from '../../src/detect/anchors.js';
import { Gpu } from '../../src/gpu/gpu.js';
import { type ConfigurationName, configurations } from '../../src/retinaface/config.js';
import { Network } from '../../src/retinaface/network.js';
import { RetinaFace } from '../../src/retinaface/retinaface.js';
import { elements } from '../../src/tensor/shape.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { writeSafetensors } from '../../src/weights/safetensors.js';
import { testDevice as device } from '../helpers/device.js';
import { formulaState } from '../helpers/formula_state.js';

const gpu = Gpu.of(device);

function picture(width: number, height: number): { data: Uint8Array; width: number; height: number } {
  const data = Uint8Array.from({ length: width * height * 4 }, (_, i) => (i * 7 + (i >> 5)) % 256);
  return { data, width, height };
}

const mobilenet = formulaState(gpu, 'published-mobilenet0.25');

function mobilenetModel(): RetinaFace {
  const model = new RetinaFace(device);
  model.loadState(mobilenet, 'formula');
  return model;
}

test('the published MobileNet has the parameters that its authors count', () => {
  using parameters = new Network(gpu, configurations['published-mobilenet0.25']).parameters;
  assert.equal(parameters.trainableCount, 426_608);
});

test('the report has 102,300 anchors at 640×640, the published networks 16,800', () => {
  const count = (name: ConfigurationName): number => anchorsFor(configurations[name].levels, 640, 640).length / 4;
  assert.equal(count('full'), 102_300);
  assert.equal(count('published-resnet50'), 16_800);
});

test('each variant of the report is one step from another', () => {
  const { baseline, context, full, deformable } = configurations;
  const noLandmark = configurations['context-no-landmark'];
  assert.deepEqual({ ...baseline, name: 'context', context: true }, context);
  assert.deepEqual({ ...context, name: 'context-no-landmark', landmarks: false }, noLandmark);
  assert.deepEqual({ ...context, name: 'full', cascade: true }, full);
  assert.deepEqual({ ...context, name: 'deformable', deformable: true }, deformable);
});

test('every configuration fits together at odd sizes: shapes of all outputs, rehearsed without computing', () => {
  for (const configuration of Object.values(configurations)) {
    gpu.rehearse(() => {
      const network = new Network(gpu, configuration);
      network.fold();
      const [width, height, n] = [101, 67, 2];
      const count = anchorsFor(configuration.levels, width, height).length / 4;
      using x = Tensor.empty(gpu, [n, height, width, 4]);
      using anchors = Tensor.empty(gpu, [count, 4]);
      const { first, second, features } = network.forward(x, anchors);
      assert.equal(features.length, configuration.levels.length);
      for (const outputs of [first, ...(second ? [second] : [])]) {
        assert.deepEqual(outputs.logits.shape, [n, count, 2]);
        assert.deepEqual(outputs.boxes.shape, [n, count, 4]);
        assert.deepEqual(outputs.landmarks?.shape, configuration.landmarks ? [n, count, 10] : undefined);
      }
      assert.equal(second !== undefined, configuration.cascade);
    });
  }
});

test('the configuration is recognised from the file', async () => {
  using model = new RetinaFace(device);
  await model.load(writeSafetensors(mobilenet));
  assert.equal(model.configuration?.name, 'published-mobilenet0.25');
});

test('what was loaded can be read back unchanged', async () => {
  using model = mobilenetModel();
  const state = await model.state();
  assert.deepEqual([...state.keys()].sort(), [...mobilenet.keys()].sort());
  for (const [name, { data, shape }] of mobilenet) {
    assert.deepEqual(state.get(name)?.shape, shape);
    assert.deepEqual(state.get(name)?.data, data);
  }
});

test('a hundred detections of varying sizes leave the memory as it was', async () => {
  using model = mobilenetModel();
  const sizes = [48, 64, 96, 33, 57].map((size) => picture(size, size + 16));
  // Three rounds: in the first, cached anchors still take buffers out of the pool; a pass is recorded in the second, and replayed
  // from the third on.
  for (const item of [...sizes, ...sizes, ...sizes]) await model.detect(item);
  const before = model.gpu.memory();
  for (let i = 0; i < 100; i++) await model.detect(sizes[i % sizes.length]!);
  const after = model.gpu.memory();
  assert.equal(after.bytes, before.bytes);
  assert.equal(after.buffers, before.buffers);
  assert.equal(after.pooledBytes, before.pooledBytes);
});

test('a disposed model frees all of its memory and says so when used', async () => {
  const before = gpu.memory().bytes;
  const model = mobilenetModel();
  await model.detect(picture(64, 48));
  model.dispose();
  assert.equal(gpu.memory().bytes, before);
  if (before === 0) assert.equal(gpu.memory().pooledBytes, 0, 'nothing is kept for models that are gone');
  await assert.rejects(model.detect(picture(64, 48)), { name: 'DisposedError' });
});

/** Of two sizes, so that they are searched one after the other. */
const twoSizes = [picture(64, 48), picture(48, 64)];

/** Any two formulas are other weights: here the same with a bias moved. */
function otherState(): typeof mobilenet {
  const [name, tensor] = [...mobilenet].find(([key]) => key.endsWith('.bias'))!;
  return new Map(mobilenet).set(name, { ...tensor, data: tensor.data.map((v) => v + 0.5) });
}

test('weights that are loaded while pictures are searched are those of the next search', async () => {
  using model = mobilenetModel();
  const loaded = gpu.memory().bytes;
  const options = { scoreThreshold: 0.1, maxFaces: 3 };
  const before = await model.detect(twoSizes, options);
  const underWay = model.detect(twoSizes, options);
  model.loadState(otherState(), 'others');
  assert.deepEqual(await underWay, before);
  assert.notDeepEqual(await model.detect(twoSizes, options), before);
  model.loadState(mobilenet, 'formula');
  assert.equal(gpu.memory().bytes, loaded, 'what was replaced is freed');
});

test('a model that is disposed of while it searches says so, and frees all of its memory', async () => {
  const before = gpu.memory().bytes;
  const model = mobilenetModel();
  const [searching, told] = [
    model.detect(twoSizes),
    { name: 'DisposedError', message: /RetinaFace: expected a live model/ },
  ];
  model.dispose();
  await assert.rejects(searching, told);
  assert.equal(gpu.memory().bytes, before);
});

test('weights that do not fit are refused and leave the model as it was', async () => {
  using model = mobilenetModel();
  const bytes = gpu.memory().bytes;
  const without = new Map(mobilenet);
  without.delete('body.stage1.0.0.weight');
  const missing = writeSafetensors(without);
  using explicit = new RetinaFace(device, 'published-mobilenet0.25');
  await assert.rejects(explicit.load(missing), /missing.*body\.stage1\.0\.0\.weight/);
  const [first, tensor] = [...mobilenet][3]!;
  const nan = new Map(mobilenet).set(first, { ...tensor, data: Float32Array.from(tensor.data).fill(Number.NaN) });
  await assert.rejects(model.load(writeSafetensors(nan)), /NaN/);
  await assert.rejects(model.load(new TextEncoder().encode('<html>not weights</html>')), { name: 'WeightsError' });
  assert.equal(gpu.memory().bytes, bytes);
  assert.ok(Array.isArray(await model.detect(picture(64, 48))));
});

test('a model without weights says how to get them', async () => {
  using model = new RetinaFace(device);
  await assert.rejects(model.detect(picture(64, 48)), { name: 'WeightsError', message: /model\.load/ });
});

test('bad pictures and options are named', async () => {
  using model = mobilenetModel();
  await assert.rejects(model.detect({ data: new Uint8Array(7), width: 2, height: 2 }), { name: 'ImageError' });
  await assert.rejects(model.detect({ data: new Uint8Array(4), width: 60_000, height: 60_000 }), {
    name: 'ImageError',
  });
  await assert.rejects(model.detect(picture(32, 32), { scoreThreshold: 2 }), { name: 'ArgumentError' });
  await assert.rejects(model.detect(picture(32, 32), { size: 7 }), { name: 'ArgumentError' });
  assert.throws(() => new RetinaFace(device, 'mobilenet' as ConfigurationName), { name: 'ArgumentError' });
});

test('pictures of one pixel, and of one long row, are searched', async () => {
  using model = mobilenetModel();
  assert.ok(Array.isArray(await model.detect(picture(1, 1))));
  assert.ok(Array.isArray(await model.detect(picture(4000, 16))));
  assert.deepEqual(await model.detect([]), []);
});

test('a picture that the device cannot hold is refused before anything is allocated', async () => {
  using model = mobilenetModel();
  const before = gpu.memory();
  await assert.rejects(model.detect(picture(16, 16), { size: 16_000 }), { name: 'LimitError', message: /bytes/ });
  assert.equal(gpu.memory().bytes, before.bytes);
});

test('grey and RGB pixels are taken as pictures', async () => {
  using model = mobilenetModel();
  for (const channels of [1, 3]) {
    const data = new Uint8Array(40 * 30 * channels).fill(90);
    assert.ok(Array.isArray(await model.detect({ data, width: 40, height: 30 })));
  }
});

test('elements of a formula tensor are finite', () => {
  for (const { data, shape } of mobilenet.values()) {
    assert.equal(data.length, elements(shape));
    assert.ok(data.every(Number.isFinite));
  }
});

test.run();
