import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import { DeviceLostError } from '../../src/gpu/errors.js';
import { Gpu } from '../../src/gpu/gpu.js';
import { flatGrid } from '../../src/gpu/grid.js';
import { kernels } from '../../src/gpu/kernel_table.js';
import { type KernelName, linkKernel } from '../../src/gpu/linker.js';
import { sizeClass } from '../../src/gpu/buffers.js';
import { requestDevice } from '../../src/node/device.js';
import { relu } from '../../src/ops/relu.js';
import { scope } from '../../src/tensor/scope.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { testDevice as device } from '../helpers/device.js';

const gpu = Gpu.of(device);

test('one device has one Gpu', () => {
  assert.equal(Gpu.of(device), gpu);
});

test('size classes waste at most an eighth and never shrink', () => {
  for (let bytes = 1; bytes < 5_000_000; bytes = Math.ceil(bytes * 1.37)) {
    const size = sizeClass(bytes);
    assert.ok(size >= bytes, `${bytes} in ${size}`);
    assert.ok(size <= Math.max(256, bytes * 1.125 + 32), `${bytes} in ${size}`);
  }
});

test('a grid too long for one dimension folds and covers every invocation', () => {
  for (const count of [0, 1, 64, 65, 65_535 * 64, 65_536 * 64, 10_000_000]) {
    const [x, y, z] = flatGrid(count, 64);
    assert.ok(x <= 65_535 && y <= 65_535 && z === 1);
    assert.ok(x * y * 64 >= count);
  }
});

test('kernels that a rehearsal found are compiled beforehand: their first use makes no pipeline', async () => {
  const own = await requestDevice({ defaultLimits: true });
  const other = Gpu.of(own);
  const compute = (): Tensor => {
    using x = Tensor.zeros(own, [4]);
    return relu(x);
  };
  await other.prepare(
    other.rehearse(() => {
      compute().dispose();
    }),
  );
  const { pipelines } = other.counters();
  assert.ok(pipelines > 0);
  using y = compute();
  assert.deepEqual([...(await y.read())], [0, 0, 0, 0]);
  assert.equal(other.counters().pipelines, pipelines);
  own.destroy();
});

test('a kernel computes past 65,535 workgroups', async () => {
  const count = 65_536 * 64 * 4 + 12;
  using x = Tensor.from(device, new Float32Array(count).fill(-1).fill(5, count - 1), [count]);
  using y = relu(x);
  const values = await y.read();
  assert.equal(values[count - 1], 5);
  // Compared as numbers: -0 is 0.
  assert.ok(values[count - 2] === 0);
});

test('data of a length that is no multiple of four bytes is uploaded whole', async () => {
  using x = Tensor.zeros(device, [2], { dtype: 'u32' });
  gpu.upload(x.buffer, Uint8Array.from([1, 2, 3, 4, 5]));
  assert.deepEqual([...(await x.read())], [0x04030201, 5]);
});

test('an upload does not reach commands that were encoded before it', async () => {
  using x = Tensor.from(device, [1], [1]);
  using y = relu(x);
  x.write(Float32Array.of(2));
  assert.deepEqual([...(await y.read())], [1]);
});

test('the same kernel is compiled once', async () => {
  using x = Tensor.from(device, [1, 2], [2]);
  relu(x).dispose();
  const before = gpu.counters().pipelines;
  relu(x).dispose();
  await gpu.finish();
  assert.equal(gpu.counters().pipelines, before);
});

test('every kernel links without conditions, and its errors point at its own file', () => {
  for (const [name, kernel] of Object.entries(kernels)) {
    const constants = Object.fromEntries(kernel.constants.map((constant) => [constant, 4]));
    const linked = linkKernel(name as KernelName, {}, constants);
    const main = linked.code.indexOf('fn main');
    assert.notEqual(main, -1, name);
    const line =
      readFileSync(kernel.file!, 'utf8')
        .split('\n')
        .findIndex((text) => text.includes('fn main')) + 1;
    assert.equal(linked.locate(main), `${kernel.file!}:${line}`);
  }
});

test('a buffer that a dispatch both reads and writes is refused by name; two parts of one may be written', () => {
  using one = Tensor.from(device, [1], [1]);
  const clash = () => {
    gpu.run('relu', { params: { count4: 1, slope: 0 }, buffers: { x: one.buffer, y: one.buffer }, grid: [1, 1, 1] });
  };
  assert.throws(clash, { name: 'ArgumentError', message: /relu.*`y`/ });
  using whole = Tensor.zeros(device, [192]);
  const [first, second, overlapping] = [[0, 64] as const, [64, 64] as const, [0, 128] as const].map(([start, size]) =>
    whole.part(start, [size]),
  ) as [Tensor, Tensor, Tensor];
  const run = (x: Tensor, gradGamma: Tensor, gradBeta: Tensor) => () => {
    scope(() => {
      const zeros = Tensor.zeros(device, [64]).buffer;
      const inputs = { sum: x.buffer, product: zeros, mean: zeros, inverse: zeros, gamma: zeros };
      const outputs = { grad_gamma: gradGamma.buffer, grad_beta: gradBeta.buffer };
      gpu.run('batch_norm_backward_affine', {
        params: { chunks: 1, channels: 4, share: 0 },
        buffers: { ...inputs, ...outputs, coefficients: Tensor.empty(device, [4, 64]).buffer },
        constants: { SHARES: 1 },
        grid: [1, 1, 1],
      });
    });
  };
  using x = Tensor.zeros(device, [64]);
  run(x, first, second)();
  assert.throws(run(x, overlapping, second), { name: 'ArgumentError', message: /`grad_beta`/ });
  assert.throws(run(first, second, x), { name: 'ArgumentError', message: /`grad_gamma`/ });
  for (const part of [first, second, overlapping]) part.dispose();
});

test('a lost device is a DeviceLostError with its remedy, as an event and on the next call', async () => {
  const other = await requestDevice();
  const x = Tensor.from(other, [1], [1]);
  other.destroy();
  const lost = await Gpu.of(other).lost;
  assert.ok(lost instanceof DeviceLostError);
  assert.match(lost.remedy, /requestDevice/);
  assert.throws(() => relu(x), { name: 'DeviceLostError' });
  await assert.rejects(x.read(), { name: 'DeviceLostError' });
});

test.run();
