import type { WeightsError } from '../gpu/errors.js';
import type { ByteReader } from './byte_reader.js';
import type { ElementType } from './elements.js';
import { MAX_RANK } from './state.js';

/** What a pickle may hold here: data and nothing that acts. */
export type PickleValue =
  PickleScalar | PickleSequence | PickleDict | PickleGlobal | StorageReference | TensorReference;

export type PickleScalar = null | boolean | number | bigint | string;

export interface PickleSequence {
  readonly kind: 'list' | 'tuple';
  readonly items: PickleValue[];
}

export interface PickleDict {
  readonly kind: 'dict';
  readonly entries: Map<PickleScalar, PickleValue>;
}

/** A name of Python's that the whitelist knows. It is compared with, and never looked up. */
export interface PickleGlobal {
  readonly kind: 'global';
  readonly name: string;
}

/** A run of elements that lies outside the pickle, under `key`. */
export interface StorageReference {
  readonly kind: 'storage';
  readonly key: string;
  readonly type: ElementType;
  /** The elements of the storage in the file. */
  readonly elements: number;
  /** The first element and the length of the part that is meant; the whole storage in files of PyTorch 0.4 and later. */
  readonly start: number;
  readonly length: number;
}

/** A strided view of a storage. Offset, extents and strides are counts, but nothing has compared them with the storage. */
export interface TensorReference {
  readonly kind: 'tensor';
  readonly storage: StorageReference;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

interface Kinds {
  list: PickleSequence;
  tuple: PickleSequence;
  dict: PickleDict;
  global: PickleGlobal;
  storage: StorageReference;
  tensor: TensorReference;
}

const STORAGES: ReadonlyMap<string, ElementType> = new Map<string, ElementType>([
  ['torch.DoubleStorage', 'f64'],
  ['torch.FloatStorage', 'f32'],
  ['torch.HalfStorage', 'f16'],
  ['torch.BFloat16Storage', 'bf16'],
  ['torch.LongStorage', 'i64'],
  ['torch.IntStorage', 'i32'],
  ['torch.ShortStorage', 'i16'],
  ['torch.CharStorage', 'i8'],
  ['torch.ByteStorage', 'u8'],
  ['torch.BoolStorage', 'bool'],
]);

const ORDERED_DICT = 'collections.OrderedDict';
const SIZE = 'torch.Size';
const REBUILD_TENSOR = 'torch._utils._rebuild_tensor';
const REBUILD_TENSOR_V2 = 'torch._utils._rebuild_tensor_v2';
const REBUILD_PARAMETER = 'torch._utils._rebuild_parameter';

const GLOBALS: ReadonlySet<string> = new Set([
  ...STORAGES.keys(),
  ORDERED_DICT,
  SIZE,
  REBUILD_TENSOR,
  REBUILD_TENSOR_V2,
  REBUILD_PARAMETER,
]);

/** Opcodes that pickles of Python objects use and files of tensors do not, so that a refusal can name them. */
const REFUSED: ReadonlyMap<number, string> = new Map([
  [0x30, 'POP'],
  [0x31, 'POP_MARK'],
  [0x32, 'DUP'],
  [0x42, 'BINBYTES'],
  [0x43, 'SHORT_BINBYTES'],
  [0x46, 'FLOAT'],
  [0x50, 'PERSID'],
  [0x53, 'STRING'],
  [0x56, 'UNICODE'],
  [0x64, 'DICT'],
  [0x67, 'GET'],
  [0x69, 'INST'],
  [0x6c, 'LIST'],
  [0x6f, 'OBJ'],
  [0x70, 'PUT'],
  [0x81, 'NEWOBJ'],
  [0x82, 'EXT1'],
  [0x83, 'EXT2'],
  [0x84, 'EXT4'],
  [0x8b, 'LONG4'],
  [0x8e, 'BINBYTES8'],
  [0x8f, 'EMPTY_SET'],
  [0x90, 'ADDITEMS'],
  [0x91, 'FROZENSET'],
  [0x92, 'NEWOBJ_EX'],
  [0x96, 'BYTEARRAY8'],
  [0x97, 'NEXT_BUFFER'],
  [0x98, 'READONLY_BUFFER'],
]);

/** A checkpoint takes some twenty operations a tensor; this bounds time and memory to those of 50,000 tensors. */
const MAX_OPERATIONS = 1 << 20;
const MAX_LINE_BYTES = 255;
const STATE_DICT_ONLY =
  'Nothing was executed. Save the weights alone, with torch.save(model.state_dict(), path) or as safetensors.';

/**
 * Reads one pickle and leaves the reader behind its STOP. Nothing of it is executed: opcodes build lists, dictionaries and
 * references, and the few callables that tensor files need are recognised by name and done here. Protocols 1 to 5 as far
 * as torch.save uses them (protocol 0 cannot refer to a storage). Throws WeightsError, with the byte, for every other opcode
 * and global, for damage, and for more than 2^20 operations.
 */
export function unpickle(reader: ByteReader): PickleValue {
  return new Unpickler(reader).run();
}

class Unpickler {
  private readonly reader: ByteReader;
  private readonly memo = new Map<number, PickleValue>();
  private readonly marks: number[] = [];
  private readonly stack: PickleValue[] = [];
  private operations = 0;
  /** The offset of the opcode at work. */
  private at = 0;

