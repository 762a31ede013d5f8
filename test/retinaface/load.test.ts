// From a name, an address, bytes or tensors to a network, and what is said where there is none.
import assert from 'node:assert/strict';
import { test } from 'uvu';
import { Gpu } from '../../src/gpu/gpu.js';
import { configurations } from '../../src/retinaface/config.js';
import type { GivenConfiguration } from '../../src/retinaface/given_configuration.js';
import { RetinaFace } from '../../src/retinaface/retinaface.js';
import type { WeightsSource } from '../../src/retinaface/weights_source.js';
import { writeSafetensors } from '../../src/weights/safetensors.js';
import type { StateDict } from '../../src/weights/state.js';
import { testDevice as device } from '../helpers/device.js';
import { drawnPicture } from '../helpers/drawn_picture.js';
import { fileServer } from '../helpers/file_server.js';
import { formulaState } from '../helpers/formula_state.js';

const mobilenet = formulaState(Gpu.of(device), 'published-mobilenet0.25');

async function loaded(tensors: StateDict, configuration?: GivenConfiguration): Promise<RetinaFace> {
  const model = new RetinaFace(device, configuration);
  await model.load(writeSafetensors(tensors));
  return model;
}

const renamed = (rename: (name: string) => string): StateDict =>
  new Map([...mobilenet].map(([name, tensor]) => [rename(name), tensor]));

const nested = (name: string): string =>
  name
    .replace(/^body\.(stage\d\.\d+)\.([0134])\.(.+)$/, (_, block: string, i: string, rest: string) =>
      block === 'stage1.0' ? `body.${block}.${i}.${rest}` : `body.${block}.${Math.floor(+i / 3)}.${+i % 3}.${rest}`,
    )
    .replace(/^body\./, 'fx.')
    .replace(/^(Class|Bbox|Landmark)Head\.(\d)\.conv1x1/, (_, kind: string, level: string) => {
      const head = `${kind.toLowerCase()}_head`;
      return `${head}.${head}.${level}`;
    });

test('detectors of Lightning and of yakhyo/retinaface-pytorch are read as they are', async () => {
  assert.ok([...renamed(nested).keys()].includes('fx.stage2.5.1.0.weight'), 'the names are those of the other project');
  for (const rename of [(name: string) => `model.${name}`, nested]) {
    using model = await loaded(renamed(rename));
    assert.equal(model.configuration?.name, 'published-mobilenet0.25');
    const state = await model.state();
    for (const [name, { data }] of mobilenet) assert.deepEqual(state.get(name)?.data, data, name);
  }
});

test('a backbone alone is told as such, with what it is good for', async () => {
  const body = [...mobilenet].filter(([name]) => name.startsWith('body.'));
  const message = /got a mobilenet0\.25-backbone, which has no detector\. Start a training from it/;
  await assert.rejects(loaded(new Map(body)), { name: 'WeightsError', message });
  const classifier = new Map(body.map(([name, tensor]) => [name.slice('body.'.length), tensor]));
  classifier.set('fc.bias', { shape: [1], data: Float32Array.of(0) });
  await assert.rejects(loaded(classifier), { message });
  await assert.rejects(loaded(classifier, { name: 'published-mobilenet0.25' }), { message });
});

test('of tensors of another network the first missing, unexpected and misshapen are named', async () => {
  const without = new Map(mobilenet);
  without.delete('body.stage1.0.0.weight');
  without.set('fpn.output4.0.weight', { shape: [1], data: Float32Array.of(0) });
  await assert.rejects(loaded(without), {
    name: 'WeightsError',
    message:
      /another network, nearest to published-mobilenet0\.25; first missing: body\.stage1\.0\.0\.weight; first unexpected: fpn\.output4\.0\.weight\./,
  });
  const wider = new Map(mobilenet).set('body.stage1.0.0.weight', {
    shape: [16, 3, 3, 3],
    data: new Float32Array(16 * 27),
  });
  await assert.rejects(loaded(wider), {
    message: /; first of another shape: body\.stage1\.0\.0\.weight \[16, 3, 3, 3\] instead of \[8, 3, 3, 3\]\./,
  });
  const before = Gpu.of(device).memory().bytes;
  await assert.rejects(loaded(new Map([['encoder.weight', { shape: [1], data: Float32Array.of(0) }]])), {
    message: /1 tensors of another network, none of whose names is known; the first is encoder\.weight\./,
  });
  assert.equal(Gpu.of(device).memory().bytes, before, 'the comparison leaves nothing on the device');
});

