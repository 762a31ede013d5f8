import assert from 'node:assert/strict';
import { deflateRawSync } from 'node:zlib';
import { WeightsError } from '../../src/gpu/errors.js';
import { crc32 } from '../../src/weights/zip.js';

/** Pickles, zip archives and torch.save files, put together byte by byte, so that tests can make faulty ones. */

export type Part = number | string | Uint8Array;

/** Numbers are single bytes, texts are ASCII. */
export function bytesOf(...parts: readonly Part[]): Uint8Array {
  return Uint8Array.from(
    parts.flatMap((part) => {
      if (typeof part === 'number') return [part];
      return typeof part === 'string' ? Array.from(part, (character) => character.charCodeAt(0)) : Array.from(part);
    }),
  );
}

export function u16(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, value >> 8);
}

export function u32(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

export function u64(value: number | bigint): Uint8Array {
  return new Uint8Array(BigUint64Array.of(BigInt(value)).buffer);
}

export function f32(...values: readonly number[]): Uint8Array {
  return new Uint8Array(Float32Array.from(values).buffer);
}

export const PROTO = bytesOf(0x80, 2);
export const STOP = '.';

/** BINUNICODE */
export function text(value: string): Uint8Array {
  return bytesOf('X', u32(value.length), value);
}

/** BININT */
export function int(value: number): Uint8Array {
  return bytesOf('J', u32(value >>> 0));
}

export function tuple(...parts: readonly Part[]): Uint8Array {
  return bytesOf('(', ...parts, 't');
}

export function global(module: string, name: string): Uint8Array {
  return bytesOf(`c${module}\n${name}\n`);
}

export interface TensorParts {
  readonly key: string;
  readonly storageType?: string;
  readonly elements: number;
  readonly view?: Part;
  readonly offset?: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

/** The operations that leave one tensor on the stack. */
export function tensor({ key, storageType, elements, view, offset, shape, strides }: TensorParts): Uint8Array {
  const type = global('torch', storageType ?? 'FloatStorage');
  const id = tuple(text('storage'), type, text(key), text('cpu'), int(elements), view ?? 'N');
  const hooks = bytesOf(global('collections', 'OrderedDict'), ')R');
  const args = tuple(id, 'Q', int(offset ?? 0), tuple(...shape.map(int)), tuple(...strides.map(int)), 0x89, hooks);
  return bytesOf(global('torch._utils', '_rebuild_tensor_v2'), args, 'R');
}

/** The operations that leave a dictionary on the stack. */
export function dict(entries: Readonly<Record<string, Part>>): Uint8Array {
  return bytesOf('}(', ...Object.entries(entries).flatMap(([name, value]) => [text(name), value]), 'u');
}

export function pickle(...parts: readonly Part[]): Uint8Array {
  return bytesOf(PROTO, ...parts, STOP);
}

/** A torch.save file from before PyTorch 1.6. Each storage is its key, its count of elements and its bytes. */
export function legacyFile(
  object: Part,
  storages: readonly (readonly [key: string, elements: number, content: Uint8Array])[],
  littleEndian = 0x88,
): Uint8Array {
  const magic = bytesOf(0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19);
  return bytesOf(
    pickle(magic),
    pickle('M', u16(1001)),
    pickle(dict({ little_endian: littleEndian })),
    pickle(object),
    pickle('](', ...storages.map(([key]) => text(key)), 'e'),
    ...storages.flatMap(([, elements, content]) => [u64(elements), content]),
  );
}

export interface ZipFile {
  readonly name: string;
  readonly content: Uint8Array;
  readonly deflate?: boolean;
  /** What the directory claims instead of the truth. */
  readonly claims?: Partial<Record<'method' | 'flags' | 'crc' | 'bytes' | 'compressed' | 'offset', number>>;
}

/** A zip archive; with `zip64`, sizes and offsets lie in the extra fields and records of zip64, as torch.save writes them. */
export function zipArchive(files: readonly ZipFile[], zip64 = false): Uint8Array {
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let offset = 0;
  for (const { name, content, deflate, claims } of files) {
    const packed = deflate === true ? new Uint8Array(deflateRawSync(content)) : content;
    const flags = u16(claims?.flags ?? 0);
    const method = u16(claims?.method ?? (deflate === true ? 8 : 0));
    const crc = u32(claims?.crc ?? crc32(content));
    const sizes = [claims?.compressed ?? packed.length, claims?.bytes ?? content.length] as const;
    const local = bytesOf('PK', 3, 4, u16(20), flags, method, u32(0), crc, ...sizes.map(u32), u16(name.length), u16(3));
    parts.push(bytesOf(local, name, 'ext', packed));
    const at = claims?.offset ?? offset;
    const extra = zip64 ? bytesOf(u16(1), u16(24), u64(sizes[1]), u64(sizes[0]), u64(at)) : new Uint8Array();
    const small = (value: number): Uint8Array => u32(zip64 ? 0xffffffff : value);
    directory.push(
      bytesOf(
        'PK',
        1,
        2,
        u32(0x140014),
        flags,
        method,
        u32(0),
        crc,
        small(sizes[0]),
        small(sizes[1]),
        u16(name.length),
      ),
      bytesOf(u16(extra.length), u16(0), u16(0), u16(0), u32(0), small(at), name, extra),
    );
    offset += parts.at(-1)!.length;
  }
  const entries = bytesOf(...directory);
  const count = files.length;
  if (!zip64) {
    const end = bytesOf('PK', 5, 6, u32(0), u16(count), u16(count), u32(entries.length), u32(offset), u16(0));
    return bytesOf(...parts, entries, end);
  }
  return bytesOf(
    ...parts,
    entries,
    bytesOf(
      'PK',
      6,
      6,
      u64(44),
      u32(0x2d002d),
      u32(0),
      u32(0),
      u64(count),
      u64(count),
      u64(entries.length),
      u64(offset),
    ),
    bytesOf('PK', 6, 7, u32(0), u64(offset + entries.length), u32(1)),
    bytesOf('PK', 5, 6, u32(0), u16(0xffff), u16(0xffff), u32(0xffffffff), u32(0xffffffff), u16(0)),
  );
}

/** Asserts that `action` throws, or rejects with, a WeightsError whose text matches and that names a remedy. */
export async function refuses(action: () => unknown, message: RegExp, hint?: string): Promise<void> {
  try {
    await action();
  } catch (error) {
    assert.ok(error instanceof WeightsError, `${hint ?? ''} ${String(error)}`);
    assert.match(error.message, message, hint);
    assert.ok(error.remedy.length > 10, hint);
    return;
  }
  assert.fail(`nothing was thrown ${hint ?? ''}`);
}

/**
 * Asserts that every prefix of a valid file is refused with a WeightsError, and that every change of one byte either is or
 * still gives tensors.
 */
export async function survivesDamage(file: Uint8Array, read: (bytes: Uint8Array) => unknown): Promise<void> {
  await read(file);
  for (let length = 0; length < file.length; length++) {
    await refuses(() => read(file.slice(0, length)), /./, `prefix of ${length} bytes`);
  }
  for (let at = 0; at < file.length; at++) {
    for (const change of [0x01, 0x80, 0xff]) {
      const damaged = file.slice();
      damaged[at]! ^= change;
      try {
        await read(damaged);
      } catch (error) {
        assert.ok(error instanceof WeightsError, `byte ${at} ^ ${change}: ${String(error)}`);
      }
    }
  }
}
