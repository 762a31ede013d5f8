import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'uvu';
import { readSafetensors, writeSafetensors } from '../../src/weights/safetensors.js';
import { bytesOf, f32, refuses, survivesDamage, u64 } from './torch_files.js';

function file(header: string, body: Uint8Array = new Uint8Array(), length = header.length): Uint8Array {
  return bytesOf(u64(length), header, body);
}

const entry = (dtype: string, shape: string, offsets: string): string =>
  `{"dtype":"${dtype}","shape":[${shape}],"data_offsets":[${offsets}]}`;

test('a file written by hand gives its tensors and metadata', () => {
  const header = `{"__metadata__":{"format":"pt"},"b":${entry('F16', '2', '8,12')},"a":${entry('F32', '2,1', '0,8')} }`;
  const { tensors, metadata } = readSafetensors(file(header, bytesOf(f32(1, -2), 0, 0x3c, 0, 0xc0)), 'x');
  assert.deepEqual(metadata, { format: 'pt' });
  assert.deepEqual(
    [...tensors],
    [
      ['b', { shape: [2], data: Float32Array.of(1, -2) }],
      ['a', { shape: [2, 1], data: Float32Array.of(1, -2) }],
    ],
  );
});

test('what is written is read back, names, order, shapes, bits and metadata', () => {
  const tensor = fc.array(fc.nat(3), { maxLength: 4 }).chain((shape) => {
    const length = shape.reduce((product, extent) => product * extent, 1);
    return fc.float32Array({ minLength: length, maxLength: length }).map((data) => ({ shape, data }));
  });
  const entries = fc.uniqueArray(fc.tuple(fc.string({ unit: 'grapheme' }), tensor), { selector: ([name]) => name });
  const metadata = fc.dictionary(fc.string(), fc.string(), { noNullPrototype: true });
  fc.assert(
    fc.property(entries, metadata, (named, words) => {
      const written = writeSafetensors(new Map(named), words);
      const read = readSafetensors(written, 'x');
      assert.deepEqual([...read.tensors], named);
      assert.deepEqual(Object.entries(read.metadata).sort(), Object.entries(words).sort());
      assert.deepEqual(writeSafetensors(read.tensors, read.metadata), written);
    }),
    { numRuns: 50, seed: 1 },
  );
});

test("the data starts at a multiple of eight bytes, and names like an object's own are names", () => {
  const tensors = new Map(
    ['2', '1', '__proto__', 'constructor'].map((name) => [name, { shape: [1], data: Float32Array.of(7) }]),
  );
  const written = writeSafetensors(tensors);
  assert.equal(new DataView(written.buffer).getBigUint64(0, true) % 8n, 0n);
  const names = [...readSafetensors(written, 'x').tensors.keys()];
  assert.deepEqual(new Set(names), new Set(tensors.keys()));
});

test('a tensor whose shape and data disagree, or that bears the name of the metadata, is not written', async () => {
  await refuses(
    () => writeSafetensors(new Map([['a', { shape: [2], data: Float32Array.of(1) }]])),
    /write a.*\[2\] with 1/,
  );
  await refuses(
    () => writeSafetensors(new Map([['__metadata__', { shape: [1], data: Float32Array.of(1) }]])),
    /write __meta/,
  );
});

test('every departure from the format is refused and named', async () => {
  const a = (value: string): string => `{"a":${value}}`;
  const cases: [string, Uint8Array, RegExp][] = [
    ['header over the file', file('{}', undefined, 3), /at most 2 bytes, got one of 3/],
    ['length over 2^53', bytesOf(u64(1n << 60n), '{}'), /1152921504606846976 at byte 0/],
    ['length with all bits', bytesOf(u64((1n << 64n) - 1n), '{}'), /18446744073709551615/],
    ['no JSON', file('{"a":'), /header in JSON/],
    ['an array', file('[]'), /JSON object/],
    ['no UTF-8', file('{"\xff":1}'), /UTF-8/],
    ['a number for a tensor', file(a('1')), /dtype, shape and data_offsets for tensor a, got 1/],
    ['unknown dtype', file(a(entry('F8_E4M3', '1', '0,1')), f32(0)), /one of the types .* got F8_E4M3/],
    ['no dtype', file(a('{"shape":[1],"data_offsets":[0,4]}'), f32(0)), /got nothing/],
    ['dtype of another kind', file(a('{"dtype":{"x":1},"shape":[1],"data_offsets":[0,4]}'), f32(0)), /got \{"x":1\}/],
    ['negative extent', file(a(entry('F32', '-1', '0,4')), f32(0)), /shape/],
    ['fractional extent', file(a(entry('F32', '1.5', '0,4')), f32(0)), /shape/],
    ['infinite extent', file(a(entry('F32', '1e999', '0,4')), f32(0)), /shape/],
    ['too many axes', file(a(entry('F32', '1,1,1,1,1,1,1,1,1', '0,4')), f32(0)), /at most 8 axes/],
    ['overflowing shape', file(a(entry('F32', '4294967296,4294967296', '0,4')), f32(0)), /can be counted/],
    [
      'overflow hidden by a zero',
      file(a(entry('F32', '9007199254740991,9007199254740991,0', '0,0'))),
      /can be counted/,
    ],
    ['one offset', file(a(entry('F32', '1', '0')), f32(0)), /data_offsets/],
    ['offsets in reverse', file(a(entry('F32', '1', '4,0')), f32(0)), /data_offsets/],
    ['fewer bytes than the shape', file(a(entry('F32', '2', '0,4')), f32(0)), /8 bytes, which \[2\] of f32/],
    ['offsets outside', file(a(entry('F32', '1', '4,8')), f32(0)), /inside 4 bytes of data/],
    ['offsets far outside', file(a(entry('F32', '1', '9007199254740987,9007199254740991')), f32(0)), /inside 4 bytes/],
    ['a gap', file(a(entry('F32', '1', '4,8')), f32(0, 0)), /gap/],
    ['overlap', file(`{"a":${entry('F32', '1', '0,4')},"b":${entry('F32', '1', '2,6')}}`, f32(0, 0)), /overlap/],
    ['data after the last', file(a(entry('F32', '1', '0,4')), f32(0, 0)), /4 bytes of data, got 8/],
    [
      'a name twice',
      file(`{"a":${entry('F32', '1', '0,4')},"\\u0061":${entry('F32', '1', '0,4')}}`, f32(0)),
      /"a" twice/,
    ],
    [
      'a field twice',
      file(a(`{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}`), f32(0)),
      /"dtype" twice/,
    ],
    ['metadata of numbers', file('{"__metadata__":{"a":1}}'), /a: number/],
    ['metadata of no kind', file('{"__metadata__":[]}'), /object of texts/],
  ];
  for (const [name, bytes, message] of cases)
    await refuses(() => readSafetensors(bytes, 'face.safetensors'), message, name);
  await refuses(
    () => readSafetensors(file('[]'), 'face.safetensors'),
    /^read weights from face\.safetensors: expected/,
  );
});

test('a truncated or damaged file never gives another error', async () => {
  const whole = writeSafetensors(
    new Map([
      ['a', { shape: [2], data: Float32Array.of(1, 2) }],
      ['b', { shape: [], data: Float32Array.of(3) }],
    ]),
    { format: 'pt' },
  );
  await survivesDamage(whole, (bytes) => readSafetensors(bytes, 'x'));
});

test.run();
