import { WeightsError } from '../gpu/errors.js';

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** What to do about a file whose bytes are not what was written. */
export const DAMAGED = 'The file is damaged or was cut short: fetch it again and compare its size.';

/** The error for a weights file at `source` that is not what it should be. */
export function weightsProblem(
  source: string,
  expected: string,
  got: string,
  remedy: string = DAMAGED,
  cause?: unknown,
): WeightsError {
  return new WeightsError({ operation: `read weights from ${source}`, expected, got, remedy, cause });
}

/**
 * Reads bytes from front to back, little-endian. Every method throws WeightsError, with the offset, where the bytes run out;
 * `position` always lies inside the bytes or at their end.
 */
export class ByteReader {
  readonly bytes: Uint8Array;
  readonly source: string;
  private readonly view: DataView;
  private next: number;

  constructor(bytes: Uint8Array, source: string, position = 0) {
    this.bytes = bytes;
    this.source = source;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.next = 0;
    this.advance(position);
  }

  /** The offset of the byte that comes next. */
  get position(): number {
    return this.next;
  }

  get remaining(): number {
    return this.bytes.length - this.next;
  }

  u8(): number {
    return this.view.getUint8(this.advance(1));
  }

  u16(): number {
    return this.view.getUint16(this.advance(2), true);
  }

  u32(): number {
    return this.view.getUint32(this.advance(4), true);
  }

  i32(): number {
    return this.view.getInt32(this.advance(4), true);
  }

  /** An unsigned 64-bit count. Throws WeightsError over 2^53 − 1, which no file reaches. */
  u64(): number {
    const at = this.advance(8);
    const value = this.view.getBigUint64(at, true);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw this.problem('a length or offset that a file can have', `${value.toString()} at byte ${at}`);
    }
    return Number(value);
  }

  /** A float64 in network order, as pickles hold it. */
  f64BigEndian(): number {
    return this.view.getFloat64(this.advance(8), false);
  }

  /** The next `count` bytes, as a view and not a copy. */
  take(count: number): Uint8Array {
    const at = this.advance(count);
    return this.bytes.subarray(at, at + count);
  }

  /** The next `count` bytes as UTF-8 text. */
  text(count: number): string {
    const at = this.next;
    const bytes = this.take(count);
    try {
      return utf8.decode(bytes);
    } catch (cause) {
      throw weightsProblem(this.source, 'UTF-8 text', `other bytes at byte ${at}`, DAMAGED, cause);
    }
  }

  /** The text up to the next line feed, which is read too; at most `limit` bytes long. */
  line(limit: number): string {
    const end = this.bytes.subarray(this.next, this.next + limit + 1).indexOf(0x0a);
    if (end < 0) {
      throw this.problem(`a line of at most ${limit} bytes`, `none that ends, at byte ${this.next}`);
    }
    const text = this.text(end);
    this.advance(1);
    return text;
  }

  problem(expected: string, got: string, remedy: string = DAMAGED): WeightsError {
    return weightsProblem(this.source, expected, got, remedy);
  }

  /** Steps over `count` bytes and returns the offset before the step. */
  private advance(count: number): number {
    if (!Number.isSafeInteger(count) || count < 0 || count > this.remaining) {
      throw this.problem(
        `${count} more bytes at byte ${this.next}`,
        `${this.remaining} before the end of ${this.bytes.length} bytes`,
      );
    }
    const at = this.next;
    this.next += count;
    return at;
  }
}
