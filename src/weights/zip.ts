import type { WeightsError } from '../gpu/errors.js';
import { ByteReader, DAMAGED, weightsProblem } from './byte_reader.js';

/** One file of a zip archive, as the archive's directory describes it. */
export interface ZipEntry {
  readonly name: string;
  readonly method: number;
  readonly crc: number;
  readonly compressedBytes: number;
  readonly bytes: number;
  readonly headerOffset: number;
}

const STORED = 0;
const DEFLATED = 8;
const ENCRYPTED = 1;
/** The sum of all inflated files of an archive; a stored file needs no bound beyond the archive's own size. */
const MAX_INFLATED_BYTES = 1 << 30;
/** What deflate can reach at most; a file that claims more has no honest size. */
const MAX_DEFLATE_RATIO = 1032;
const RESAVE = 'Save it again with torch.save, which neither compresses nor encrypts.';

/** Reads single files of a zip archive in memory. Zip64 is understood; encrypted and split archives are refused. */
export class ZipReader {
  readonly entries: ReadonlyMap<string, ZipEntry>;
  private readonly bytes: Uint8Array;
  private readonly source: string;
  private inflated = 0;

  /** Reads the archive's directory. Throws WeightsError where there is none, or it is damaged. */
  constructor(bytes: Uint8Array, source: string) {
    this.bytes = bytes;
    this.source = source;
    this.entries = readDirectory(bytes, source);
  }

  /** The bytes inflated so far beyond those of the archive itself. */
  get inflatedBytes(): number {
    return this.inflated;
  }

  /**
   * One file's content: a view of the archive where it is stored, inflated where it is deflated. Throws WeightsError for a
   * wrong checksum, a size that is not the directory's, any other compression, and beyond 1 GiB of inflated files.
   */
  async read(entry: ZipEntry): Promise<Uint8Array> {
    const problem = (expected: string, got: string, remedy?: string): WeightsError =>
      weightsProblem(this.source, `${expected} for ${entry.name} of the archive`, got, remedy);
    const reader = new ByteReader(this.bytes, this.source, entry.headerOffset);
    if (reader.u32() !== 0x04034b50) throw problem('a local header', `other bytes at byte ${entry.headerOffset}`);
    reader.take(22);
    const nameBytes = reader.u16();
    const extraBytes = reader.u16();
    if (reader.text(nameBytes) !== entry.name) throw problem('the same name in both headers', 'another');
    reader.take(extraBytes);
    const packed = reader.take(entry.compressedBytes);

    if (entry.method === STORED) {
      if (packed.length !== entry.bytes) throw problem(`${entry.bytes} stored bytes`, `${packed.length}`);
      if (crc32(packed) !== entry.crc) throw problem('the checksum that the archive gives', 'another');
      return packed;
    }
    if (entry.method !== DEFLATED)
      throw problem('stored or deflated data', `compression method ${entry.method}`, RESAVE);
    this.inflated += entry.bytes;
    if (this.inflated > MAX_INFLATED_BYTES || entry.bytes > (packed.length + 1) * MAX_DEFLATE_RATIO) {
      throw problem(
        `at most ${MAX_INFLATED_BYTES} inflated bytes in all`,
        `${entry.bytes} from ${packed.length}`,
        RESAVE,
      );
    }
    return inflate(packed, entry, this.source);
  }
}

function readDirectory(bytes: Uint8Array, source: string): Map<string, ZipEntry> {
  const end = new ByteReader(bytes, source, endOfDirectory(bytes, source) + 4);
  const disks = [end.u16(), end.u16()];
  let [, count] = [end.u16(), end.u16()];
  let directoryBytes = end.u32();
  let directoryOffset = end.u32();
  if (count === 0xffff || directoryBytes === 0xffffffff || directoryOffset === 0xffffffff) {
    const locator = new ByteReader(bytes, source, Math.max(0, end.position - 20 - 20));
    if (locator.u32() !== 0x07064b50) throw locator.problem('the locator of a zip64 directory', 'other bytes');
    disks.push(locator.u32());
    const end64 = new ByteReader(bytes, source, locator.u64());
    if (end64.u32() !== 0x06064b50) throw end64.problem('the end of a zip64 directory', 'other bytes');
    end64.take(12);
    disks.push(end64.u32(), end64.u32());
    end64.u64();
    count = end64.u64();
    directoryBytes = end64.u64();
    directoryOffset = end64.u64();
  }
  if (disks.some((disk) => disk !== 0)) throw end.problem('an archive in one part', 'one of several', RESAVE);

  const whole = new ByteReader(bytes, source, directoryOffset);
  const reader = new ByteReader(whole.take(directoryBytes), source);
  const entries = new Map<string, ZipEntry>();
  for (let i = 0; i < count; i++) {
    const entry = readDirectoryEntry(reader);
    if (entries.has(entry.name)) throw reader.problem('every name once in the archive', `${entry.name} twice`);
    entries.set(entry.name, entry);
  }
  return entries;
}

