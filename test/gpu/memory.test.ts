import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { queryObjects } from 'node:v8';
import { test } from 'uvu';
import { BEING_ENCODED, BufferPool, largestTensor } from '../../src/gpu/buffers.js';
import { Gpu } from '../../src/gpu/gpu.js';
import { requestDevice } from '../../src/node/device.js';
import { relu } from '../../src/ops/relu.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { testDevice as device } from '../helpers/device.js';
import { testUnless } from '../helpers/unless.js';

const gpu = Gpu.of(device);
const MIB = 2 ** 20;

/** A pool over buffers that are only counted, with a clock and a submission number of its own. */
function counted() {
  const state = { destroyed: 0, now: 0, submission: 1, submitted: 0 };
  const pool = new BufferPool({
    limit: 2 ** 30,
    create: () => ({ destroy: () => state.destroyed++ }) as unknown as GPUBuffer,
    submission: () => state.submission,
    submit: () => {
      state.submission++;
      state.submitted++;
    },
    now: () => state.now,
  });
  return { pool, state };
}

test('what is released in a step beyond 1 GiB is taken again in the same step', () => {
  const { pool } = counted();
  const many = Array.from({ length: 24 }, () => pool.acquire(100 * MIB, 'activation'));
  for (const buffer of many) pool.release(buffer);
  const { made } = pool;
  for (const buffer of many.map(() => pool.acquire(100 * MIB, 'gradient'))) pool.release(buffer);
  assert.equal(pool.made, made);
  assert.equal(pool.memory().peakDeviceBytes, 24 * 100 * MIB);
});

test('buffers of another size make room for new ones: in use and kept stay near what was needed', () => {
  const { pool, state } = counted();
  for (let size = 300; size < 340; size += 5) pool.release(pool.acquire(size * MIB, 'picture'));
  const { deviceBytes, pooledBytes } = pool.memory();
  assert.ok(deviceBytes <= 1.25 * 340 * MIB, `${deviceBytes} bytes`);
  assert.equal(pooledBytes, deviceBytes);
  assert.ok(state.destroyed > 0);
});

test('what commands still name is submitted before it is destroyed, and counts until the device has done them', () => {
  const { pool, state } = counted();
  const buffer = pool.acquire(256 * MIB, 'activation');
  buffer.block.usedAt = state.submission;
  pool.release(buffer);
  pool.trim();
  assert.deepEqual([state.submitted, state.destroyed], [1, 1]);
  assert.equal(pool.memory().deviceBytes, 256 * MIB);
  pool.done(1);
  assert.equal(pool.memory().deviceBytes, 0);
});

test('what a plan is encoding lives, however long ago its memory was needed', () => {
  const { pool, state } = counted();
  const [encoding, other] = [pool.acquire(400 * MIB, 'of the plan'), pool.acquire(500 * MIB, 'of nobody')];
  encoding.block.usedAt = BEING_ENCODED;
  for (const buffer of [encoding, other]) pool.release(buffer);
  for (let i = 0; i < 2; i++) {
    state.now += 10_000;
    pool.tidy();
  }
  assert.deepEqual([encoding.block.destroyed, other.block.destroyed], [false, true]);
});

test('beyond what was needed lately, buffers of a plan serve others before new ones are made', () => {
  const { pool } = counted();
  const step = (plans: number) => {
    const all = Array.from({ length: 8 }, (_, i) => pool.acquire((100 - i) * MIB, 'activation'));
    for (const { block } of all) block.plans += plans;
    for (const buffer of all) pool.release(buffer);
  };
  step(1);
  const { deviceBytes } = pool.memory();
  const { made } = pool;
  // Another shape of the same step, which is not recorded yet.
  step(0);
  assert.equal(pool.made, made);
  assert.equal(pool.memory().peakDeviceBytes, deviceBytes);
  // Below that there is room for both.
  const small = counted().pool;
  for (const plans of [1, 0]) {
    const buffer = small.acquire(MIB, 'activation');
    buffer.block.plans += plans;
    small.release(buffer);
  }
  assert.equal(small.made, 2);
});

test('what was needed long ago is no longer kept', () => {
  const { pool, state } = counted();
  pool.release(pool.acquire(900 * MIB, 'large'));
  for (let i = 0; i < 2; i++) {
    state.now += 10_000;
    pool.tidy();
  }
  assert.equal(pool.memory().deviceBytes, 0);
});

test('a rehearsal tells the bytes that the device will hold', () => {
  const compute = () => {
    using x = Tensor.empty(gpu, [1_000_003]);
    relu(x).dispose();
    relu(x).dispose();
  };
  const { deviceBytes, peakBytes } = gpu.rehearse(compute);
  gpu.trim();
  gpu.resetPeakMemory();
  const before = gpu.memory().deviceBytes;
  compute();
  assert.equal(gpu.memory().peakDeviceBytes - before, deviceBytes);
  assert.ok(peakBytes <= deviceBytes && deviceBytes <= peakBytes * (1 + 1 / 32), `${peakBytes}, ${deviceBytes}`);
});

