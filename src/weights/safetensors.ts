import { checkOptions, isObject } from '../gpu/arguments.js';
import { WeightsError } from '../gpu/errors.js';
import { ByteReader, weightsProblem } from './byte_reader.js';
import type { ElementType } from './elements.js';
import { bytesPerElement, gatherElements, rowMajorStrides } from './elements.js';
import type { StateDict, StateTensor } from './state.js';
import { elementCount, MAX_RANK } from './state.js';

/** The bound that the format's own implementation sets. */
const MAX_HEADER_BYTES = 100_000_000;
const METADATA = '__metadata__';

const TYPES: ReadonlyMap<unknown, ElementType> = new Map<unknown, ElementType>([
  ['F64', 'f64'],
  ['F32', 'f32'],
  ['F16', 'f16'],
  ['BF16', 'bf16'],
  ['I64', 'i64'],
  ['I32', 'i32'],
  ['I16', 'i16'],
  ['I8', 'i8'],
  ['U64', 'u64'],
  ['U32', 'u32'],
  ['U16', 'u16'],
  ['U8', 'u8'],
  ['BOOL', 'bool'],
]);

const REWRITE = 'Write the file again with a current version of safetensors.';

interface Entry {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/**
 * Reads a safetensors file: eight bytes of header length, a JSON header, then the tensors' bytes without gaps. Every element
 * type that has a number in it (F64 … BF16, integers, BOOL) is rounded to float32. `source` names the file in errors.
 * Format: https://github.com/huggingface/safetensors. Throws WeightsError for any departure from it.
 */
export function readSafetensors(
  bytes: Uint8Array,
  source: string,
): { tensors: StateDict; metadata: Record<string, string> } {
  checkOptions('readSafetensors', { bytes, source }, { bytes: 'Uint8Array!', source: 'string!' });
  const reader = new ByteReader(bytes, source);
  const headerBytes = reader.u64();
  if (headerBytes > reader.remaining || headerBytes > MAX_HEADER_BYTES) {
    const limit = Math.min(reader.remaining, MAX_HEADER_BYTES);
    throw reader.problem(`a header of at most ${limit} bytes`, `one of ${headerBytes}`);
  }
  const header = parseHeader(reader.text(headerBytes), source);
  const body = reader.take(reader.remaining);

  const metadata: Record<string, string> = {};
  const entries: Entry[] = [];
  for (const [name, value] of Object.entries(header)) {
    if (name === METADATA) readMetadata(value, metadata, source);
    else entries.push(readEntry(name, value, source));
  }
  checkCoverage(entries, body.length, source);

  const tensors = new Map<string, StateTensor>();
  for (const { name, type, shape, begin, end } of entries) {
    const view = { offset: 0, shape, strides: rowMajorStrides(shape) };
    tensors.set(name, { shape, data: gatherElements(body.subarray(begin, end), type, view) });
  }
  return { tensors, metadata };
}

/**
 * Writes tensors as F32 in their order, row-major, so that the same tensors give the same bytes. The header is padded to a
 * multiple of eight bytes. Throws WeightsError where a shape and its data disagree, or a name is the format's own.
 */
export function writeSafetensors(tensors: StateDict, metadata: Readonly<Record<string, string>> = {}): Uint8Array {
  checkOptions('writeSafetensors', { tensors, metadata }, { tensors: 'object!', metadata: 'object!' });
  const header: [string, unknown][] = [];
  if (Object.keys(metadata).length > 0) header.push([METADATA, metadata]);
  let length = 0;
  for (const [name, { shape, data }] of tensors) {
    if (name === METADATA || shape.length > MAX_RANK || elementCount(shape) !== data.length) {
      throw new WeightsError({
        operation: `write ${name}`,
        expected: `a tensor's name, at most ${MAX_RANK} axes, and as many values as they hold`,
        got: `[${shape.join(', ')}] with ${data.length} values`,
        remedy: 'Give the tensor the shape of its data.',
      });
    }
    header.push([name, { dtype: 'F32', shape, data_offsets: [length, length + data.byteLength] }]);
    length += data.byteLength;
  }
  // Joined by hand: an object would move names that look like numbers to its front, and take `__proto__` for its own.
  const json = `{${header.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`;
  const text = new TextEncoder().encode(json);
  const headerBytes = Math.ceil(text.length / 8) * 8;
  const file = new Uint8Array(8 + headerBytes + length).fill(0x20, 8, 8 + headerBytes);
  const view = new DataView(file.buffer);
  view.setBigUint64(0, BigInt(headerBytes), true);
  file.set(text, 8);
  let at = 8 + headerBytes;
  for (const { data } of tensors.values()) {
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return file;
}

type JsonObject = Readonly<Record<string, unknown>>;

function parseHeader(text: string, source: string): JsonObject {
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch (cause) {
    const got = cause instanceof Error ? cause.message : 'other text';
    throw weightsProblem(source, 'a header in JSON', got, undefined, cause);
  }
  if (!isObject(header)) throw weightsProblem(source, 'a header that is a JSON object', text.slice(0, 40));
  const duplicate = duplicateKey(text);
  if (duplicate !== undefined) {
    throw weightsProblem(source, 'every name once in the header', `${JSON.stringify(duplicate)} twice`, REWRITE);
  }
  return header;
}

/** The first key that an object in this valid JSON text holds twice. JSON.parse itself keeps the last and says nothing. */
function duplicateKey(json: string): string | undefined {
  const scopes: (Set<string> | undefined)[] = [];
  for (let at = 0; at < json.length; at++) {
    const character = json[at];
    if (character === '{' || character === '[') scopes.push(undefined);
    else if (character === '}' || character === ']') scopes.pop();
    else if (character === '"') {
      const start = at;
      for (at++; json[at] !== '"'; at++) if (json[at] === '\\') at++;
      let after = at + 1;
      while (' \t\r\n'.includes(json[after] ?? '.')) after++;
      if (json[after] !== ':') continue;
      const key = JSON.parse(json.slice(start, at + 1)) as string;
      const keys = scopes.at(-1) ?? new Set();
      if (keys.has(key)) return key;
      scopes[scopes.length - 1] = keys.add(key);
    }
  }
  return undefined;
}

function readMetadata(value: unknown, metadata: Record<string, string>, source: string): void {
  if (!isObject(value)) throw weightsProblem(source, `${METADATA} as an object of texts`, typeof value, REWRITE);
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string')
      throw weightsProblem(source, `${METADATA} of texts`, `${key}: ${typeof text}`, REWRITE);
    Object.defineProperty(metadata, key, { value: text, enumerable: true, configurable: true, writable: true });
  }
}

function readEntry(name: string, value: unknown, source: string): Entry {
  const problem = (expected: string, got: unknown, remedy?: string): WeightsError =>
    weightsProblem(source, `${expected} for tensor ${name}`, abbreviate(got), remedy);
  if (!isObject(value)) throw problem('dtype, shape and data_offsets', value, REWRITE);
  const type = TYPES.get(value['dtype']);
  if (type === undefined) {
    throw problem(`one of the types ${[...TYPES.keys()].join(', ')}`, value['dtype'], 'Convert it to F32 first.');
  }
  const shape = value['shape'];
  if (!isCounts(shape) || shape.length > MAX_RANK) throw problem(`a shape of at most ${MAX_RANK} axes`, shape, REWRITE);
  const count = elementCount(shape);
  if (count === undefined) throw problem('a shape whose size can be counted', shape, REWRITE);
  const offsets = value['data_offsets'];
  if (!isCounts(offsets) || offsets.length !== 2 || offsets[0]! > offsets[1]!) {
    throw problem('data_offsets [begin, end]', offsets, REWRITE);
  }
  const [begin, end] = offsets as readonly [number, number];
  const needed = count * bytesPerElement(type);
  if (end - begin !== needed) {
    throw problem(`${needed} bytes, which [${shape.join(', ')}] of ${type} takes,`, `${end - begin}`, REWRITE);
  }
  return { name, type, shape, begin, end };
}

function isCounts(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}

function abbreviate(value: unknown): string {
  const text = typeof value === 'string' ? value : value === undefined ? 'nothing' : JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

/** The tensors must lie one after another from the first byte to the last: no byte unused, none used twice. */
function checkCoverage(entries: readonly Entry[], length: number, source: string): void {
  let covered = 0;
  for (const { name, begin, end } of [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (end > length)
      throw weightsProblem(source, `tensor ${name} inside ${length} bytes of data`, `bytes ${begin} to ${end}`);
    if (begin !== covered) {
      const fault = begin < covered ? 'an overlap with another tensor' : 'a gap';
      throw weightsProblem(source, `tensor ${name} at byte ${covered} of the data`, `${fault}: byte ${begin}`, REWRITE);
    }
    covered = end;
  }
  if (covered !== length) throw weightsProblem(source, `${covered} bytes of data`, `${length}`);
}