  constructor(reader: ByteReader) {
    this.reader = reader;
  }

  run(): PickleValue {
    for (;;) {
      this.at = this.reader.position;
      this.count(1);
      const opcode = this.reader.u8();
      if (opcode !== 0x2e) {
        this.execute(opcode);
        continue;
      }
      const value = this.pop();
      if (this.stack.length > 0 || this.marks.length > 0) throw this.problem('one value at STOP', 'more');
      return value;
    }
  }

  private execute(opcode: number): void {
    const { reader, stack, memo } = this;
    switch (opcode) {
      case 0x80: {
        const protocol = reader.u8();
        if (protocol > 5) throw this.problem('a pickle protocol up to 5', `${protocol}`);
        return;
      }
      case 0x95: // FRAME: a hint for buffering only
        reader.u64();
        return;
      case 0x28:
        this.marks.push(stack.length);
        return;

      case 0x4e:
        stack.push(null);
        return;
      case 0x88:
        stack.push(true);
        return;
      case 0x89:
        stack.push(false);
        return;
      case 0x4a:
        stack.push(reader.i32());
        return;
      case 0x4b:
        stack.push(reader.u8());
        return;
      case 0x4d:
        stack.push(reader.u16());
        return;
      case 0x49:
        stack.push(this.decimal(reader.line(MAX_LINE_BYTES)));
        return;
      case 0x4c:
        stack.push(this.decimal(reader.line(MAX_LINE_BYTES).replace(/L$/, '')));
        return;
      case 0x8a:
        stack.push(twosComplement(reader.take(reader.u8())));
        return;
      case 0x47:
        stack.push(reader.f64BigEndian());
        return;
      case 0x55: // SHORT_BINSTRING, the text of Python 2
      case 0x8c:
        stack.push(reader.text(reader.u8()));
        return;
      case 0x54:
      case 0x58:
        stack.push(reader.text(reader.u32()));
        return;
      case 0x8d:
        stack.push(reader.text(reader.u64()));
        return;

      case 0x5d:
        stack.push({ kind: 'list', items: [] });
        return;
      case 0x7d:
        stack.push({ kind: 'dict', entries: new Map() });
        return;
      case 0x29:
        stack.push({ kind: 'tuple', items: [] });
        return;
      case 0x85:
      case 0x86:
      case 0x87:
        stack.push({ kind: 'tuple', items: this.popMany(opcode - 0x84) });
        return;
      case 0x74:
        stack.push({ kind: 'tuple', items: this.popToMark() });
        return;
      case 0x61: {
        const item = this.pop();
        this.top('list').items.push(item);
        return;
      }
      case 0x65: {
        const items = this.popToMark();
        const list = this.top('list').items;
        for (const item of items) list.push(item);
        return;
      }
      case 0x73: {
        const pair = this.popMany(2);
        this.setItems(this.top('dict'), pair);
        return;
      }
      case 0x75: {
        const pairs = this.popToMark();
        this.setItems(this.top('dict'), pairs);
        return;
      }

      case 0x71:
        memo.set(reader.u8(), this.peek());
        return;
      case 0x72:
        memo.set(reader.u32(), this.peek());
        return;
      case 0x94:
        memo.set(memo.size, this.peek());
        return;
      case 0x68:
        stack.push(this.recall(reader.u8()));
        return;
      case 0x6a:
        stack.push(this.recall(reader.u32()));
        return;

      case 0x63:
        stack.push(this.global(reader.line(MAX_LINE_BYTES), reader.line(MAX_LINE_BYTES)));
        return;
      case 0x93: {
        const [module, name] = this.popMany(2);
        if (typeof module !== 'string' || typeof name !== 'string')
          throw this.problem('a global of two names', 'other data');
        stack.push(this.global(module, name));
        return;
      }
      case 0x51:
        stack.push(this.storage(this.pop()));
        return;
      case 0x52: {
        const args = this.pop();
        stack.push(this.reduce(this.pop(), args));
        return;
      }
      case 0x62: {
        // BUILD gives an OrderedDict its attributes: a state_dict's `_metadata`, which no tensor depends on.
        this.expect(this.pop(), 'dict', 'attributes');
        this.top('dict');
        return;
      }
      default: {
        const name = REFUSED.get(opcode);
        const hex = `0x${opcode.toString(16).padStart(2, '0')}`;
        if (name === undefined) throw this.problem('an opcode of pickle', hex);
        throw this.problem('an opcode that a file of tensors needs', `${name} (${hex})`, STATE_DICT_ONLY);
      }
    }
  }

