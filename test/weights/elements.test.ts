import assert from 'node:assert/strict';
import { test } from 'uvu';
import type { ElementType } from '../../src/weights/elements.js';
import { gatherElements, halfToNumber, rowMajorStrides } from '../../src/weights/elements.js';

test('halves have their values: zero, subnormal, least normal, greatest, infinite, NaN', () => {
  const values: [number, number][] = [
    [0x0000, 0],
    [0x8000, -0],
    [0x0001, 2 ** -24],
    [0x03ff, 1023 * 2 ** -24],
    [0x0400, 2 ** -14],
    [0x3c00, 1],
    [0xc100, -2.5],
    [0x7bff, 65504],
    [0x7c00, Infinity],
    [0xfc00, -Infinity],
    [0x7e00, NaN],
  ];
  for (const [bits, value] of values) assert.ok(Object.is(halfToNumber(bits), value), bits.toString(16));
});

test('every element type is read little-endian', () => {
  const cases: [ElementType, ArrayBufferView, number[]][] = [
    ['f64', Float64Array.of(1.5, -2), [1.5, -2]],
    ['f32', Float32Array.of(1.5, -2), [1.5, -2]],
    ['f16', Uint16Array.of(0x3c00, 0xc000), [1, -2]],
    ['bf16', Uint16Array.of(0x3f80, 0xc049), [1, -3.140625]],
    ['i64', BigInt64Array.of(-5n, 1n << 40n), [-5, 2 ** 40]],
    ['u64', BigUint64Array.of(5n, 1n << 63n), [5, 2 ** 63]],
    ['i32', Int32Array.of(-70000, 7), [-70000, 7]],
    ['u32', Uint32Array.of(2 ** 31, 7), [2 ** 31, 7]],
    ['i16', Int16Array.of(-300, 7), [-300, 7]],
    ['u16', Uint16Array.of(65535, 7), [65535, 7]],
    ['i8', Int8Array.of(-128, 7), [-128, 7]],
    ['u8', Uint8Array.of(255, 7), [255, 7]],
    ['bool', Uint8Array.of(2, 0), [1, 0]],
  ];
  for (const [type, values, expected] of cases) {
    // One byte in, so that nothing is aligned.
    const bytes = new Uint8Array(values.byteLength + 1);
    bytes.set(new Uint8Array(values.buffer), 1);
    const read = gatherElements(bytes.subarray(1), type, { offset: 0, shape: [2], strides: [1] });
    assert.deepEqual([...read], expected, type);
  }
});

test('strided views are gathered in row-major order', () => {
  const bytes = new Uint8Array(Float32Array.from({ length: 12 }, (_, i) => i).buffer);
  const gather = (offset: number, shape: number[], strides: number[]): number[] => [
    ...gatherElements(bytes, 'f32', { offset, shape, strides }),
  ];
  assert.deepEqual(gather(0, [4, 3], [1, 4]), [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]);
  assert.deepEqual(gather(1, [2, 2], [6, 2]), [1, 3, 7, 9]);
  assert.deepEqual(gather(5, [1, 3], [99, 1]), [5, 6, 7]);
  assert.deepEqual(gather(5, [], []), [5]);
  assert.deepEqual(gather(0, [0, 3], [3, 1]), []);
  assert.deepEqual(gather(2, [3], [0]), [2, 2, 2]);
  assert.deepEqual(gather(0, [2, 2], [1, 1]), [0, 1, 1, 2]);
  assert.deepEqual(rowMajorStrides([2, 3, 4]), [12, 4, 1]);
});

test('the values are a copy, even of a Node Buffer, whose slice is none', () => {
  const buffer = Buffer.from(Float32Array.of(1, 2).buffer);
  const read = gatherElements(buffer, 'f32', { offset: 0, shape: [2], strides: [1] });
  buffer.fill(0);
  assert.deepEqual([...read], [1, 2]);
});

test.run();
