import assert from 'node:assert/strict';
import { test } from 'uvu';
import { ShapeError } from '../../src/gpu/errors.js';
import { elementCount, hwioToOihw, oihwToHwio, withoutBookkeeping } from '../../src/weights/state.js';
import { refuses } from './torch_files.js';

test('a weight [out, in, h, w] becomes [h, w, in, out], value by value', () => {
  const [o, i, h, w] = [2, 3, 4, 5];
  const data = Float32Array.from({ length: o * i * h * w }, (_, index) => index);
  const hwio = oihwToHwio(data, [o, i, h, w]);
  assert.deepEqual(hwio.shape, [h, w, i, o]);
  for (let a = 0; a < o; a++) {
    for (let b = 0; b < i; b++) {
      for (let y = 0; y < h; y++) {
        for (let x = 0; x < w; x++) {
          assert.equal(hwio.data[((y * w + x) * i + b) * o + a], data[((a * i + b) * h + y) * w + x]);
        }
      }
    }
  }
  assert.deepEqual(hwioToOihw(hwio.data, hwio.shape), { shape: [o, i, h, w], data });
});

test('a depthwise weight [c, 1, h, w] becomes [h, w, 1, c]', () => {
  const { shape, data } = oihwToHwio(Float32Array.of(1, 2, 3, 4, 5, 6), [3, 1, 1, 2]);
  assert.deepEqual(shape, [1, 2, 1, 3]);
  assert.deepEqual([...data], [1, 3, 5, 2, 4, 6]);
});

test('a shape of other than four axes, or other data, has no such layout', () => {
  assert.throws(() => oihwToHwio(new Float32Array(6), [2, 3]), ShapeError);
  assert.throws(() => hwioToOihw(new Float32Array(5), [1, 2, 3, 1]), ShapeError);
});

test('a product beyond exact integers is not counted', () => {
  assert.equal(elementCount([]), 1);
  assert.equal(elementCount([3, 0, 2]), 0);
  assert.equal(elementCount([2 ** 30, 2 ** 30]), undefined);
  assert.equal(elementCount([2 ** 30, 2 ** 30, 0]), undefined);
  assert.equal(elementCount([-1]), undefined);
  assert.equal(elementCount([1.5]), undefined);
});

test('the prefix of DataParallel and the step counters are left out', async () => {
  const tensor = { shape: [1], data: Float32Array.of(1) };
  const tensors = new Map([
    ['module.a.weight', tensor],
    ['module.a.num_batches_tracked', tensor],
    ['b.weight', tensor],
  ]);
  assert.deepEqual([...withoutBookkeeping(tensors, 'x').keys()], ['a.weight', 'b.weight']);
  tensors.set('module.b.weight', tensor);
  await refuses(() => withoutBookkeeping(tensors, 'x'), /b\.weight both with and without/);
});

test.run();
