import { LabelError } from '../gpu/errors.js';
import { inflate } from './inflate.js';

/** An array of a MATLAB file. Elements are in MATLAB's order: the first index is the fastest. */
export type MatlabArray =
  | { readonly kind: 'numeric'; readonly shape: readonly number[]; readonly data: Float64Array }
  | { readonly kind: 'char'; readonly shape: readonly number[]; readonly text: string }
  | { readonly kind: 'cell'; readonly shape: readonly number[]; readonly cells: readonly MatlabArray[] };

/** Types of data elements (MAT-File Format, table 1-1), with the bytes of one number. */
const NUMBERS: Readonly<Record<number, readonly [name: string, bytes: number]>> = {
  1: ['int8', 1],
  2: ['uint8', 1],
  3: ['int16', 2],
  4: ['uint16', 2],
  5: ['int32', 4],
  6: ['uint32', 4],
  7: ['single', 4],
  9: ['double', 8],
  12: ['int64', 8],
  13: ['uint64', 8],
};
const MATRIX = 14;
const COMPRESSED = 15;
const UTF8 = 16;
const UTF16 = 17;
/** Classes of arrays (table 1-3). */
const CLASSES: Readonly<Record<number, string>> = {
  1: 'cell',
  2: 'struct',
  3: 'object',
  4: 'char',
  5: 'sparse',
  6: 'double',
  7: 'single',
  8: 'int8',
  9: 'uint8',
  10: 'int16',
  11: 'uint16',
  12: 'int32',
  13: 'uint32',
  14: 'int64',
  15: 'uint64',
  16: 'function',
  17: 'opaque',
};
const COMPLEX = 0x0800;
const MAX_DEPTH = 16;
/** A variable beyond this is no list of boxes. */
const MAX_INFLATED_BYTES = 1 << 29;
const DAMAGED = 'The file is damaged or was cut short: fetch it again and compare its size.';
const RESAVE = "Save it again with MATLAB's `save FILE -v7`, as plain numbers, text and cells.";

/**
 * The variables of a MATLAB 5 file (`save -v6` or `-v7`, zlib-compressed or not, either byte order) by their names:
 * numbers, text and cells. `wanted` leaves out all others unread. `source` is what errors call the file.
 * @throws LabelError, with the place, for damage and for anything else that such a file can hold.
 */
export async function readMatlab(
  bytes: Uint8Array,
  source: string,
  wanted?: readonly string[],
): Promise<Map<string, MatlabArray>> {
  const little = checkHeader(bytes, source);
  const reader = new Elements(bytes, little, source, '');
  reader.skip(128);
  const variables = new Map<string, MatlabArray>();
  while (reader.remaining > 0) {
    const at = reader.position;
    const outer = reader.element();
    let matrix = outer;
    if (outer.type === COMPRESSED) {
      const place = ` of the compressed variable at byte ${at}`;
      const inner = new Elements(await inflateVariable(outer.data, source, at), little, source, place);
      matrix = inner.element();
      if (inner.remaining > 0) throw reader.problem('one variable in each compressed element', 'more after it', at);
    }
    if (matrix.type !== MATRIX) throw reader.problem('a variable', `an element of type ${matrix.type}`, at, RESAVE);
    const { name, array } = readArray(matrix.reader, 0, (found) => wanted?.includes(found) ?? true);
    if (variables.has(name)) throw reader.problem('every name once', `'${name}' twice`, at);
    if (array) variables.set(name, array);
  }
  return variables;
}

/** True where the file's numbers are little-endian. */
function checkHeader(bytes: Uint8Array, source: string): boolean {
  const problem = (got: string, remedy = DAMAGED): LabelError =>
    new LabelError({ operation: `read ${source}`, expected: 'a MATLAB 5 file', got, remedy });
  if (bytes.length < 128) throw problem(`${bytes.length} bytes, too few for its header`);
  const order = String.fromCharCode(bytes[126]!, bytes[127]!);
  if (order !== 'IM' && order !== 'MI') throw problem('another kind of file', 'Pass a .mat file of MATLAB 5 to 7.2.');
  const little = order === 'IM';
  const version = new DataView(bytes.buffer, bytes.byteOffset).getUint16(124, little);
  if (version === 0x0200) throw problem('one of MATLAB 7.3, which is HDF5', RESAVE);
  if (version !== 0x0100) throw problem(`version 0x${version.toString(16)}`, RESAVE);
  return little;
}

