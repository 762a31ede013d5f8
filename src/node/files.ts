import { randomUUID } from 'node:crypto';
import { readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';
import { ArgumentError, FileError } from '../gpu/errors.js';
import type { Picture } from '../image/picture.js';
import { decodeImage, encodeJpeg, encodePng } from './codecs.js';

const REMEDIES: Readonly<Record<string, string>> = {
  ENOENT: 'Check the path.',
  EISDIR: 'Name a file, not a folder.',
  EACCES: 'Check the permissions of the file.',
  ENOSPC: 'Make room on the disk, or write elsewhere.',
};

function fileError(operation: string, expected: string, cause: unknown): FileError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  return new FileError({
    operation,
    expected,
    got: cause instanceof Error ? cause.message : String(cause),
    remedy: REMEDIES[code] ?? 'Check the path and its permissions.',
    cause,
  });
}

/** The bytes of a file; `operation` is what a FileError calls the attempt. */
export async function readBytes(path: string | URL, operation: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return Uint8Array.from(await readFile(path));
  } catch (cause) {
    throw fileError(`${operation} from ${String(path)}`, 'a file that can be read', cause);
  }
}

/**
 * Writes a file whole or not at all: under another name first, then renamed. A link keeps pointing to its file; a device
 * or pipe, which cannot be replaced, is written into. @throws FileError, leaving nothing behind.
 */
export async function writeFileAtomic(path: string, bytes: Uint8Array): Promise<void> {
  let temporary: string | undefined;
  try {
    const target = await realpath(path).catch(() => path);
    const existing = await stat(target).catch(() => undefined);
    if (existing && !existing.isFile() && !existing.isDirectory()) {
      await writeFile(target, bytes);
      return;
    }
    temporary = join(dirname(target), `.${randomUUID()}.tmp`);
    await writeFile(temporary, bytes);
    await rename(temporary, target);
  } catch (cause) {
    if (temporary !== undefined) await rm(temporary, { force: true });
    throw fileError(`write ${path}`, 'a file that can be written', cause);
  }
}

/** Reads a PNG or JPEG, upright. @throws FileError when it cannot be read, ImageError when it is no picture. */
export async function readImage(source: string | URL | Uint8Array): Promise<Picture> {
  if (source instanceof Uint8Array) return decodeImage(source, 'the given bytes');
  return decodeImage(await readBytes(source, 'read picture'), String(source));
}

/** Writes a picture as PNG or JPEG, by the ending of the path, whole or not at all. @throws FileError, ArgumentError. */
export async function writeImage(path: string, picture: Picture): Promise<void> {
  const encoders: Readonly<Record<string, (picture: Picture) => Uint8Array>> = {
    '.png': encodePng,
    '.jpg': encodeJpeg,
    '.jpeg': encodeJpeg,
  };
  const encode = encoders[extname(path).toLowerCase()];
  if (!encode) {
    throw new ArgumentError({
      operation: `write ${path}`,
      expected: 'a path that ends in .png, .jpg or .jpeg',
      got: `'${extname(path)}'`,
      remedy: 'Name the file by one of these endings.',
    });
  }
  await writeFileAtomic(path, encode(picture));
}
