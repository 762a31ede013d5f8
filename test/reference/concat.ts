import assert from 'node:assert/strict';
import { sizeOf, zeros, type Array64 } from './array64.js';

/** Joins arrays whose shapes differ only along `axis`; a negative axis counts from the end. */
export function concat(tensors: readonly Array64[], axis: number): Array64 {
  const shape = [...tensors[0]!.shape];
  const at = axis < 0 ? axis + shape.length : axis;
  for (const { shape: other } of tensors) assert.deepEqual(other.toSpliced(at, 1), shape.toSpliced(at, 1));
  shape[at] = tensors.reduce((total, tensor) => total + tensor.shape[at]!, 0);
  const output = zeros(shape);
  let position = 0;
  for (let row = 0; row < sizeOf(shape.slice(0, at)); row++)
    for (const tensor of tensors) {
      const length = sizeOf(tensor.shape.slice(at));
      output.data.set(tensor.data.subarray(row * length, (row + 1) * length), position);
      position += length;
    }
  return output;
}
