import assert from 'node:assert/strict';
import { test } from 'uvu';
import { AnchorCache } from '../../src/detect/anchor_cache.js';
import { anchorsFor } from '../../src/detect/anchors.js';
import { Gpu } from '../../src/gpu/gpu.js';
import { testDevice } from '../helpers/device.js';

const gpu = Gpu.of(testDevice);
const levels = [{ stride: 8, sizes: [16, 32] }];

test('anchors of a size are made once and are those of that size', async () => {
  using cache = new AnchorCache(gpu, levels);
  const first = cache.of(20, 12);
  assert.deepEqual(await first.read(), anchorsFor(levels, 20, 12));
  assert.equal(cache.of(20, 12), first);
  assert.notEqual(cache.of(12, 20), first);
});

test('pictures of a thousand sizes leave those of a few; the one in use stays', () => {
  const before = gpu.memory();
  const cache = new AnchorCache(gpu, levels);
  const used = cache.of(640, 640);
  for (let size = 32; size < 1032; size++) {
    cache.of(size, 32);
    assert.equal(cache.of(640, 640), used);
  }
  assert.ok(gpu.memory().buffers - before.buffers <= 16);
  cache.dispose();
  assert.deepEqual(gpu.memory().buffers, before.buffers);
});

test.run();
