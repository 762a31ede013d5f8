import assert from 'node:assert/strict';
import { test } from 'uvu';
import { iouMatrix } from '../../src/detect/iou_matrix.js';
import { ArgumentError, DeviceMismatchError, DisposedError, LimitError, TapeError } from '../../src/gpu/errors.js';
import { Gpu } from '../../src/gpu/gpu.js';
import { Tape } from '../../src/autograd/tape.js';
import { requestDevice } from '../../src/node/device.js';
import { add } from '../../src/ops/add.js';
import { relu } from '../../src/ops/relu.js';
import { sum } from '../../src/ops/sum.js';
import { scope } from '../../src/tensor/scope.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { testDevice } from '../helpers/device.js';

const gpu = Gpu.of(testDevice);
const other = await requestDevice();
test.after(() => {
  other.destroy();
});

test('memory is back where it was after a tensor is disposed of', () => {
  const before = gpu.memory().bytes;
  const x = Tensor.from(testDevice, new Float32Array(1000), [10, 100]);
  assert.ok(gpu.memory().bytes >= before + 4000);
  x.dispose();
  x.dispose();
  assert.equal(gpu.memory().bytes, before);
});

test('a scope that throws leaves nothing behind', () => {
  const before = gpu.memory().bytes;
  assert.throws(
    () =>
      scope(() => {
        relu(Tensor.from(testDevice, [1, 2, 3], [3]));
        throw new RangeError('on purpose');
      }),
    RangeError,
  );
  assert.equal(gpu.memory().bytes, before);
});

test('a disposed tensor is named in the error', () => {
  const x = Tensor.from(testDevice, [1], [1], 'the lost one');
  x.dispose();
  assert.throws(
    () => relu(x),
    (error) => error instanceof DisposedError && error.message.includes('the lost one'),
  );
});

test('a tensor over the limit is refused before anything is allocated', () => {
  const before = gpu.memory().bytes;
  const elements = testDevice.limits.maxStorageBufferBindingSize / 4 + 4;
  assert.throws(() => Tensor.empty(testDevice, [elements]), LimitError);
  assert.equal(gpu.memory().bytes, before);
});

test('a rehearsal counts what a computation takes and runs none of it', () => {
  const { bytes } = gpu.memory();
  const { dispatches } = gpu.counters();
  const { peakBytes, largestBytes } = gpu.rehearse(() => {
    scope(() => {
      relu(Tensor.empty(testDevice, [1024]));
    });
  });
  assert.ok(largestBytes >= 4096 && peakBytes >= 8192, `${largestBytes} and ${peakBytes}`);
  assert.equal(gpu.memory().bytes, bytes);
  assert.equal(gpu.counters().dispatches, dispatches);
});

test('tensors of two devices are not mixed', () => {
  using a = Tensor.from(testDevice, [1], [1]);
  using b = Tensor.from(other, [1], [1]);
  assert.throws(() => add(a, b), DeviceMismatchError);
  using boxes = Tensor.from(testDevice, [1, 2, 3, 4], [1, 4]);
  using others = Tensor.from(other, [1, 2, 3, 4], [1, 4]);
  assert.throws(() => iouMatrix(boxes, others), DeviceMismatchError);
});

test('a read takes one submission and one wait', async () => {
  using x = Tensor.from(testDevice, [1, -2, 3], [3]);
  using y = relu(x);
  using z = add(x, y);
  const before = gpu.counters();
  assert.deepEqual([...(await z.read())], [2, -2, 6]);
  const now = gpu.counters();
  assert.equal(now.submissions - before.submissions, 1);
  assert.equal(now.reads - before.reads, 1);
});

test('a tape refuses a second backward and a loss that is no scalar', () => {
  using x = Tensor.from(testDevice, [1, 2], [2]);
  using tape = new Tape(testDevice);
  tape.watch(x);
  using loss = tape.record(() => sum(x));
  tape.backward(loss);
  assert.throws(() => {
    tape.backward(loss);
  }, TapeError);
  using y = tape.record(() => relu(x));
  assert.throws(() => {
    tape.backward(y);
  }, TapeError);
});

test('a tensor moved into another keeps its contents, its views and its place after the other handle is gone', async () => {
  const before = gpu.memory().bytes;
  const whole = Tensor.from(testDevice, new Float32Array(256).fill(9), [256]);
  const x = Tensor.from(testDevice, [1, -2, 3, 4, 5], [5]);
  const view = x.view([5, 1]);
  x.moveInto(whole, 64);
  const all = await whole.read();
  assert.deepEqual([...all.slice(62, 70)], [9, 9, 1, -2, 3, 4, 5, all[69]!]);
  assert.equal(all[72], 9);
  whole.dispose();
  x.write(Float32Array.of(-1, 2, -3, 4, -5));
  using y = relu(view);
  assert.deepEqual([...(await y.read())].map(Math.abs), [0, 2, 0, 4, 0]);
  assert.deepEqual([...(await view.read())], [-1, 2, -3, 4, -5]);
  gpu.clear(x.buffer);
  assert.deepEqual([...(await x.read())], [0, 0, 0, 0, 0]);
  const next = Tensor.zeros(testDevice, [64]);
  x.moveInto(next, 0);
  next.dispose();
  for (const tensor of [x, view]) tensor.dispose();
  y.dispose();
  assert.equal(gpu.memory().bytes, before);
});

test('a tensor is moved to aligned places with room for it only', () => {
  using whole = Tensor.zeros(testDevice, [128]);
  using x = Tensor.zeros(testDevice, [65]);
  for (const start of [-64, 32, 64, 128]) {
    assert.throws(() => {
      x.moveInto(whole, start);
    }, ArgumentError);
  }
  x.moveInto(whole, 0);
  assert.throws(() => {
    x.moveInto(whole, 0);
  }, ArgumentError);
});

test('a dispatch that reads one part of a tensor and writes another is refused', () => {
  using whole = Tensor.zeros(testDevice, [128]);
  using x = Tensor.zeros(testDevice, [4]);
  using y = Tensor.zeros(testDevice, [4]);
  x.moveInto(whole, 0);
  y.moveInto(whole, 64);
  assert.throws(() => {
    gpu.run('relu', { params: { count4: 1, slope: 0 }, buffers: { x: x.buffer, y: y.buffer }, grid: [1, 1, 1] });
  }, ArgumentError);
});

test.run();
