import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import { type MatlabArray, readMatlab } from '../../src/evaluate/matlab.js';
import { LabelError } from '../../src/gpu/errors.js';
import { noSharedData, sharedData } from '../helpers/shared_data.js';
import {
  cells,
  chars,
  compressed,
  concatBytes,
  doubles,
  element,
  matlabFile,
  matrix,
  numeric,
} from './matlab_files.js';
import { testUnless } from '../helpers/unless.js';

async function refuses(bytes: Uint8Array, message: RegExp): Promise<void> {
  await assert.rejects(readMatlab(bytes, 'x.mat'), (error) => {
    assert.ok(error instanceof LabelError, String(error));
    assert.match(error.message, message);
    assert.match(error.message, /x\.mat/);
    return true;
  });
}

const numbers = (array: MatlabArray | undefined): number[] => (array?.kind === 'numeric' ? [...array.data] : []);

test('numbers are read from whichever type stores them', async () => {
  const stored: readonly (readonly [type: number, array: ArrayBufferView, values: readonly number[]])[] = [
    [1, Int8Array.of(-3, 7), [-3, 7]],
    [2, Uint8Array.of(200), [200]],
    [3, Int16Array.of(-300, 5), [-300, 5]],
    [4, Uint16Array.of(60_000, 1, 2), [60_000, 1, 2]],
    [5, Int32Array.of(-70_000), [-70_000]],
    [6, Uint32Array.of(4_000_000_000), [4_000_000_000]],
    [7, Float32Array.of(0.5, -2), [0.5, -2]],
    [9, Float64Array.of(0.1, 1e300), [0.1, 1e300]],
    [12, BigInt64Array.of(-5n), [-5]],
    [13, BigUint64Array.of(9n), [9]],
  ];
  for (const [type, array, values] of stored) {
    const bytes = new Uint8Array(array.buffer);
    const file = await readMatlab(matlabFile([numeric(bytes, type, [1, values.length], 'x')]), 'x.mat');
    assert.deepEqual(numbers(file.get('x')), values, `type ${type}`);
  }
});

test('text, nested cells and empty ones are read, compressed or not', async () => {
  const empty = element(14, new Uint8Array(0));
  const list = cells([chars('a'), cells([doubles([1, 2], [2, 1]), empty]), chars('héé')], 'list');
  const file = await readMatlab(matlabFile([compressed(list), chars('', 'nothing'), cells([], 'none')]), 'x.mat');
  assert.deepEqual(file.get('list'), {
    kind: 'cell',
    shape: [3, 1],
    cells: [
      { kind: 'char', shape: [1, 1], text: 'a' },
      {
        kind: 'cell',
        shape: [2, 1],
        cells: [
          { kind: 'numeric', shape: [2, 1], data: Float64Array.of(1, 2) },
          { kind: 'numeric', shape: [0, 0], data: new Float64Array(0) },
        ],
      },
      { kind: 'char', shape: [1, 3], text: 'héé' },
    ],
  });
  assert.deepEqual(file.get('nothing'), { kind: 'char', shape: [1, 0], text: '' });
  assert.deepEqual(file.get('none'), { kind: 'cell', shape: [0, 1], cells: [] });
});

test('UTF-8 and one-byte text, and big-endian files, are read', async () => {
  const utf8 = matrix(4, [1, 3], [element(16, new TextEncoder().encode('nñn'))], { name: 'utf8' });
  const latin = matrix(4, [1, 2], [element(2, Uint8Array.of(0x68, 0x69), { small: true })], { name: 'one' });
  const file = await readMatlab(matlabFile([utf8, latin]), 'x.mat');
  assert.deepEqual(
    [...file.values()].map((array) => array.kind === 'char' && array.text),
    ['nñn', 'hi'],
  );
  const values = new Uint8Array(Float64Array.of(2.5).buffer).reverse();
  const big = matrix(6, [1, 1], [element(9, values, { little: false })], { name: 'longer', little: false });
  assert.deepEqual(numbers((await readMatlab(matlabFile([big], { little: false }), 'x.mat')).get('longer')), [2.5]);
});

