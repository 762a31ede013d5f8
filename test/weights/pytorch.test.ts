import assert from 'node:assert/strict';
import { test } from 'uvu';
import { readPytorch } from '../../src/weights/pytorch.js';
import type { Part, TensorParts } from './torch_files.js';
import {
  bytesOf,
  dict,
  f32,
  global,
  int,
  legacyFile,
  pickle,
  refuses,
  survivesDamage,
  tensor,
  text,
  tuple,
  zipArchive,
} from './torch_files.js';

type Storage = readonly [key: string, elements: number, content: Uint8Array];

function zipFile(
  object: Part,
  storages: readonly Storage[],
  deflate = false,
  more: Readonly<Record<string, string>> = {},
): Uint8Array {
  return zipArchive([
    { name: 'archive/data.pkl', content: pickle(object), deflate },
    ...Object.entries(more).map(([name, content]) => ({ name: `archive/${name}`, content: bytesOf(content) })),
    ...storages.map(([key, , content]) => ({ name: `archive/data/${key}`, content, deflate })),
  ]);
}

/** The same object as torch.save writes it today, compressed by another tool, and as it wrote it before 1.6. */
function everyFormat(object: Part, storages: readonly Storage[]): [string, Uint8Array][] {
  return [
    ['zip', zipFile(object, storages)],
    ['zip, deflated', zipFile(object, storages, true)],
    ['legacy', legacyFile(object, storages)],
  ];
}

const SIX: Storage = ['0', 6, f32(1, 2, 3, 4, 5, 6)];
const row: TensorParts = { key: '0', elements: 6, shape: [6], strides: [1] };

test('tensors, transposed and partial views among them, are read from every format', async () => {
  const object = dict({
    whole: tensor({ ...row, shape: [2, 3], strides: [3, 1] }),
    transposed: tensor({ ...row, shape: [3, 2], strides: [1, 3] }),
    'module.part': tensor({ ...row, offset: 1, shape: [2], strides: [3] }),
    scalar: tensor({ ...row, offset: 5, shape: [], strides: [] }),
    none: tensor({ ...row, offset: 6, shape: [0, 3], strides: [3, 1] }),
    half: tensor({ key: '1', storageType: 'HalfStorage', elements: 2, shape: [2], strides: [1] }),
    'module.num_batches_tracked': tensor({ ...row, shape: [], strides: [] }),
    epoch: int(3),
  });
  for (const [format, file] of everyFormat(object, [SIX, ['1', 2, bytesOf(0, 0x3c, 0, 0xc0)]])) {
    const tensors = await readPytorch(file, 'x.pth');
    assert.deepEqual(
      [...tensors].map(([name, { shape, data }]) => [name, shape, [...data]]),
      [
        ['whole', [2, 3], [1, 2, 3, 4, 5, 6]],
        ['transposed', [3, 2], [1, 4, 2, 5, 3, 6]],
        ['part', [2], [2, 5]],
        ['scalar', [], [6]],
        ['none', [0, 3], []],
        ['half', [2], [1, -2]],
      ],
      format,
    );
  }
});

test('a view of a storage, as PyTorch before 0.4 wrote it, starts where the view does', async () => {
  const object = dict({
    a: tensor({ ...row, view: tuple(text('1'), int(2), int(3)), offset: 1, shape: [2], strides: [1] }),
  });
  const tensors = await readPytorch(legacyFile(object, [SIX]), 'x.pth');
  assert.deepEqual([...tensors.get('a')!.data], [4, 5]);
});

test('two names of one tensor share it', async () => {
  const tensors = await readPytorch(zipFile(dict({ a: tensor(row), b: tensor(row) }), [SIX]), 'x.pth');
  assert.equal(tensors.get('a'), tensors.get('b'));
});

test('a state_dict is found beside an optimiser, under any name', async () => {
  const momentum = dict({ state: dict({ '0': dict({ momentum_buffer: tensor(row) }) }) });
  const weights = dict({ 'a.weight': tensor(row), 'a.bias': tensor({ ...row, shape: [1] }) });
  for (const name of ['state_dict', 'generator']) {
    const object = dict({ best: tensor({ ...row, shape: [], strides: [] }), optimizer: momentum, [name]: weights });
    assert.deepEqual([...(await readPytorch(zipFile(object, [SIX]), 'x.pth')).keys()], ['a.weight', 'a.bias'], name);
  }
  await refuses(
    () => readPytorch(zipFile(dict({ epoch: int(1) }), []), 'x.pth'),
    /dictionary of tensors by name, got none/,
  );
  await refuses(() => readPytorch(zipFile(tensor(row), [SIX]), 'x.pth'), /dictionary of tensors by name/);
});

