// `deformable` against `context`, which it is while its offsets are zero.
import assert from 'node:assert/strict';
import { test } from 'uvu';
import { faceTargets } from '../../src/data/batch.js';
import type { Face } from '../../src/data/sample.js';
import { anchorsFor } from '../../src/detect/anchors.js';
import { Gpu } from '../../src/gpu/gpu.js';
import { configurations } from '../../src/retinaface/config.js';
import { Network } from '../../src/retinaface/network.js';
import { readNetworkState, writeNetworkState } from '../../src/retinaface/network_state.js';
import { RetinaFace } from '../../src/retinaface/retinaface.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { freeBatch, Trainer } from '../../src/train/trainer.js';
import { writeSafetensors } from '../../src/weights/safetensors.js';
import { testDevice as device } from '../helpers/device.js';
import { formulaTensor } from '../helpers/formula.js';

const gpu = Gpu.of(device);

/** Fifty layers in float32, whose batch norms are folded in one network's deformable layers and not in the other's. */
const TOLERANCE = 1e-5;
/** In training a batch norm over few values passes the rounding of sums in another order on, many times larger. */
const TRAINING_TOLERANCE = 1e-3;

const FACES: readonly (readonly Face[])[] = [
  [{ box: [8, 6, 24, 26], landmarks: [12, 13, 20, 13, 16, 17, 13, 21, 19, 21] }],
  [{ box: [20, 4, 64, 50] }],
];

const isOffset = (name: string) => name.includes('.offset.');

function input(batch: number, height: number, width: number): Tensor {
  const values = formulaTensor('pictures', [batch, height, width, 4]).map((value, i) => (i % 4 === 3 ? 0 : value));
  return Tensor.from(device, values, [batch, height, width, 4]);
}

async function assertClose(actual: Tensor, expected: Tensor, tolerance: number, what: string): Promise<void> {
  assert.deepEqual(actual.shape, expected.shape, what);
  const [a, b] = [await actual.read(), await expected.read()];
  const norm = Math.hypot(...b);
  const error = Math.hypot(...a.map((value, i) => value - b[i]!));
  assert.ok(norm > 0 && error < tolerance * norm, `${what}: ${error / norm}`);
}

test('every 3×3 of merges and context modules has offsets, C6 and the lateral 1×1 have none', () => {
  const [context, deformable] = (['context', 'deformable'] as const).map((name) => {
    using parameters = new Network(gpu, configurations[name]).parameters;
    return [...parameters].map((parameter) => parameter.name);
  });
  assert.deepEqual(
    deformable!.filter((name) => !isOffset(name)),
    context,
  );
  const placed = deformable!.filter((name) => name.endsWith('.offset.weight'));
  const merges = [2, 3, 4].map((level) => `fpn.merge${level}`);
  const branches = ['conv3X3', 'conv5X5_1', 'conv5X5_2', 'conv7X7_2', 'conv7x7_3'];
  const modules = [2, 3, 4, 5, 6].flatMap((level) => branches.map((branch) => `ssh${level}.${branch}`));
  assert.deepEqual(placed.sort(), [...merges, ...modules].map((name) => `${name}.offset.weight`).sort());
});

test('with offsets of zero it is the context network with the same weights, in inference and in training', async () => {
  const context = new Network(gpu, configurations.context);
  context.initialise(5);
  const deformable = new Network(gpu, configurations.deformable);
  deformable.initialise(6);
  writeNetworkState(deformable, await readNetworkState(context), 'context', { allowMissing: true });
  const [batch, height, width] = [2, 41, 56];
  const x = input(batch, height, width);
  const values = anchorsFor(configurations.context.levels, width, height);
  const anchors = Tensor.from(device, values, [values.length / 4, 4]);
  for (const training of [false, true]) {
    for (const network of [context, deformable]) network.train(training);
    const [expected, actual] = [context.forward(x, anchors).first, deformable.forward(x, anchors).first];
    for (const task of ['logits', 'boxes', 'landmarks'] as const) {
      const tolerance = training ? TRAINING_TOLERANCE : TOLERANCE;
      await assertClose(actual[task]!, expected[task]!, tolerance, `${task}, training ${training}`);
    }
  }
  context.dispose();
  deformable.dispose();
});

test('it learns: the loss falls, offsets leave zero, and a file of it is recognised, read back and searched with', async () => {
  const model = new RetinaFace(device, 'deformable');
  model.initialise(2);
  const { parameters } = model.network;
  const offsets = [...parameters].filter(({ name }) => isOffset(name));
  for (const parameter of offsets)
    assert.ok(
      (await parameter.read()).every((value) => value === 0),
      parameter.name,
    );
  const trainer = new Trainer(model.network, { clipNorm: 1 });
  // The coarsest map has 2×2 cells: a batch norm over one cell of two pictures has no gradient that leads anywhere.
  const batch = { x: input(2, 68, 72), targets: faceTargets(device, FACES) };
  const totals: number[] = [];
  for (let step = 0; step < 5; step++) {
    const losses = trainer.accumulate(batch);
    if (step === 0) {
      for (const { name, tensor } of offsets) {
        const gradient = await trainer.gradient(tensor)!.read();
        // The finest maps take every gradient; a single cell samples only zeros around it.
        if (/^(fpn\.merge2|ssh2)\./.test(name))
          assert.ok(
            gradient.some((value) => value !== 0),
            name,
          );
        assert.ok(gradient.every(Number.isFinite), name);
      }
    }
    trainer.step(3e-4);
    totals.push((await trainer.read(losses)).total);
  }
  freeBatch(batch);
  trainer.dispose();
  assert.ok(totals.at(-1)! < 0.8 * totals[0]!, totals.join(', '));
  for (const name of ['fpn.merge2.offset.weight', 'ssh2.conv3X3.offset.weight', 'ssh2.conv7x7_3.offset.bias'])
    assert.ok(
      (await parameters.get(name)!.read()).some((value) => value !== 0),
      name,
    );

  const state = await model.state();
  const loaded = new RetinaFace(device);
  await loaded.load(writeSafetensors(state));
  assert.equal(loaded.configuration?.name, 'deformable');
  const again = await loaded.state();
  for (const [name, { data }] of state) assert.deepEqual(again.get(name)!.data, data, name);
  const picture = { width: 37, height: 50, data: new Uint8Array(37 * 50 * 4).map((_, i) => (i * 7) % 256) };
  const found = await loaded.detect(picture, { scoreThreshold: 0.02 });
  assert.deepEqual(await model.detect(picture, { scoreThreshold: 0.02 }), found);
  model.dispose();
  loaded.dispose();
});

test.run();
