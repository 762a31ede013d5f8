import assert from 'node:assert/strict';
import { test } from 'uvu';
import { ByteReader } from '../../src/weights/byte_reader.js';
import type { PickleValue } from '../../src/weights/pickle.js';
import { unpickle } from '../../src/weights/pickle.js';
import type { Part } from './torch_files.js';
import { bytesOf, dict, global, int, pickle, refuses, STOP, tensor, text, tuple, u32, u64 } from './torch_files.js';

function load(...parts: readonly Part[]): PickleValue {
  return unpickle(new ByteReader(pickle(...parts), 'x.pth'));
}

test('scalars of all protocols are read', () => {
  const cases: [Part, PickleValue][] = [
    ['N', null],
    [0x88, true],
    [0x89, false],
    ['I00\n', false],
    ['I01\n', true],
    ['I-12\n', -12],
    ['L123456789012345678901L\n', 123456789012345678901n],
    [bytesOf('K', 255), 255],
    [bytesOf('M', 1, 2), 513],
    [int(-7), -7],
    [bytesOf(0x8a, 0), 0],
    [bytesOf(0x8a, 2, 0, 0x80), -32768],
    [bytesOf(0x8a, 3, 0xff, 0xff, 0), 65535],
    [bytesOf('G', 0x3f, 0xf8, 0, 0, 0, 0, 0, 0), 1.5],
    [text('face'), 'face'],
    [bytesOf('U', 2, 'ab'), 'ab'],
    [bytesOf('T', u32(2), 'ab'), 'ab'],
    [bytesOf(0x8c, 2, 0xc3, 0xa9), 'é'],
    [bytesOf(0x8d, u64(1), 'a'), 'a'],
    [bytesOf(0x95, u64(1), 'N'), null],
  ];
  for (const [part, value] of cases) assert.deepEqual(load(part), value, String(part));
});

test('containers and what is remembered are read', () => {
  assert.deepEqual(load(int(1), int(2), int(3), 0x87), { kind: 'tuple', items: [1, 2, 3] });
  assert.deepEqual(load(']', int(1), 'a(', int(2), int(3), 'e'), { kind: 'list', items: [1, 2, 3] });
  assert.deepEqual(load('}', text('a'), int(1), 's(', int(2), 'Nu'), {
    kind: 'dict',
    entries: new Map<unknown, unknown>([
      ['a', 1],
      [2, null],
    ]),
  });
  assert.deepEqual(load(text('a'), 'q', 7, 'h', 7, 0x86), { kind: 'tuple', items: ['a', 'a'] });
  assert.deepEqual(load(text('a'), 0x94, 'h', 0, 0x86), { kind: 'tuple', items: ['a', 'a'] });
  assert.deepEqual(load(text('a'), 'r', u32(70000), 'j', u32(70000), 0x86), { kind: 'tuple', items: ['a', 'a'] });
});

test('an OrderedDict is a dictionary, empty or of pairs, and its attributes are dropped', () => {
  const type = global('collections', 'OrderedDict');
  const filled = load(type, ')R(', text('a'), int(1), 'u', dict({ _metadata: 'N' }), 'b');
  assert.deepEqual(filled, { kind: 'dict', entries: new Map([['a', 1]]) });
  const pairs = load(type, '](](', text('a'), int(1), 'ee', 0x85, 'R');
  assert.deepEqual(pairs, { kind: 'dict', entries: new Map([['a', 1]]) });
  const stacked = load(text('collections'), text('OrderedDict'), 0x93, ')R');
  assert.deepEqual(stacked, { kind: 'dict', entries: new Map() });
});

test('a tensor is a reference, also within a parameter, with a torch.Size, or into a view of old files', () => {
  const parts = { key: '7', storageType: 'HalfStorage', elements: 12, shape: [2, 3], strides: [3, 1], offset: 6 };
  const storage = { kind: 'storage', key: '7', type: 'f16', elements: 12, start: 0, length: 12 };
  const expected = { kind: 'tensor', storage, offset: 6, shape: [2, 3], strides: [3, 1] };
  assert.deepEqual(load(tensor(parts)), expected);
  const parameter = bytesOf(global('torch._utils', '_rebuild_parameter'), tuple(tensor(parts), 0x88, '}'), 'R');
  assert.deepEqual(load(parameter), expected);
  assert.deepEqual(load(global('torch', 'Size'), tuple(tuple(int(2), int(3))), 'R'), { kind: 'tuple', items: [2, 3] });
  const viewed = load(tensor({ ...parts, view: tuple(text('8'), int(4), int(6)) }));
  assert.deepEqual(viewed, { ...expected, storage: { ...storage, start: 4, length: 6 } });
});

test('a pickle that would run a command is refused by its global, unexecuted', async () => {
  await refuses(
    () => load(global('os', 'system'), tuple(text('true')), 'R'),
    /os\.system at byte 2 of the pickle. Nothing was executed/,
  );
  await refuses(() => load(global('posix', 'system'), tuple(text('true')), 'R'), /posix\.system/);
  await refuses(() => load(int(1), global('builtins', 'eval'), tuple(text('1')), 'R'), /builtins\.eval at byte 7/);
  await refuses(() => load(text('builtins'), text('exec'), 0x93), /builtins\.exec/);
  await refuses(() => load(global('torch', 'load')), /torch\.load/);
  await refuses(() => load(global('torch.nn.modules.container', 'Sequential')), /Sequential.*state_dict/);
  await refuses(() => load('(', text('true'), 'ios\nsystem\n'), /INST \(0x69\) at byte 12/);
});

