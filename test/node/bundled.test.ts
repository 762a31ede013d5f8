// The weights in the box, on the drawn scenes in the box.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import { evaluateModel } from '../../src/evaluate/evaluate_model.js';
import { groundTruthFromSamples } from '../../src/evaluate/ground_truth.js';
import { iouOf } from '../../src/image/face.js';
import { parseJsonLines, readImage, RetinaFace } from '../../src/node/index.js';
import { folderSource } from '../../src/node/picture_loader.js';
import { BUNDLED_WEIGHTS } from '../../src/retinaface/bundled.js';
import { namedWeights } from '../../src/retinaface/weights_source.js';
import { PUBLIC_WEIGHTS } from '../../src/weights/catalogue.js';
import { testDevice as device } from '../helpers/device.js';
import { noSharedData, sharedData } from '../helpers/shared_data.js';
import { testUnless } from '../helpers/unless.js';

const pictures = fileURLToPath(new URL('../../fixtures/pictures/', import.meta.url));

test('without a source the weights in the box are loaded, and they are of one network', async () => {
  using model = new RetinaFace(device);
  const stages = new Set<string>();
  await model.load(undefined, { onProgress: ({ stage }) => stages.add(stage) });
  assert.equal(model.configuration?.name, 'published-mobilenet0.25');
  assert.deepEqual([...stages], ['read', 'parse', 'upload']);
  using other = new RetinaFace(device, 'context');
  await assert.rejects(other.load(), { name: 'WeightsError', message: /bundled weights[^]*context/ });
});

test('every file in the box is as long as its table says, at most 2 MB, and holds the network that it says', async () => {
  for (const { name, address, file, bytes, configuration } of BUNDLED_WEIGHTS) {
    assert.equal((await stat(address())).size, bytes, name);
    assert.ok(bytes <= 2_000_000, name);
    assert.ok(address().pathname.endsWith(`/${file}`), name);
    using model = new RetinaFace(device);
    await model.load(name);
    assert.equal(model.configuration?.name, configuration, name);
  }
});

test('names are told apart, and addresses of public weights are pinned', () => {
  for (const key of ['name', 'file'] as const) {
    const values = namedWeights().map((weights) => weights[key]);
    assert.equal(new Set(values).size, values.length, key);
  }
  for (const { name, addresses, sha256 } of PUBLIC_WEIGHTS) {
    assert.match(sha256, /^[0-9a-f]{64}$/, name);
    assert.ok(addresses.length > 0, name);
    for (const address of addresses) assert.match(address, /^https:\/\/.*\/[0-9a-f]{40}\//, name);
  }
});

test('what is no name and no file is an error that lists the names', async () => {
  using model = new RetinaFace(device);
  await assert.rejects(model.load('mobilenet0.25-wide'), {
    name: 'FileError',
    message: /mobilenet0\.25-wide: .*Weights with a name: .*faces.*synthetic.*mobilenet0\.25-wider/,
  });
  await assert.rejects(model.load('./synthetic'), ({ message }: Error) => !message.includes('with a name'));
});

const cache = await mkdtemp(join(tmpdir(), 'cache-'));
test.after(() => rm(cache, { recursive: true }));

test('a name of the catalogue is taken from the cache of the user, and nothing is fetched offline', async () => {
  process.env['XDG_CACHE_HOME'] = cache;
  process.env['RETINAFACE_OFFLINE'] = '1';
  using model = new RetinaFace(device);
  await assert.rejects(model.load('mobilenet0.25-wider'), {
    name: 'WeightsError',
    message:
      /RETINAFACE_OFFLINE=1.*Fetch https:\/\/raw\.githubusercontent\.com\/.* and put it at .*mobilenet0\.25_Final\.pth/,
  });
});

testUnless(noSharedData)('the catalogue tells the size and the hash of the published checkpoint', async () => {
  await mkdir(join(cache, 'retinaface-webgpu/weights'), { recursive: true });
  const bytes = await readFile(sharedData('checkpoints/mobilenet0.25_Final.pth'));
  await writeFile(join(cache, 'retinaface-webgpu/weights/mobilenet0.25_Final.pth'), bytes);
  using model = new RetinaFace(device);
  await model.load('mobilenet0.25-wider');
  assert.equal(model.configuration?.name, 'published-mobilenet0.25');
});

test('the weights learnt from drawn scenes find the faces of those beside them', async () => {
  using model = new RetinaFace(device);
  await model.load('synthetic');
  const { samples } = parseJsonLines(await readFile(`${pictures}scenes.jsonl`, 'utf8'));
  // Faces that others nearly hide are labelled, too: most, not all, are to be found.
  const { easy } = await evaluateModel(model, folderSource(pictures, samples), groundTruthFromSamples(samples));
  assert.ok(easy > 0.8, `average precision ${easy}`);
  for (const { name, faces } of samples) {
    const found = await model.detect(await readImage(`${pictures}${name}`));
    const points = found.map(({ landmarks }) => landmarks?.nose ?? { x: NaN, y: NaN });
    const clear = faces.filter(({ landmarks, box: [, y1, , y2] }) => landmarks && y2 - y1 > 64);
    for (const {
      landmarks,
      box: [x1, y1, x2, y2],
    } of clear) {
      const [noseX, noseY] = [landmarks![4]!, landmarks![5]!];
      const nearest = Math.min(...points.map(({ x, y }) => Math.hypot(x - noseX, y - noseY)));
      assert.ok(nearest < 0.2 * Math.hypot(x2 - x1, y2 - y1), `${name}: a nose is missed by ${nearest} pixels`);
    }
  }
});

testUnless(noSharedData)('the weights in the box find faces of photographs', async () => {
  using model = new RetinaFace(device);
  await model.load();
  using published = new RetinaFace(device);
  await published.load(sharedData('checkpoints/mobilenet0.25_Final.pth'));
  // Of the many small faces of the second, 20 of 28 are found when this is written: a few hang on the threshold, and
  // on what a driver rounds to.
  for (const [photo, faces, least] of [
    ['13', 3, 3],
    ['test', 28, 18],
  ] as const) {
    const picture = await readImage(sharedData(`photos/${photo}.jpg`));
    const expected = await published.detect(picture, { scoreThreshold: 0.5 });
    const found = await model.detect(picture, { scoreThreshold: 0.5 });
    const met = expected.filter(({ box }) => found.some((face) => iouOf(face.box, box) >= 0.5));
    assert.ok(Math.abs(expected.length - faces) <= 1, `${photo}: ${expected.length} faces by the public checkpoint`);
    assert.ok(met.length >= least, `${photo}: ${met.length} of ${expected.length} faces are found`);
    assert.ok(found.length - met.length <= 1, `${photo}: ${found.length} found, ${met.length} of them faces`);
  }
  const none = await readImage(sharedData('photos/no_face.jpg'));
  for (const size of ['original', 640] as const) assert.deepEqual(await model.detect(none, { size }), []);
});

test.run();
