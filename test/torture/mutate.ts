// Damage to files, as bad disks, torn downloads and ill will do it.
import type { Random } from '../../src/tensor/random.js';

/** Numbers at which readers stumble, as they stand in files. */
const EDGES = [0, 1, 2, 4, 7, 8, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000];
const HUGE = [0xffffffff, 0xfffffffe, 0x40000000, 0x10000000, 0x00ffffff];

type Mutation = (bytes: Uint8Array, random: Random, others: readonly Uint8Array[]) => Uint8Array;

/** A place of a file, its beginning (where headers are) and its end (where directories are) more often than chance has it. */
function placeIn(bytes: Uint8Array, random: Random): number {
  const { length } = bytes;
  if (length === 0) return 0;
  const kind = random.int(4);
  if (kind === 0) return random.int(Math.min(length, 64));
  if (kind === 1) return Math.max(0, length - 1 - random.int(128));
  return random.int(length);
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

const MUTATIONS: Readonly<Record<string, Mutation>> = {
  'a flipped bit'(bytes, random) {
    const copy = bytes.slice();
    if (copy.length > 0) copy[placeIn(copy, random)]! ^= 1 << random.int(8);
    return copy;
  },
  'other bytes'(bytes, random) {
    const copy = bytes.slice();
    const at = placeIn(copy, random);
    for (let i = at; i < Math.min(copy.length, at + 1 + random.int(8)); i++) copy[i] = random.int(256);
    return copy;
  },
  'a number at an edge'(bytes, random) {
    const copy = bytes.slice();
    const view = new DataView(copy.buffer);
    const size = random.pick([1, 2, 4, 8]);
    const at = Math.min(placeIn(copy, random), copy.length - size);
    if (at < 0) return copy;
    const value = random.pick(random.chance(0.4) ? HUGE : EDGES);
    const little = random.chance(0.5);
    if (size === 1) view.setUint8(at, value);
    else if (size === 2) view.setUint16(at, value, little);
    else if (size === 4) view.setUint32(at, value, little);
    else view.setBigUint64(at, random.chance(0.2) ? 2n ** 63n - 1n : BigInt(value), little);
    return copy;
  },
  'a number one off'(bytes, random) {
    const copy = bytes.slice();
    if (copy.length > 0) copy[placeIn(copy, random)]! += random.pick([-1, 1]);
    return copy;
  },
  'an end too soon': (bytes, random) => bytes.slice(0, placeIn(bytes, random)),
  'a beginning too late': (bytes, random) => bytes.slice(placeIn(bytes, random)),
  'a part left out'(bytes, random) {
    const at = placeIn(bytes, random);
    return joined(bytes.subarray(0, at), bytes.subarray(at + 1 + random.int(32)));
  },
  'a part twice'(bytes, random) {
    const at = placeIn(bytes, random);
    const end = Math.min(bytes.length, at + 1 + random.int(64));
    return joined(bytes.subarray(0, end), bytes.subarray(at));
  },
  'two parts in each other’s place'(bytes, random) {
    const copy = bytes.slice();
    const length = Math.min(1 + random.int(16), copy.length >> 1);
    const [a, b] = [placeIn(copy, random), placeIn(copy, random)];
    if (Math.max(a, b) + length > copy.length) return copy;
    copy.set(bytes.subarray(b, b + length), a);
    copy.set(bytes.subarray(a, a + length), b);
    return copy;
  },
  'a hole of zeros'(bytes, random) {
    const copy = bytes.slice();
    const at = placeIn(copy, random);
    copy.fill(0, at, at + 1 + random.int(512));
    return copy;
  },
  'noise in between'(bytes, random) {
    const at = placeIn(bytes, random);
    const noise = Uint8Array.from({ length: 1 + random.int(32) }, () => random.int(256));
    return joined(bytes.subarray(0, at), noise, bytes.subarray(at));
  },
  'the end of another file'(bytes, random, others) {
    const other = random.pick(others);
    return joined(bytes.subarray(0, placeIn(bytes, random)), other.subarray(placeIn(other, random)));
  },
};

/** One to four kinds of damage, one after the other; `others` are files of the same kind. Answers what was done, too. */
export function mutated(
  bytes: Uint8Array,
  random: Random,
  others: readonly Uint8Array[],
): { readonly bytes: Uint8Array; readonly done: string } {
  const done: string[] = [];
  // A Buffer's own `slice` answers a view.
  let result: Uint8Array = Uint8Array.from(bytes);
  for (let n = random.chance(0.6) ? 1 : 2 + random.int(3); n > 0; n--) {
    const name = random.pick(Object.keys(MUTATIONS));
    result = MUTATIONS[name]!(result, random, others);
    done.push(name);
  }
  return { bytes: result, done: done.join(', ') };
}

/** What stands in place of a number or word of a text. */
const WORDS = [
  ...[
    'NaN',
    'Infinity',
    '-Infinity',
    '1e308',
    '-1e308',
    '1e999',
    '-1e999',
    '1e-999',
    '-0',
    '0',
    '-1',
    '0x10',
    '1_000',
    '١٢',
    '½',
    '+5',
  ],
  ...['9007199254740993', '99999999999999999999999', '4294967296', '-2147483649', '1e9', '.5', '5.', '1,5', '--1', ''],
  ...[
    'null',
    'true',
    '{}',
    '[]',
    '"',
    '\\',
    '\u0000',
    '\ufeff',
    '\u2028',
    '\r',
    '#',
    '../../etc/passwd',
    'constructor',
  ],
  ...['__proto__', 'é', '𝄞', '\ud800', 'a'.repeat(3000), '[['.repeat(500), '{"a":'.repeat(300)],
];

/** Damage to a text: a word, a line or a byte of it. */
export function mutatedText(
  text: string,
  random: Random,
  others: readonly string[],
): { readonly bytes: Uint8Array; readonly done: string } {
  const encoder = new TextEncoder();
  const kind = random.int(4);
  if (kind === 0) {
    return mutated(
      encoder.encode(text),
      random,
      others.map((other) => encoder.encode(other)),
    );
  }
  if (kind === 1) {
    const lines = text.split('\n');
    const at = random.int(lines.length);
    const action = random.pick(['left out', 'twice', 'last', 'of another file', 'empty', 'joined with the next']);
    const [line = ''] = lines.splice(at, 1);
    if (action === 'twice') lines.splice(at, 0, line, line);
    if (action === 'last') lines.push(line);
    if (action === 'of another file') lines.splice(at, 0, random.pick(random.pick(others).split('\n')));
    if (action === 'empty') lines.splice(at, 0, '');
    if (action === 'joined with the next') lines.splice(at, 1, line + (lines[at] ?? ''));
    return { bytes: encoder.encode(lines.join(random.chance(0.1) ? '\r\n' : '\n')), done: `a line ${action}` };
  }
  const words = [...text.matchAll(/-?\d+(?:\.\d+)?(?:e[-+]?\d+)?|[A-Za-z_]+|[^\sA-Za-z\d]/g)];
  if (words.length === 0) return { bytes: encoder.encode(text), done: 'nothing' };
  const chosen = random.pick(words);
  const word = random.pick(WORDS);
  const end = chosen.index + chosen[0].length;
  return { bytes: encoder.encode(text.slice(0, chosen.index) + word + text.slice(end)), done: `'${word}' in place` };
}