test('variables that are not wanted are not read', async () => {
  const bytes = matlabFile([compressed(matrix(2, [1, 1], [], { name: 'labels' })), doubles([4], [1, 1], 'x')]);
  assert.deepEqual([...(await readMatlab(bytes, 'x.mat', ['x'])).keys()], ['x']);
  await refuses(bytes, /labels of the kind 'struct'/);
});

test('what is not known is refused with its name and place', async () => {
  const one = doubles([1], [1, 1], 'x');
  await refuses(new Uint8Array(10), /10 bytes, too few/);
  await refuses(new Uint8Array(200), /another kind of file/);
  await refuses(matlabFile([one], { version: 0x0200 }), /MATLAB 7\.3/);
  await refuses(matlabFile([one], { version: 0x0300 }), /version 0x300/);
  await refuses(matlabFile([element(9, new Uint8Array(8))]), /element of type 9 at byte 128/);
  await refuses(matlabFile([matrix(5, [1, 1], [], { name: 's' })]), /s of the kind 'sparse'/);
  await refuses(matlabFile([matrix(44, [1, 1], [], { name: 's' })]), /class 44/);
  await refuses(matlabFile([matrix(6, [1, 1], [], { name: 's', flags: 0x0800 })]), /complex/);
  await refuses(matlabFile([one, one]), /'x' twice at byte/);
  let deep = doubles([1], [1, 1]);
  for (let i = 0; i < 20; i++) deep = cells([deep]);
  await refuses(matlabFile([deep]), /16 deep/);
});

test('damage is told with its place', async () => {
  const wide = new Uint8Array(BigInt64Array.of(2n ** 60n).buffer);
  await refuses(matlabFile([doubles([1, 2], [1, 3], 'x')]), /3 elements of x, got 2/);
  await refuses(matlabFile([doubles([1, 2, 3], [1, 2], 'x')]), /2 elements of x, got 3/);
  await refuses(matlabFile([numeric(wide, 12, [1, 1], 'x')]), /2\^53/);
  await refuses(matlabFile([numeric(new Uint8Array(5), 5, [1, 1], 'x')]), /whole numbers of 4 bytes/);
  await refuses(matlabFile([matrix(6, [1], [element(9, new Uint8Array(8))], { name: 'x' })]), /two or more sizes/);
  await refuses(matlabFile([cells([doubles([1], [1, 1])], 'x', [2, 1])]), /2 elements of x, got 1/);
  await refuses(matlabFile([cells([doubles([1], [1, 1]), chars('b')], 'x', [1, 1])]), /nothing after x/);
  await refuses(matlabFile([matrix(4, [1, 1], [element(16, Uint8Array.of(0xff))], { name: 'x' })]), /text for x/);
  const packed = compressed(doubles([1, 2, 3], [1, 3], 'x'));
  const garbled = packed.slice();
  garbled[20]! ^= 0xff;
  await refuses(matlabFile([garbled]), /variable at byte 128/);
  const two = compressed(concatBytes(doubles([1], [1, 1], 'x'), doubles([1], [1, 1], 'y')));
  await refuses(matlabFile([two]), /one variable/);
});

test('a file cut anywhere is refused, never half read', async () => {
  const whole = matlabFile([doubles([1, 2, 3], [1, 3], 'x'), compressed(cells([chars('abc')], 'y'))]);
  const ends = new Set([128, 128 + doubles([1, 2, 3], [1, 3], 'x').length]);
  for (let length = 0; length < whole.length; length++) {
    const read = readMatlab(whole.subarray(0, length), 'x.mat');
    if (ends.has(length)) await read;
    else await assert.rejects(read, LabelError, `${length} bytes`);
  }
});

testUnless(noSharedData)('the official files are read whole', async () => {
  const path = sharedData('wider/ground_truth/wider_hard_val.mat');
  const file = await readMatlab(readFileSync(path), path);
  assert.equal(file.size, 10);
  const events = file.get('event_list');
  assert.ok(events?.kind === 'cell');
  assert.deepEqual(events.shape, [61, 1]);
  assert.deepEqual(events.cells[0], { kind: 'char', shape: [1, 9], text: '0--Parade' });
});

test.run();