  private count(operations: number): void {
    this.operations += operations;
    if (this.operations > MAX_OPERATIONS) {
      throw this.problem(`at most ${MAX_OPERATIONS} operations`, 'more', STATE_DICT_ONLY);
    }
  }

  private peek(): PickleValue {
    // A value below the last mark belongs to what is outside it.
    if (this.stack.length <= (this.marks.at(-1) ?? 0)) throw this.problem('a value on the stack', 'none');
    return this.stack.at(-1)!;
  }

  private pop(): PickleValue {
    const value = this.peek();
    this.stack.pop();
    return value;
  }

  private popMany(count: number): PickleValue[] {
    if (this.stack.length - count < (this.marks.at(-1) ?? 0))
      throw this.problem(`${count} values on the stack`, 'fewer');
    return this.stack.splice(this.stack.length - count);
  }

  private popToMark(): PickleValue[] {
    const mark = this.marks.pop();
    if (mark === undefined) throw this.problem('a mark on the stack', 'none');
    return this.stack.splice(mark);
  }

  private top<Kind extends 'list' | 'dict'>(kind: Kind): Kinds[Kind] {
    return this.expect(this.peek(), kind, `a ${kind} to fill`);
  }

  private expect<Kind extends keyof Kinds>(value: PickleValue | undefined, kind: Kind, role: string): Kinds[Kind] {
    if (typeof value !== 'object' || value?.kind !== kind) {
      throw this.problem(`${role} (${kind})`, describe(value));
    }
    return value as Kinds[Kind];
  }

  private setItems(dict: PickleDict, pairs: readonly PickleValue[]): void {
    if (pairs.length % 2 !== 0) throw this.problem('keys and values in pairs', `${pairs.length} values`);
    for (let i = 0; i < pairs.length; i += 2) this.setItem(dict, pairs[i]!, pairs[i + 1]!);
  }

  private setItem(dict: PickleDict, key: PickleValue, value: PickleValue): void {
    if (typeof key === 'object' && key !== null) throw this.problem('a text or a number as key', describe(key));
    dict.entries.set(key, value);
  }

  private recall(index: number): PickleValue {
    const value = this.memo.get(index);
    if (value === undefined) throw this.problem('a value that was remembered', `none under ${index}`);
    return value;
  }

  private decimal(text: string): PickleScalar {
    // Protocol 1 writes booleans so.
    if (text === '00') return false;
    if (text === '01') return true;
    if (!/^-?\d+$/.test(text)) throw this.problem('a decimal number', JSON.stringify(text));
    return narrow(BigInt(text));
  }

  private global(module: string, name: string): PickleGlobal {
    const full = `${module}.${name}`;
    if (GLOBALS.has(full)) return { kind: 'global', name: full };
    throw this.problem('a global that a file of tensors needs', full, STATE_DICT_ONLY);
  }