test('every opcode that tensors do not need is refused by its name and byte', async () => {
  const known = new Set(
    Array.from('.(NIJKMLGUTX]})tacubsehjqrRQ', (character) => character.charCodeAt(0)).concat([
      0x80, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x8d, 0x93, 0x94, 0x95,
    ]),
  );
  for (let opcode = 0; opcode < 256; opcode++) {
    if (known.has(opcode)) continue;
    const hex = `0x${opcode.toString(16).padStart(2, '0')}`;
    await refuses(
      () => load(']', text('a'), opcode, 0, 0, 0, 0, '\n\n'),
      new RegExp(`opcode.*${hex}.* at byte 9`),
      hex,
    );
  }
  await refuses(() => load(']', 0x81), /NEWOBJ/);
});

test('a callable of the whitelist takes only arguments that make sense', async () => {
  const parts = { key: '0', elements: 4, shape: [2], strides: [1] };
  const cases: [string, RegExp, readonly Part[]][] = [
    ['a storage called', /function.*FloatStorage/, [global('torch', 'FloatStorage'), ')R']],
    ['a text called', /something to call/, [text('a'), ')R']],
    ['arguments in a list', /arguments \(tuple\)/, [global('collections', 'OrderedDict'), ']R']],
    ['a tensor of no storage', /storage of a tensor/, [global('torch._utils', '_rebuild_tensor_v2'), ')R']],
    ['a negative offset', /offset/, [tensor({ ...parts, offset: -1 })]],
    ['a negative extent', /size of a tensor of counts/, [tensor({ ...parts, shape: [-2] })]],
    ['fewer strides than axes', /same at most 8 axes/, [tensor({ ...parts, shape: [2, 2] })]],
    [
      'a tensor of nine axes',
      /at most 8 axes/,
      [tensor({ ...parts, shape: Array<number>(9).fill(1), strides: Array<number>(9).fill(1) })],
    ],
    ['a storage of an unknown type', /torch\.QInt8Storage/, [tensor({ ...parts, storageType: 'QInt8Storage' })]],
    ['a storage of a type that is none', /reference to a storage/, [tensor({ ...parts, storageType: 'Size' })]],
    ['a negative storage', /reference to a storage/, [tensor({ ...parts, elements: -4 })]],
    ['a view outside its storage', /view inside 4/, [tensor({ ...parts, view: tuple(text('1'), int(2), int(3)) })]],
    ['a reference that is a text', /reference to a storage/, [text('0'), 'Q']],
    [
      'a parameter of no tensor',
      /data of a parameter/,
      [global('torch._utils', '_rebuild_parameter'), tuple('N'), 'R'],
    ],
    ['an OrderedDict of no pairs', /a pair/, [global('collections', 'OrderedDict'), ']', int(1), 'a', 0x85, 'R']],
    ['a dictionary as key', /as key/, ['}}Ns']],
    ['an odd number of items', /in pairs/, ['}(Nu']],
    ['attributes of a tensor', /dict to fill/, [tensor(parts), '}b']],
    ['items for a tuple', /list to fill/, [')Na']],
    ['a mark in between', /values on the stack/, ['}N(Ns']],
    ['no mark', /mark/, ['Nt']],
    ['an empty stack', /value on the stack/, ['q', 0]],
    ['two values', /one value at STOP/, ['NN']],
    ['an unknown memory', /none under 3/, ['h', 3]],
    ['a number that is none', /decimal/, ['I1x\n']],
    ['an endless line', /line of at most/, [`I${'1'.repeat(300)}\n`]],
    ['a future protocol', /protocol up to 5/, [0x80, 6]],
  ];
  for (const [name, message, parts] of cases) await refuses(() => load(...parts), message, name);
});

test('a small pickle cannot grow: operations, copies and lengths are bounded', async () => {
  const endless = new Uint8Array((1 << 20) + 8).fill(']'.charCodeAt(0));
  await refuses(() => load(endless), /at most 1048576 operations/);
  // A list of 1,000 pairs, copied again and again through the memo.
  const list = bytesOf('](', ...Array.from({ length: 1000 }, () => bytesOf('(NNt')), 'eq', 0);
  const copies = Array.from({ length: 1200 }, () => bytesOf(global('collections', 'OrderedDict'), 'h', 0, 0x85, 'R'));
  await refuses(() => load(list, ...copies), /at most 1048576 operations/);
  await refuses(() => load('X', u32(0xffffffff), 'a'), /4294967295 more bytes/);
  await refuses(() => load(0x8d, u64(1n << 62n)), /that a file can have/);
});

test('a list that holds itself is read without end', () => {
  const list = load(']q', 0, 'h', 0, 'a');
  assert.ok(typeof list === 'object' && list?.kind === 'list');
  assert.equal(list.items[0], list);
});

test('the reader stops behind the pickle', () => {
  const reader = new ByteReader(bytesOf(pickle('N'), 'rest'), 'x');
  unpickle(reader);
  assert.equal(reader.position, 4);
  assert.equal(STOP, '.');
});

test('every prefix of a pickle is refused', async () => {
  const whole = pickle(dict({ a: tensor({ key: '0', elements: 4, shape: [2, 2], strides: [2, 1] }) }));
  for (let length = 0; length < whole.length; length++) {
    await refuses(() => unpickle(new ByteReader(whole.subarray(0, length), 'x')), /./, `prefix of ${length} bytes`);
  }
});

test.run();