test('a tensor that does not lie in its storage is refused in every format', async () => {
  const cases: [string, Partial<TensorParts>, RegExp][] = [
    ['more elements than the storage', { shape: [7] }, /tensor a inside its storage of 6 elements, got \[7\]/],
    ['an offset past the end', { offset: 1 }, /from element 1/],
    ['strides past the end', { shape: [3], strides: [3] }, /strides \[3\]/],
    ['a broadcast of one value to many', { shape: [1000], strides: [0] }, /inside its storage/],
    [
      'a size that overflows',
      { shape: Array<number>(5).fill(2 ** 30), strides: Array<number>(5).fill(0) },
      /inside its storage/,
    ],
    ['a view that is too short', { view: tuple(text('1'), int(0), int(5)) }, /storage of 5 elements/],
  ];
  for (const [name, parts, message] of cases) {
    for (const [format, file] of everyFormat(dict({ a: tensor({ ...row, ...parts }) }), [SIX])) {
      await refuses(() => readPytorch(file, 'x.pth'), message, `${name}, ${format}`);
    }
  }
});

test('a storage of another size than the reference says, or none at all, is refused', async () => {
  const object = dict({ a: tensor(row) });
  await refuses(() => readPytorch(zipFile(object, [['0', 6, f32(1)]]), 'x.pth'), /24 bytes for storage 0 .* got 4/);
  await refuses(() => readPytorch(zipFile(object, []), 'x.pth'), /storage archive\/data\/0, got none/);
  await refuses(() => readPytorch(legacyFile(object, []), 'x.pth'), /storage 0, got none/);
  await refuses(() => readPytorch(legacyFile(object, [['0', 5, f32(1, 2, 3, 4, 5)]]), 'x.pth'), /of 6 elements, got 5/);
  await refuses(() => readPytorch(legacyFile(object, [['0', 6, f32(1)]]), 'x.pth'), /24 more bytes/);
  await refuses(() => readPytorch(legacyFile(object, [SIX, SIX]), 'x.pth'), /each once, got the key 0/);
  await refuses(() => readPytorch(legacyFile(object, [['5', 6, SIX[2]]]), 'x.pth'), /got the key 5/);
  const twoTypes = dict({ a: tensor(row), b: tensor({ ...row, storageType: 'IntStorage' }) });
  await refuses(() => readPytorch(legacyFile(twoTypes, [SIX]), 'x.pth'), /one type and size of storage 0/);
});

test('many overlapping views cannot fill the memory', async () => {
  const elements = 4096;
  const views = Object.fromEntries(
    Array.from({ length: 200 }, (_, i) => [
      `v${i}`,
      tensor({ key: '0', elements, offset: i, shape: [elements - 200], strides: [1] }),
    ]),
  );
  const file = zipFile(dict(views), [['0', elements, new Uint8Array(4 * elements)]]);
  await refuses(() => readPytorch(file, 'x.pth'), /bytes of tensors, got more at v/);
});

test('big-endian files are refused', async () => {
  const object = dict({ a: tensor(row) });
  await refuses(
    () => readPytorch(legacyFile(object, [SIX], 0x89), 'x.pth'),
    /little-endian data, got byte order "big"/,
  );
  await refuses(() => readPytorch(zipFile(object, [SIX], false, { byteorder: 'big' }), 'x.pth'), /byte order "big"/);
  assert.equal((await readPytorch(zipFile(object, [SIX], false, { byteorder: 'little' }), 'x.pth')).size, 1);
});

test('archives and pickles that torch.save did not write are refused', async () => {
  await refuses(() => readPytorch(zipArchive([]), 'x.pth'), /archive of no files/);
  await refuses(
    () => readPytorch(zipArchive([{ name: 'word/document.xml', content: bytesOf('a') }]), 'x.docx'),
    /document\.xml/,
  );
  await refuses(() => readPytorch(zipFile('}', [], false, { 'constants.pkl': '' }), 'x.pt'), /TorchScript/);
  await refuses(() => readPytorch(pickle('}'), 'x.pkl'), /number at the start/);
  await refuses(
    () => readPytorch(bytesOf(legacyFile('}', []).subarray(0, 15), pickle(int(9))), 'x.pth'),
    /version 1001/,
  );
});

test('a command inside either format is refused and not run', async () => {
  for (const [format, file] of everyFormat(bytesOf(global('os', 'system'), tuple(text('true')), 'R'), [])) {
    await refuses(() => readPytorch(file, 'x.pth'), /x\.pth.*os\.system.*Nothing was executed/, format);
  }
});

test('a truncated or damaged file of any format never gives another error', async () => {
  const object = dict({ a: tensor({ ...row, shape: [2, 3], strides: [3, 1] }) });
  for (const [, file] of everyFormat(object, [SIX])) await survivesDamage(file, (bytes) => readPytorch(bytes, 'x.pth'));
});

test.run();
