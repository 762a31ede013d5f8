import assert from 'node:assert/strict';
import { test } from 'uvu';
import { faceTargets } from '../../src/data/batch.js';
import { Gpu } from '../../src/gpu/gpu.js';
import { testDevice as device } from '../helpers/device.js';

test('lists of faces are padded to the longest, with landmarks where there are any', async () => {
  const before = Gpu.of(device).memory().bytes;
  const landmarks = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
  const targets = faceTargets(device, [
    [{ box: [1, 2, 3, 4] }, { box: [5, 6, 7, 8], landmarks }],
    [],
    [{ box: [9, 9, 10, 11] }],
  ]);
  assert.deepEqual(targets.boxes.shape, [3, 2, 4]);
  assert.deepEqual(
    [...(await targets.boxes.read())],
    [1, 2, 3, 4, 5, 6, 7, 8, ...Array<number>(8).fill(0), 9, 9, 10, 11, 0, 0, 0, 0],
  );
  assert.deepEqual(targets.landmarks.shape, [3, 2, 10]);
  const points = [...(await targets.landmarks.read())];
  assert.deepEqual(points, [...Array<number>(10).fill(0), ...landmarks, ...Array<number>(40).fill(0)]);
  assert.deepEqual([...(await targets.annotated.read())], [0, 1, 0, 0, 0, 0]);
  assert.deepEqual([...(await targets.counts.read())], [2, 0, 1]);
  targets[Symbol.dispose]();
  assert.equal(Gpu.of(device).memory().bytes, before);
});

test('a batch without any face has room for one', async () => {
  using targets = faceTargets(device, [[], []]);
  assert.deepEqual(targets.boxes.shape, [2, 1, 4]);
  assert.deepEqual([...(await targets.counts.read())], [0, 0]);
});

test.run();
