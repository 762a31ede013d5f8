import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import { matchState } from '../../src/weights/match.js';
import { toParameterNames } from '../../src/weights/names.js';
import { readWeights } from '../../src/weights/read.js';
import { recogniseBackbone, recogniseConfiguration } from '../../src/weights/recognise.js';
import { readSafetensors, writeSafetensors } from '../../src/weights/safetensors.js';
import type { StateDict } from '../../src/weights/state.js';
import { isBookkeeping } from '../../src/weights/state.js';
import { noSharedData, sharedData } from '../helpers/shared_data.js';
import { tensorsOfShapes } from './shapes.js';
import { refuses } from './torch_files.js';
import { testUnless } from '../helpers/unless.js';

/** The names and shapes of a published model, as PyTorch printed them. */
function printedShapes(model: string): Map<string, readonly number[]> {
  const lines = readFileSync(sharedData(`golden/state_dict_${model}.txt`), 'utf8')
    .trim()
    .split('\n');
  const shapes = lines.map((line): [string, readonly number[]] => {
    const [name, shape] = line.split('\t');
    return [name!, JSON.parse(shape!) as number[]];
  });
  return new Map(shapes.filter(([name]) => !isBookkeeping(name)));
}

async function read(name: string): Promise<StateDict> {
  return readWeights(readFileSync(sharedData(`checkpoints/${name}`)), name);
}

for (const name of ['mobilenet0.25_Final.pth', 'mobilenet0.25_zip_format.pth']) {
  testUnless(noSharedData)(`${name} holds the published MobileNet-0.25, tensor by tensor`, async () => {
    const tensors = await read(name);
    const shapes = printedShapes('mobilenet0.25');
    assert.deepEqual(
      [...tensors].map(([tensor, { shape }]) => [tensor, shape]),
      [...shapes],
    );
    matchState(toParameterNames(tensors), shapes, name);
    assert.equal(recogniseConfiguration(tensors), 'published-mobilenet0.25');
  });
}

testUnless(noSharedData)('the published weights have the values that PyTorch trained on from', async () => {
  const tensors = await read('mobilenet0.25_Final.pth');
  const parameters = [...tensors].filter(([name]) => !/running_(mean|var)$/.test(name));
  assert.equal(
    parameters.reduce((sum, [, { data }]) => sum + data.length, 0),
    426_608,
  );
  // torch.load(…)['ClassHead.0.conv1x1.bias'] and the first row of the first kernel.
  assert.deepEqual(
    [...tensors.get('ClassHead.0.conv1x1.bias')!.data],
    [0.581957698, -0.562605858, 0.595640779, -0.613205135].map(Math.fround),
  );
  assert.deepEqual(
    [...tensors.get('body.stage1.0.0.weight')!.data.subarray(0, 3)],
    [0.104972892, -0.00853274018, -0.0575710684].map(Math.fround),
  );
});

testUnless(noSharedData)('the ImageNet-trained MobileNet-0.25 fits the published body', async () => {
  const tensors = await read('mobilenetV1X0.25_pretrain.tar');
  assert.equal(recogniseBackbone(tensors), 'mobilenet0.25-backbone');
  assert.equal(recogniseConfiguration(tensors), undefined);
  const named = toParameterNames(tensors);
  const shapes = printedShapes('mobilenet0.25');
  const bodies = [...shapes.keys()].filter((name) => name.startsWith('body.'));
  assert.deepEqual([...named.keys()], bodies);
  matchState(named, shapes, 'backbone', { allowMissing: true });
  await refuses(() => {
    matchState(named, shapes, 'backbone');
  }, /118 missing/);
});

testUnless(noSharedData)('the names and shapes of the published ResNet-50 are recognised', () => {
  const shapes = Object.fromEntries(printedShapes('resnet50'));
  assert.equal(recogniseConfiguration(tensorsOfShapes(shapes)), 'published-resnet50');
  const body = Object.entries(shapes).filter(([name]) => name.startsWith('body.'));
  const classifier = tensorsOfShapes(
    Object.fromEntries(body.map(([name, shape]) => [name.slice('body.'.length), shape])),
  );
  classifier.set('fc.bias', { shape: [1000], data: new Float32Array() });
  assert.equal(recogniseBackbone(classifier), 'resnet50-backbone');
  assert.deepEqual([...toParameterNames(classifier).keys()], body.map(([name]) => name)); // prettier-ignore
});

testUnless(noSharedData)('published weights survive safetensors bit by bit', async () => {
  const tensors = await read('mobilenet0.25_Final.pth');
  assert.deepEqual(readSafetensors(writeSafetensors(tensors), 'x').tensors, tensors);
});

testUnless(noSharedData)('a safetensors file from elsewhere is read whole', () => {
  const bytes = readFileSync(sharedData('golden/deform_conv_small.safetensors'));
  const { tensors } = readSafetensors(bytes, 'golden');
  assert.ok(tensors.size > 0);
  for (const [name, { data }] of tensors) assert.ok(data.every(Number.isFinite), name);
});

testUnless(noSharedData)('a published file that is cut short anywhere is refused', async () => {
  for (const name of ['mobilenet0.25_Final.pth', 'mobilenet0.25_zip_format.pth']) {
    const whole = readFileSync(sharedData(`checkpoints/${name}`));
    for (const part of [0.001, 0.01, 0.026, 0.03, 0.5, 0.999]) {
      const cut = whole.subarray(0, Math.floor(whole.length * part));
      await refuses(() => readWeights(cut, name), /Fetch|fetch/i, `${name} × ${part}`);
    }
    await refuses(() => readWeights(whole.subarray(0, -1), name), /fetch/, name);
  }
});

test.run();
