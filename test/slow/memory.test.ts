// Memory over a thousand detections: what would leak a little at a time.
import assert from 'node:assert/strict';
import { test } from 'uvu';
import { Gpu } from '../../src/gpu/gpu.js';
import { RetinaFace } from '../../src/retinaface/retinaface.js';
import { testDevice as device } from '../helpers/device.js';
import { drawnPicture } from '../helpers/drawn_picture.js';
import { formulaState } from '../helpers/formula_state.js';

test('a thousand detections of varying sizes leave the memory as it was', async () => {
  const gpu = Gpu.of(device);
  const empty = gpu.memory().bytes;
  const model = new RetinaFace(device);
  model.loadState(formulaState(gpu, 'published-mobilenet0.25'), 'formula');
  const loaded = gpu.memory().bytes;
  // More sizes than anchors are cached for, so that the cache turns over again and again.
  const sizes = Array.from({ length: 20 }, (_, i) => drawnPicture(32 + 7 * i, 96 - 3 * i));
  const round = async (): Promise<void> => {
    for (const picture of sizes) await model.detect(picture);
  };
  for (let i = 0; i < 2; i++) await round();
  const before = gpu.memory();
  for (let i = 0; i < 50; i++) await round();
  const after = gpu.memory();
  assert.deepEqual([after.bytes, after.buffers, after.pooledBytes], [before.bytes, before.buffers, before.pooledBytes]);
  assert.ok(before.bytes > loaded, 'the cached anchors are all that came on top of the weights');
  model.dispose();
  assert.equal(gpu.memory().bytes, empty);
});

test.run();
