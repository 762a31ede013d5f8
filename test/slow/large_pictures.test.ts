// Pictures of 200 megapixels and arrays of many, on a device of the least limits. About 1.5 GB of memory, and a minute on two cores.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import type { Picture } from '../../src/image/picture.js';
import { readImage } from '../../src/node/files.js';
import { requestDevice, RetinaFace } from '../../src/node/index.js';
import { detectionOf } from '../../src/retinaface/detect_options.js';
import { Searcher } from '../../src/retinaface/searcher.js';

const device = await requestDevice({ defaultLimits: true });
const model = new RetinaFace(device);
await model.load();
const scene = await readImage(fileURLToPath(new URL('../../fixtures/pictures/scene_1.jpg', import.meta.url)));

test.after(() => {
  model.dispose();
  device.destroy();
});

/** The scene in the corner of a grey picture, each of its pixels repeated `times` times both ways. */
function sceneIn(width: number, height: number, times = 1): Picture {
  const pixels = new Uint32Array(width * height).fill(0xff808080);
  const source = new Uint32Array(Uint8Array.from(scene.data).buffer);
  for (let y = 0; y < Math.min(height, scene.height * times); y++) {
    const from = Math.floor(y / times) * scene.width;
    for (let x = 0; x < Math.min(width, scene.width * times); x++) {
      pixels[y * width + x] = source[from + Math.floor(x / times)]!;
    }
  }
  return { data: new Uint8Array(pixels.buffer), width, height };
}

test('200 megapixels are searched at size 1280, with the faces of the picture shrunk', async () => {
  const times = 15;
  const large = sceneIn(1280 * times, 700 * times, times);
  assert.ok(large.width * large.height > 200e6);
  const faces = await model.detect(large, { size: 1280 });
  const expected = await model.detect(sceneIn(1280, 700), { size: 1280 });
  assert.ok(expected.length > 0);
  assert.equal(faces.length, expected.length);
  for (const [i, { score, box }] of faces.entries()) {
    assert.ok(Math.abs(score - expected[i]!.score) < 1e-3);
    assert.ok(Math.abs(box.x1 / times - expected[i]!.box.x1) < 0.1);
  }
});

test('200 megapixels are searched at their own size in tiles, until that is no longer wanted', async () => {
  const large = sceneIn(16_000, 12_600);
  // The least tiles of all: what is shown of the first few holds for the others, which are as large.
  using searcher = new Searcher(model.gpu, model.network, 2 ** 27);
  const abort = new AbortController();
  const { reads } = model.gpu.counters();
  const search = searcher.search([large], detectionOf({ size: 'original' }), () => {
    abort.signal.throwIfAborted();
  });
  const ended = assert.rejects(search, { message: 'enough' });
  while (model.gpu.counters().reads < reads + 3) await sleep(10);
  abort.abort(new Error('enough'));
  await ended;
});

test('32 pictures of 1024×624 are searched in passes that fit, in order; each as it is alone', async () => {
  const pictures = Array.from({ length: 32 }, (_, i): Picture => {
    const picture = { data: new Uint8Array(1024 * 624 * 4).fill(128), width: 1024, height: 624 };
    // Some with faces, each another.
    return i % 8 === 3 ? { ...picture, data: sceneIn(1024, 624).data.fill(128, 4 * 1024 * (600 - 4 * i)) } : picture;
  });
  // The first layer's output of all of them, 8 channels at half the size, is beyond the device's largest tensor.
  assert.ok(32 * 512 * 312 * 8 * 4 > model.gpu.largestTensor);
  const { reads } = model.gpu.counters();
  const found = await model.detect(pictures, { size: { width: 1024, height: 624 } });
  assert.ok(model.gpu.counters().reads - reads > 1);
  for (const [i, faces] of found.entries()) {
    if (i % 8 !== 3) assert.deepEqual(faces, []);
    else assert.ok(faces.length > 0);
  }
  assert.deepEqual(found[27], await model.detect(pictures[27]!, { size: { width: 1024, height: 624 } }));
});

test.run();
