import assert from 'node:assert/strict';
import { test } from 'uvu';
import { matchState } from '../../src/weights/match.js';
import type { StateTensor } from '../../src/weights/state.js';
import { refuses } from './torch_files.js';

const expected = new Map<string, readonly number[]>([
  ['a.weight', [2, 1]],
  ['a.bias', [2]],
]);

function tensors(): Map<string, StateTensor> {
  return new Map([
    ['a.weight', { shape: [2, 1], data: Float32Array.of(1, 2) }],
    ['a.bias', { shape: [2], data: Float32Array.of(3, 4) }],
  ]);
}

test('tensors of the right names and shapes match', () => {
  assert.doesNotThrow(() => {
    matchState(tensors(), expected, 'x');
  });
});

test('one error names all that is missing, extra, misshapen and not finite', async () => {
  const wrong = tensors();
  wrong.delete('a.bias');
  wrong.set('a.weight', { shape: [1, 2], data: Float32Array.of(1, NaN) });
  for (let i = 0; i < 7; i++) wrong.set(`x${i}`, { shape: [1], data: Float32Array.of(1) });
  await refuses(() => {
    matchState(wrong, expected, 'x.pth');
  }, /^read weights from x\.pth: expected the 2 tensors of the network, got 1 missing \(a\.bias\); 7 not of this network \(x0, x1, x2, x3, x4, … 2 more\); 1 of another shape \(a\.weight \[1, 2\] instead of \[2, 1\]\); 1 with NaN or infinity \(a\.weight\)\. Choose/);
});

test('NaN and infinity alone point to training', async () => {
  for (const value of [NaN, Infinity, -Infinity]) {
    const broken = tensors().set('a.bias', { shape: [2], data: Float32Array.of(0, value) });
    await refuses(() => {
      matchState(broken, expected, 'x');
    }, /1 with NaN or infinity \(a\.bias\).*diverged/);
  }
});

test('infinity among values that all fit halves points to the export, and NaN to training all the same', async () => {
  const match =
    (...data: number[]) =>
    () => {
      const weight = { shape: [16, 1], data: Float32Array.from({ length: 16 }, (_, i) => i / 16) };
      const bias = { shape: [2], data: Float32Array.from(data) };
      const state = new Map([['a.weight', weight], ['a.bias', bias]]); // prettier-ignore
      matchState(state, new Map([['a.weight', [16, 1]], ['a.bias', [2]]]), 'x'); // prettier-ignore
    };
  const half = /1 with NaN or infinity \(a\.bias\)\. Half precision ends at 65,504.*as float32/;
  for (const fits of [0, -65_504, 2 ** -24, 3 * 2 ** -15, 1 + 2 ** -10]) await refuses(match(fits, Infinity), half);
  for (const other of [65_520, 2 ** -25, 1 + 2 ** -11, 0.1]) await refuses(match(other, Infinity), /diverged/);
  await refuses(match(0, NaN), /diverged/);
});

test('missing tensors may be allowed, but not all of them, and nothing else with them', async () => {
  const part = tensors();
  part.delete('a.bias');
  assert.doesNotThrow(() => {
    matchState(part, expected, 'x', { allowMissing: true });
  });
  await refuses(() => {
    matchState(new Map(), expected, 'x', { allowMissing: true });
  }, /2 missing/);
  part.set('b', { shape: [1], data: Float32Array.of(1) });
  await refuses(() => {
    matchState(part, expected, 'x', { allowMissing: true });
  }, /got 1 not of this network \(b\)\./);
});

test('a transposed shape with as many values is another shape', async () => {
  const scalar = tensors().set('a.bias', { shape: [], data: Float32Array.of(1) });
  await refuses(() => {
    matchState(scalar, expected, 'x');
  }, /a\.bias \[\] instead of \[2\]/);
});

test.run();