  /** ('storage', type, key, location, elements[, (view key, first element, elements of the view)]) */
  private storage(value: PickleValue): StorageReference {
    const id = this.expect(value, 'tuple', 'a reference to a storage').items;
    const [tag, global, key, , elements, view] = id;
    const type = STORAGES.get(this.expect(global, 'global', 'a type of storage').name);
    if (tag !== 'storage' || type === undefined || typeof key !== 'string' || !isCount(elements)) {
      throw this.problem(
        "a reference to a storage: ('storage', type, key, location, elements)",
        id.map(describe).join(', '),
      );
    }
    if (view === undefined || view === null)
      return { kind: 'storage', key, type, elements, start: 0, length: elements };
    const [, start, length] = this.expect(view, 'tuple', 'a view of a storage').items;
    if (!isCount(start) || !isCount(length) || start + length > elements) {
      throw this.problem(`a view inside ${elements} elements`, `${describe(length)} from ${describe(start)}`);
    }
    return { kind: 'storage', key, type, elements, start, length };
  }

  private reduce(callable: PickleValue, value: PickleValue): PickleValue {
    const { name } = this.expect(callable, 'global', 'something to call');
    const args = this.expect(value, 'tuple', 'arguments').items;
    switch (name) {
      case ORDERED_DICT:
        return this.orderedDict(args);
      case SIZE:
        return { kind: 'tuple', items: this.counts(args[0], 'a size').slice() };
      case REBUILD_TENSOR:
      case REBUILD_TENSOR_V2:
        return this.tensor(args);
      case REBUILD_PARAMETER:
        return this.expect(args[0], 'tensor', 'the data of a parameter');
      default:
        throw this.problem('a function that a file of tensors needs to call', name, STATE_DICT_ONLY);
    }
  }

  /** `OrderedDict()`, or of a list of pairs, as Python 2 wrote it. */
  private orderedDict(args: readonly PickleValue[]): PickleDict {
    const dict: PickleDict = { kind: 'dict', entries: new Map() };
    if (args.length === 0) return dict;
    const pairs = this.expect(args[0], 'list', 'pairs').items;
    this.count(pairs.length);
    for (const pair of pairs) {
      if (typeof pair !== 'object' || pair === null || (pair.kind !== 'list' && pair.kind !== 'tuple')) {
        throw this.problem('a pair', describe(pair));
      }
      if (pair.items.length !== 2) throw this.problem('a pair', `${pair.items.length} values`);
      this.setItem(dict, pair.items[0]!, pair.items[1]!);
    }
    return dict;
  }

  /** (storage, offset, size, stride, …): what follows concerns gradients. */
  private tensor(args: readonly PickleValue[]): TensorReference {
    const storage = this.expect(args[0], 'storage', 'the storage of a tensor');
    const offset = args[1];
    const shape = this.counts(args[2], 'the size of a tensor');
    const strides = this.counts(args[3], 'the strides of a tensor');
    if (!isCount(offset) || shape.length !== strides.length || shape.length > MAX_RANK) {
      throw this.problem(
        `an offset, and a size and strides of the same at most ${MAX_RANK} axes`,
        `${describe(offset)}, ${shape.length} and ${strides.length} axes`,
      );
    }
    return { kind: 'tensor', storage, offset, shape, strides };
  }

  private counts(value: PickleValue | undefined, role: string): number[] {
    const { items } = this.expect(value, 'tuple', role);
    this.count(items.length);
    if (!items.every(isCount))
      throw this.problem(`${role} of counts`, items.slice(0, MAX_RANK).map(describe).join(', '));
    return items;
  }

  private problem(expected: string, got: string, remedy?: string): WeightsError {
    return this.reader.problem(expected, `${got} at byte ${this.at} of the pickle`, remedy);
  }
}

function isCount(value: PickleValue | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function describe(value: PickleValue | undefined): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'None';
  if (typeof value !== 'object') return `${typeof value} ${JSON.stringify(String(value).slice(0, 40))}`;
  return value.kind === 'global' ? `global ${value.name}` : value.kind;
}

/** A little-endian integer in two's complement, as LONG1 holds it. */
function twosComplement(bytes: Uint8Array): number | bigint {
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]!);
  return narrow(BigInt.asIntN(bytes.length * 8, value));
}

/** Integers are numbers wherever that is exact. */
function narrow(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