interface Element {
  readonly type: number;
  readonly data: Uint8Array;
  /** Over the same data. */
  readonly reader: Elements;
}

/** Reads the elements of a stretch of a file, front to back. */
class Elements {
  readonly little: boolean;
  readonly view: DataView;
  readonly #bytes: Uint8Array;
  readonly #source: string;
  /** What offsets count from, where that is not the file. */
  readonly #place: string;
  readonly #start: number;
  #next = 0;

  constructor(bytes: Uint8Array, little: boolean, source: string, place: string, start = 0) {
    this.#bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.little = little;
    this.#source = source;
    this.#place = place;
    this.#start = start;
  }

  get position(): number {
    return this.#start + this.#next;
  }

  get remaining(): number {
    return this.#bytes.length - this.#next;
  }

  skip(count: number): void {
    this.#take(count);
  }

  /** The next element, and its padding. Up to four bytes may lie in the tag itself. */
  element(): Element {
    const at = this.#next;
    this.#take(4);
    const word = this.view.getUint32(at, this.little);
    if (word >>> 16 !== 0) {
      const length = word >>> 16;
      if (length > 4) throw this.problem('at most 4 bytes in a small element', String(length), this.#start + at);
      return this.#over(word & 0xffff, this.#take(4).subarray(0, length), at + 4);
    }
    this.#take(4);
    const length = this.view.getUint32(at + 4, this.little);
    const data = this.#take(length);
    // Padding is to 8 bytes, but for compressed elements, and at the end it may be missing.
    if (word !== COMPRESSED) this.#take(Math.min((8 - (length % 8)) % 8, this.remaining));
    return this.#over(word, data, at + 8);
  }

  /** The next element, which must be one of numbers. */
  numbers(what: string): Float64Array {
    const at = this.position;
    const { type, data, reader } = this.element();
    const [name, bytes] = NUMBERS[type] ?? [undefined, 1];
    if (name === undefined) throw this.problem(`numbers for ${what}`, `an element of type ${type}`, at);
    if (data.length % bytes !== 0) {
      throw this.problem(`whole numbers of ${bytes} bytes for ${what}`, `${data.length} bytes`, at);
    }
    const { view, little } = reader;
    return Float64Array.from({ length: data.length / bytes }, (_, i) => {
      const value = numberAt(view, i * bytes, type, little);
      if (bytes === 8 && type !== 9 && !Number.isSafeInteger(value)) {
        throw this.problem(`integers below 2^53 for ${what}`, String(value), at);
      }
      return value;
    });
  }

  problem(expected: string, got: string, at: number, remedy = DAMAGED): LabelError {
    return new LabelError({
      operation: `read ${this.#source}`,
      expected,
      got: `${got} at byte ${at}${this.#place}`,
      remedy,
    });
  }

  #over(type: number, data: Uint8Array, at: number): Element {
    return { type, data, reader: new Elements(data, this.little, this.#source, this.#place, this.#start + at) };
  }

  #take(count: number): Uint8Array {
    if (count > this.remaining) {
      throw this.problem(`${count} more bytes`, `only ${this.remaining}`, this.position);
    }
    this.#next += count;
    return this.#bytes.subarray(this.#next - count, this.#next);
  }
}

function numberAt(view: DataView, at: number, type: number, little: boolean): number {
  switch (type) {
    case 1:
      return view.getInt8(at);
    case 2:
      return view.getUint8(at);
    case 3:
      return view.getInt16(at, little);
    case 4:
      return view.getUint16(at, little);
    case 5:
      return view.getInt32(at, little);
    case 6:
      return view.getUint32(at, little);
    case 7:
      return view.getFloat32(at, little);
    case 9:
      return view.getFloat64(at, little);
    case 12:
      return Number(view.getBigInt64(at, little));
    default:
      return Number(view.getBigUint64(at, little));
  }
}

/** The array that the elements of a matrix hold; only its name where that is not `wanted`. */
function readArray(
  reader: Elements,
  depth: number,
  wanted: (name: string) => boolean,
): { readonly name: string; readonly array: MatlabArray | undefined } {
  const at = reader.position;
  // MATLAB writes an empty cell as a matrix of no bytes.
  if (reader.remaining === 0) return { name: '', array: { kind: 'numeric', shape: [0, 0], data: new Float64Array(0) } };
  const [flags = 0] = reader.numbers('flags');
  const shape = [...reader.numbers('sizes')];
  const name = String.fromCharCode(...reader.numbers('a name'));
  if (!wanted(name)) return { name, array: undefined };
  const what = name === '' ? 'a cell' : name;
  if (shape.length < 2 || shape.some((size) => !Number.isInteger(size) || size < 0)) {
    throw reader.problem(`two or more sizes for ${what}`, `[${shape.join(', ')}]`, at);
  }
  const count = shape.reduce((product, size) => product * size, 1);
  const kind = CLASSES[flags & 0xff] ?? `class ${flags & 0xff}`;
  if (kind === 'cell') {
    if (depth >= MAX_DEPTH) throw reader.problem(`cells at most ${MAX_DEPTH} deep`, 'deeper ones', at, RESAVE);
    const cells: MatlabArray[] = [];
    while (reader.remaining > 0 && cells.length < count) {
      const cellAt = reader.position;
      const { type, reader: inner } = reader.element();
      if (type !== MATRIX) throw reader.problem(`an array in ${what}`, `an element of type ${type}`, cellAt);
      cells.push(readArray(inner, depth + 1, () => true).array!);
    }
    checkWhole(reader, what, count, cells.length, at);
    return { name, array: { kind, shape, cells } };
  }
  if (kind === 'char') {
    const text = count === 0 && reader.remaining === 0 ? '' : readText(reader, what);
    checkWhole(reader, what, count, text.length, at);
    return { name, array: { kind, shape, text } };
  }
  const isNumeric = (flags & 0xff) >= 6 && (flags & 0xff) <= 15;
  if (!isNumeric || (flags & COMPLEX) !== 0) {
    const got = isNumeric ? `complex numbers in ${what}` : `${what} of the kind '${kind}'`;
    throw reader.problem('numbers, text and cells', got, at, RESAVE);
  }
  const data = count === 0 && reader.remaining === 0 ? new Float64Array(0) : reader.numbers(what);
  checkWhole(reader, what, count, data.length, at);
  return { name, array: { kind: 'numeric', shape, data } };
}

function checkWhole(reader: Elements, what: string, expected: number, got: number, at: number): void {
  if (got !== expected) throw reader.problem(`${expected} elements of ${what}`, String(got), at);
  if (reader.remaining > 0) throw reader.problem(`nothing after ${what}`, `${reader.remaining} bytes`, reader.position);
}

function readText(reader: Elements, what: string): string {
  const at = reader.position;
  const { type, data, reader: inner } = reader.element();
  try {
    if (type === UTF8) return new TextDecoder('utf-8', { fatal: true }).decode(data);
    if (type === UTF16) return new TextDecoder(`utf-16${inner.little ? 'le' : 'be'}`, { fatal: true }).decode(data);
  } catch {
    throw reader.problem(`text for ${what}`, 'bytes that are none', at);
  }
  const [, bytes] = NUMBERS[type] ?? [];
  if (bytes === undefined || bytes > 2 || data.length % bytes !== 0) {
    throw reader.problem(`text for ${what}`, `an element of type ${type}`, at);
  }
  let text = '';
  for (let i = 0; i < data.length; i += bytes) {
    text += String.fromCharCode(bytes === 1 ? data[i]! : inner.view.getUint16(i, inner.little));
  }
  return text;
}

async function inflateVariable(packed: Uint8Array, source: string, at: number): Promise<Uint8Array> {
  try {
    return await inflate(packed, 'deflate', MAX_INFLATED_BYTES);
  } catch (cause) {
    throw new LabelError({
      operation: `read ${source}`,
      expected: 'zlib data',
      got: `${cause instanceof Error ? cause.message : 'other data'} in the variable at byte ${at}`,
      remedy: DAMAGED,
      cause,
    });
  }
}
