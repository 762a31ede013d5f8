import { FileError } from '../gpu/errors.js';
import { inflate } from './inflate.js';

const BLOCK = 512;
const MAX_BYTES = 1 << 30;
const DAMAGED = 'The archive is damaged or was cut short: fetch it again, or unpack it and name the folder.';

/** One file of an archive. */
export interface ArchiveFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

/**
 * The files of a tar archive, gzipped or not, in order (POSIX ustar, and the long names of GNU tar). Folders and links are
 * left out. @throws FileError for damage and for what is no such archive.
 */
export async function readTar(packed: Uint8Array, source: string): Promise<ArchiveFile[]> {
  const problem = (expected: string, got: string, cause?: unknown): FileError =>
    new FileError({ operation: `read ${source}`, expected, got, remedy: DAMAGED, cause });
  let bytes = packed;
  if (packed[0] === 0x1f && packed[1] === 0x8b) {
    try {
      bytes = await inflate(packed, 'gzip', MAX_BYTES);
    } catch (cause) {
      throw problem('gzip data', cause instanceof Error ? cause.message : 'other data', cause);
    }
  }
  const files: ArchiveFile[] = [];
  let longName: string | undefined;
  for (let at = 0; at + BLOCK <= bytes.length;) {
    const header = bytes.subarray(at, at + BLOCK);
    if (header.every((byte) => byte === 0)) return files;
    const size = octal(header, 124, 12);
    const checksum = header.reduce((sum, byte, i) => sum + (i >= 148 && i < 156 ? 32 : byte), 0);
    if (octal(header, 148, 8) !== checksum || !Number.isSafeInteger(size)) {
      throw problem('a header of a tar archive', `other bytes at byte ${at}`);
    }
    if (at + BLOCK + size > bytes.length) {
      throw problem(`${size} bytes of ${text(header, 0, 100)}`, `${bytes.length - at - BLOCK} before the end`);
    }
    const content = bytes.subarray(at + BLOCK, at + BLOCK + size);
    const type = String.fromCharCode(header[156]!);
    if (type === 'L') longName = text(content, 0, size);
    else {
      if (type === '0' || type === '\0') {
        const prefix = text(header, 257, 5) === 'ustar' && header[262] === 0 ? text(header, 345, 155) : '';
        const path = longName ?? `${prefix === '' ? '' : `${prefix}/`}${text(header, 0, 100)}`;
        files.push({ path, bytes: content });
      }
      longName = undefined;
    }
    at += BLOCK * (1 + Math.ceil(size / BLOCK));
  }
  throw problem('the two empty blocks that end an archive', 'none');
}

function text(bytes: Uint8Array, start: number, length: number): string {
  const field = bytes.subarray(start, start + length);
  const end = field.indexOf(0);
  return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end));
}

function octal(bytes: Uint8Array, start: number, length: number): number {
  const digits = text(bytes, start, length).trim();
  return /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number.NaN;
}
