// Networks with weights made by a formula against what PyTorch computed with the same weights (fixtures/golden).
import assert from 'node:assert/strict';
import { test } from 'uvu';
import { anchorsFor } from '../../src/detect/anchors.js';
import { Gpu } from '../../src/gpu/gpu.js';
import { type ConfigurationName, configurations } from '../../src/retinaface/config.js';
import { Network } from '../../src/retinaface/network.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { oihwToHwio } from '../../src/weights/state.js';
import { testDevice as device } from '../helpers/device.js';
import { formulaTensor } from '../helpers/formula.js';
import { readGolden } from '../helpers/golden.js';

const gpu = Gpu.of(device);

/**
 * Fifty layers in float32: each rounds sums of up to 4,608 terms, and the errors of a residual network add up along its
 * depth. 1e-4 of the norm is what the published checkpoints are held to as well.
 */
const TOLERANCE = 1e-4;

function networkByFormula(name: ConfigurationName, nameOf = (parameter: string) => parameter): Network {
  const network = new Network(gpu, configurations[name]);
  for (const parameter of network.parameters) {
    const [kh, kw, cin, cout] = parameter.shape;
    const torch = parameter.shape.length === 4 ? [cout!, cin!, kh!, kw!] : parameter.shape;
    const values = formulaTensor(nameOf(parameter.name), torch);
    parameter.write(torch.length === 4 ? oihwToHwio(values, torch).data : values);
  }
  network.fold();
  return network;
}

/** `formulaTensor('input', [1, 3, h, w])` as [1, h, w, 4]. */
function inputByFormula(height: number, width: number): Tensor {
  const nchw = formulaTensor('input', [1, 3, height, width]);
  const pixels = height * width;
  const nhwc = Float32Array.from({ length: pixels * 4 }, (_, i) =>
    i % 4 < 3 ? nchw[(i % 4) * pixels + (i >> 2)]! : 0,
  );
  return Tensor.from(device, nhwc, [1, height, width, 4]);
}

/** Runs a network on the formula's input. */
function outputsOf(name: ConfigurationName, height: number, width: number, nameOf?: (parameter: string) => string) {
  const network = networkByFormula(name, nameOf);
  const values = anchorsFor(configurations[name].levels, width, height);
  const anchors = Tensor.from(device, values, [values.length / 4, 4]);
  return network.forward(inputByFormula(height, width), anchors);
}

/** Compares by the norm, where the golden may hold every k-th channel only. */
async function assertMap(tensor: Tensor, golden: ReturnType<typeof readGolden>, name: string): Promise<void> {
  const { shape, data } = golden.tensor(name);
  const values = await tensor.read();
  const channels = tensor.shape.at(-1)!;
  const kept = shape.at(-1)!;
  const every = channels / kept;
  assert.deepEqual([...tensor.shape.slice(0, -1), kept], shape, name);
  let error = 0;
  let norm = 0;
  for (const [i, expected] of data.entries()) {
    error += (values[Math.floor(i / kept) * channels + (i % kept) * every]! - expected) ** 2;
    norm += expected ** 2;
  }
  const relative = Math.sqrt(error / norm);
  assert.ok(relative < TOLERANCE, `${name}: ${relative}`);
}

test('ResNet-50 gives the C2 to C5 of torchvision', async () => {
  const golden = readGolden('resnet50');
  const { backbone } = outputsOf('baseline', 64, 96, (name) => name.replace(/^body\./, ''));
  for (const [i, map] of backbone.entries()) await assertMap(map, golden, `C${i + 2}`);
});

test('the full model of the report, cascade included, gives what PyTorch gives', async () => {
  const golden = readGolden('full');
  const { pyramid, features, first, second, refined } = outputsOf('full', 72, 100);
  for (const [i, map] of pyramid.entries()) await assertMap(map, golden, `P${i + 2}`);
  for (const [i, map] of features.entries()) await assertMap(map, golden, `context${i + 2}`);
  for (const [set, outputs] of [
    ['first', first],
    ['second', second!],
  ] as const) {
    await assertMap(outputs.logits, golden, `${set}.logits`);
    await assertMap(outputs.boxes, golden, `${set}.boxes`);
    await assertMap(outputs.landmarks!, golden, `${set}.landmarks`);
  }
  assert.equal(refined?.size, golden.tensor('first.decoded_boxes').data.length);
});

test('the published ResNet-50 network gives what PyTorch gives', async () => {
  const golden = readGolden('published_resnet50');
  const { first } = outputsOf('published-resnet50', 64, 96);
  await assertMap(first.logits, golden, 'logits');
  await assertMap(first.boxes, golden, 'boxes');
  await assertMap(first.landmarks!, golden, 'landmarks');
});

test.run();