test('weights that learnt from RGB find in a picture what others find in it with red and blue exchanged', async () => {
  using bgr = await loaded(mobilenet);
  using rgb = await loaded(mobilenet, { input: { order: 'rgb' } });
  assert.deepEqual(rgb.configuration, {
    ...configurations['published-mobilenet0.25'],
    input: { order: 'rgb', mean: [104, 117, 123], std: [1, 1, 1] },
  });
  const picture = drawnPicture(96, 80);
  const exchanged = Uint8Array.from(picture.data);
  for (let i = 0; i < exchanged.length; i += 4) [exchanged[i], exchanged[i + 2]] = [exchanged[i + 2]!, exchanged[i]!];
  const options = { maxFaces: 5 };
  const found = await bgr.detect(picture, options);
  assert.ok(found.length > 0);
  assert.deepEqual(await rgb.detect({ ...picture, data: exchanged }, options), found);
  assert.notDeepEqual(await rgb.detect(picture, options), found);
});

test('anchors of other edges give other boxes: half as large, around the same codes', async () => {
  const levels = configurations['published-mobilenet0.25'].levels.map(({ stride, sizes }) => ({
    stride,
    sizes: sizes.map((size) => size / 2),
  }));
  using whole = await loaded(mobilenet);
  using half = await loaded(mobilenet, { levels });
  const picture = drawnPicture(96, 80);
  // Without suppression, which looks at boxes, both have the same faces in the same order.
  const options = { maxFaces: 3, nmsThreshold: 1, scoreThreshold: 0.01 };
  const [a, b] = [await whole.detect(picture, options), await half.detect(picture, options)];
  assert.deepEqual(b.map(({ score }) => score), a.map(({ score }) => score)); // prettier-ignore
  for (const [i, { box }] of a.entries()) {
    const ratio = (b[i]!.box.x2 - b[i]!.box.x1) / (box.x2 - box.x1);
    assert.ok(Math.abs(ratio - 0.5) < 1e-3, `${ratio}`);
  }
});

test('a wrong field of a given configuration is an error that names it', () => {
  const make = (given: unknown) => () => new RetinaFace(device, given as GivenConfiguration);
  assert.throws(make({ input: { order: 'RGB' } }), { name: 'ArgumentError', message: /input\.order/ });
  assert.throws(make(null), { name: 'ArgumentError', message: /expected an object, got null/ });
});

test('an address is fetched with progress in bytes, and a signal ends it', async () => {
  const file = writeSafetensors(mobilenet);
  await using server = await fileServer({ '/w.safetensors': (response) => response.end(file) });
  using model = new RetinaFace(device);
  const read: number[] = [];
  const fractions: number[] = [];
  await model.load(`${server.origin}/w.safetensors`, {
    onProgress: ({ stage, fraction, loaded }) => {
      fractions.push(fraction);
      if (stage === 'read' && loaded !== undefined) read.push(loaded);
    },
  });
  assert.equal(read.at(-1), file.length);
  assert.deepEqual(fractions, [...fractions].sort((a, b) => a - b)); // prettier-ignore
  assert.equal(fractions.at(-1), 1);
  const reason = new Error('enough');
  await assert.rejects(
    model.load(new URL(`${server.origin}/w.safetensors`), { signal: AbortSignal.abort(reason) }),
    reason,
  );
});

test('what cannot be loaded is an error with what to do', async () => {
  await using server = await fileServer({ '/page': (response) => response.end('<!doctype html><p>Not here') });
  using model = new RetinaFace(device);
  const cases: readonly (readonly [source: unknown, message: RegExp])[] = [
    [`${server.origin}/no.pth`, /no\.pth: expected a file to download, got HTTP 404 Not Found\. Check the address/],
    [`${server.origin}/page`, /got an HTML page\. Fetch the file itself/],
    ['http://127.0.0.1:1/x', /expected a server that answers, got .*\. Check the address/],
    [new Blob(['version https://git-lfs.github.com/spec/v1\n']), /the given bytes.*got a Git LFS pointer\. Run "git/],
    [new File(['{}'], 'face.json'), /face\.json.*a JSON document/],
    [new ArrayBuffer(0), /an empty file/],
    [7, /expected a name, a path, an address, or the bytes of a file, got a value of type number/],
    [null, /got null/],
    [Promise.resolve('a'), /got a promise\. Write `await` before it/],
  ];
  for (const [source, message] of cases) {
    await assert.rejects(
      model.load(source as WeightsSource),
      (error) => error instanceof Error && 'remedy' in error && message.test(error.message),
      String(message),
    );
  }
});

test.run();