test('trim gives kept memory back at once; bind groups of buffers that live on survive it', async () => {
  using x = Tensor.from(device, new Float32Array(1000), [1000]);
  using y = Tensor.empty(device, [1000]);
  const run = () => {
    gpu.run('relu', { params: { count4: 250, slope: 0 }, buffers: { x: x.buffer, y: y.buffer }, grid: [4, 1, 1] });
  };
  run();
  relu(x).dispose();
  await gpu.finish();
  assert.ok(gpu.memory().pooledBytes > 0);
  gpu.trim();
  const { pooledBytes, deviceBytes } = gpu.memory();
  assert.equal(pooledBytes, 0);
  assert.ok(deviceBytes <= 2 * 4096 + 512, `${deviceBytes} bytes`);
  const { bindGroups } = gpu.counters();
  run();
  assert.equal(gpu.counters().bindGroups, bindGroups);
});

test('kept memory goes back by itself after a while without use', async () => {
  const other = Gpu.of(await requestDevice());
  other.idleAfter = 40;
  using held = Tensor.zeros(other, [64]);
  Tensor.zeros(other, [1_000_000]).dispose();
  assert.ok(other.memory().pooledBytes > 4_000_000);
  await other.finish();
  await sleep(200);
  assert.equal(other.memory().pooledBytes, 0);
  assert.equal(other.memory().deviceBytes, held.buffer.capacity);
  other.device.destroy();
});

/** llvmpipe keeps buffers in files of memory, which Linux counts by itself. */
const elsewhere =
  process.platform === 'linux' && gpu.info.description.includes('llvmpipe')
    ? undefined
    : 'only llvmpipe shows its memory';

testUnless(elsewhere)('what is trimmed goes back to the system, though nothing is submitted after it', async () => {
  const shared = (): number => Number(/RssShmem:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 1024;
  using x = Tensor.zeros(gpu, [32 * MIB]);
  await gpu.finish();
  const held = shared();
  x.dispose();
  gpu.trim();
  const deadline = performance.now() + 10_000;
  while (shared() > held - 100 && performance.now() < deadline) await sleep(10);
  assert.ok(shared() <= held - 100, `${held} MiB, then ${shared()}`);
  assert.equal(gpu.memory().pooledBytes, 0);
});

test('a device that is waited for is not idle, however long it takes', async () => {
  const other = Gpu.of(await requestDevice());
  other.idleAfter = 10;
  using x = Tensor.zeros(other, [1024, 1024]);
  Tensor.zeros(other, [1_000_000]).dispose();
  // Some hundred milliseconds on a CPU; a GPU that is done before anyone looks shows nothing.
  for (let i = 0; i < 200; i++) relu(x).dispose();
  let kept = Infinity;
  const look = setInterval(() => {
    kept = Math.min(kept, other.memory().pooledBytes);
  }, 5);
  await other.finish();
  clearInterval(look);
  assert.ok(kept > 4_000_000, `${kept} bytes were kept while it was waited for`);
  await sleep(200);
  assert.equal(other.memory().pooledBytes, 0);
  other.device.destroy();
});

test('uploads to new tensors do not end a submission', async () => {
  await gpu.finish();
  const before = gpu.counters().submissions;
  const results = Array.from({ length: 8 }, (_, i) => {
    using x = Tensor.from(device, [i, -i], [2]);
    return relu(x);
  });
  const values = await results[7]!.read();
  assert.deepEqual([...values], [7, 0]);
  assert.equal(gpu.counters().submissions, before + 1);
  for (const result of results) result.dispose();
});

test('a submission ends after so many dispatches', async () => {
  await gpu.finish();
  const before = gpu.counters().submissions;
  using x = Tensor.from(device, [1], [1]);
  for (let i = 0; i < 600; i++) relu(x).dispose();
  await gpu.finish();
  assert.equal(gpu.counters().submissions, before + 3);
});

test('reads leave nothing behind in JavaScript, however many there are', async () => {
  using x = Tensor.from(device, [1], [1]);
  const promises = async (reads: number): Promise<number> => {
    for (let i = 0; i < reads; i++) await x.read();
    return queryObjects(Promise, { format: 'count' });
  };
  const before = await promises(20);
  assert.ok((await promises(200)) < before + 20, 'a promise of each read is held by something that lives on');
});

test('a profile of more than 2,048 dispatches has all of them', async () => {
  if (!device.features.has('timestamp-query')) return;
  using x = Tensor.from(device, [1], [1]);
  const timings = await gpu.profile(() => {
    for (let i = 0; i < 2100; i++) relu(x).dispose();
  });
  assert.equal(timings.length, 2100);
  assert.ok(timings.every(({ kernel, nanoseconds }) => kernel === 'relu' && nanoseconds >= 0));
});

test('a profile runs each dispatch as often as it is told to, and times one run', async () => {
  if (!device.features.has('timestamp-query')) return;
  using x = Tensor.from(device, [1, 2, 3, 4], [4]);
  using y = Tensor.zeros(device, [4]);
  const add = (): void => {
    gpu.run('bucket_add', {
      params: { count: 4, start4: 0, scale: 1 },
      buffers: { x: x.buffer, y: y.buffer },
      conditions: { more: true },
      grid: [1, 1, 1],
    });
  };
  const timings = await gpu.profile(
    () => {
      add();
      add();
    },
    (index) => [10, 3][index]!,
  );
  assert.equal(timings.length, 2);
  assert.deepEqual([...(await y.read())], [13, 26, 39, 52]);
});

test('a binding limit of 2³² − 1 is a tensor of whole pieces of 256 bytes', () => {
  const limits = { maxStorageBufferBindingSize: 2 ** 32 - 1, maxBufferSize: 2 ** 34 } as GPUSupportedLimits;
  assert.equal(largestTensor(limits), 2 ** 32 - 256);
});

test.run();