/** Where the end-of-directory record starts: the last one whose comment reaches exactly to the end of the file. */
function endOfDirectory(bytes: Uint8Array, source: string): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = bytes.length - 22; at >= Math.max(0, bytes.length - 22 - 0xffff); at--) {
    if (view.getUint32(at, true) === 0x06054b50 && at + 22 + view.getUint16(at + 20, true) === bytes.length) return at;
  }
  throw weightsProblem(source, 'a zip archive with its directory at the end', `none in ${bytes.length} bytes`, DAMAGED);
}

function readDirectoryEntry(reader: ByteReader): ZipEntry {
  if (reader.u32() !== 0x02014b50) throw reader.problem('an entry of the zip directory', 'other bytes');
  reader.take(4);
  const flags = reader.u16();
  const method = reader.u16();
  reader.take(4);
  const crc = reader.u32();
  let compressedBytes = reader.u32();
  let bytes = reader.u32();
  const nameBytes = reader.u16();
  const extraBytes = reader.u16();
  const commentBytes = reader.u16();
  reader.take(8);
  let headerOffset = reader.u32();
  const name = reader.text(nameBytes);
  const extra = new ByteReader(reader.take(extraBytes), reader.source);
  reader.take(commentBytes);
  if (flags & ENCRYPTED) throw reader.problem('files that are not encrypted', name, RESAVE);
  // Zip64 moves to the extra field what does not fit, in this order.
  while (extra.remaining >= 4) {
    const id = extra.u16();
    const field = new ByteReader(extra.take(extra.u16()), reader.source);
    if (id !== 1) continue;
    if (bytes === 0xffffffff) bytes = field.u64();
    if (compressedBytes === 0xffffffff) compressedBytes = field.u64();
    if (headerOffset === 0xffffffff) headerOffset = field.u64();
  }
  return { name, method, crc, compressedBytes, bytes, headerOffset };
}

/**
 * Inflates through the gzip format, which every runtime's DecompressionStream has and whose trailer makes it check the
 * length and the checksum; Node has had `deflate-raw` only since 20.12.
 */
async function inflate(packed: Uint8Array, entry: ZipEntry, source: string): Promise<Uint8Array> {
  const header = Uint8Array.of(0x1f, 0x8b, DEFLATED, 0, 0, 0, 0, 0, 0, 0xff);
  const trailer = new Uint8Array(8);
  new DataView(trailer.buffer).setUint32(0, entry.crc, true);
  new DataView(trailer.buffer).setUint32(4, entry.bytes, true);
  const content = new Uint8Array(entry.bytes);
  const inflated = new Blob([header, new Uint8Array(packed), trailer])
    .stream()
    .pipeThrough(new DecompressionStream('gzip'));
  const reader = inflated.getReader();
  let length = 0;
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      if (part.value.length > content.length - length) throw new RangeError('more bytes than the directory gives');
      content.set(part.value, length);
      length += part.value.length;
    }
    if (length !== content.length) throw new RangeError(`${length} bytes`);
    return content;
  } catch (cause) {
    reader.cancel().catch(() => undefined);
    const got = cause instanceof Error ? cause.message : 'other data';
    throw weightsProblem(source, `${entry.bytes} bytes inflated from ${entry.name}`, got, DAMAGED, cause);
  }
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit++) remainder = remainder & 1 ? (remainder >>> 1) ^ 0xedb88320 : remainder >>> 1;
  return remainder;
});

/** The CRC-32 of zip, gzip and PNG: the reflected polynomial 0xEDB88320, started at and inverted with all ones. */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ CRC_TABLE[(crc ^ byte) & 0xff]!;
  return ~crc >>> 0;
}
