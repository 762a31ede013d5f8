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
  const measured = () => {
    const { bytes, buffers, pooledBytes } = gpu.memory();
    return { bytes, buffers, pooledBytes, made: gpu.counters().buffers };
  };
  // Plans are recorded and replaced in the first rounds; no buffer is made after the seventh.
  for (let i = 0; i < 10; i++) await round();
  const before = measured();
  for (let i = 0; i < 50; i++) await round();
  assert.deepEqual(measured(), before);
  assert.ok(before.bytes > loaded, 'the cached anchors are all that came on top of the weights');
  model.dispose();
  assert.equal(gpu.memory().bytes, empty);
});

test.run();
