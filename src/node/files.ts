import { randomUUID } from 'node:crypto';
import { lstat, mkdir, open, readdir, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { threadId } from 'node:worker_threads';
import { checkOptions } from '../gpu/arguments.js';
import { ArgumentError, FileError, RetinaFaceError } from '../gpu/errors.js';
import { checkPicture, isPicture, type Picture } from '../image/picture.js';
import { blobOf, noSource, type PictureInput } from '../image/source.js';
import type { PictureReading } from '../retinaface/retinaface.js';
import { encodeJpeg, encodePng } from './codecs.js';
import { decodePicture } from './other_codecs.js';

const REMEDIES: Readonly<Record<string, string>> = {
  ENOENT: 'Check the path.',
  EISDIR: 'Name a file, not a folder.',
  EACCES: 'Check the permissions of the file.',
  ENOSPC: 'Make room on the disk, or write elsewhere.',
};

/** The FileError for what Node says of a file. */
export function fileError(operation: string, expected: string, cause: unknown): FileError {
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

/** A file that is not whole yet: what it will be called, and the process (and its thread) that writes it. */
const TEMPORARY = /^\.(.+)\.(\d+)(?:-\d+)?\.tmp$/;

/** Where a file is written first. Two processes may write one file; the same one overwrites what it left. */
function temporaryOf(target: string): string {
  const name = basename(target);
  // Names end at 255 bytes.
  const short = Buffer.byteLength(name) > 230 ? randomUUID() : name;
  const writer = threadId === 0 ? `${process.pid}` : `${process.pid}-${threadId}`;
  return join(dirname(target), `.${short}.${writer}.tmp`);
}

/** Temporary files by their folders, as each was before this process wrote into it. */
const leftovers = new Map<string, Promise<readonly string[]>>();

/** Removes what processes that were killed while they wrote this file left beside it. */
async function removeLeftovers(target: string): Promise<void> {
  const folder = dirname(target);
  let found = leftovers.get(folder);
  if (!found) {
    found = readdir(folder).then(
      (names) => names.filter((name) => TEMPORARY.test(name)),
      () => [],
    );
    leftovers.set(folder, found);
  }
  for (const name of await found) {
    const [, of, id] = TEMPORARY.exec(name) ?? [];
    // A file that cannot be removed is no reason not to write.
    if (of === basename(target) && !isRunning(Number(id))) await rm(join(folder, name)).catch(() => undefined);
  }
}

function isRunning(id: number): boolean {
  try {
    process.kill(id, 0);
    return true;
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH');
  }
}

/** The last write of each file that this thread has begun and not ended. */
const writing = new Map<string, Promise<void>>();

/**
 * Writes a file whole or not at all: under another name first, then renamed. A link keeps pointing to its file; a device
 * or pipe, which cannot be replaced, is written into. Writes of one file wait for each other. `durable`: also where power
 * fails, at the cost of waiting for the disk. `shared`: processes of other machines may write the same file at the same time;
 * what they leave half-written is theirs.
 * @throws FileError, or what `bytes` throws, leaving nothing behind; what a process that is killed meanwhile leaves, the next
 * one removes.
 */
export async function writeFileAtomic(
  path: string,
  bytes: Uint8Array | AsyncIterable<Uint8Array>,
  options: { readonly durable?: boolean; readonly shared?: boolean } = {},
): Promise<void> {
  const target = await realpath(path).catch(() => path);
  const write = (writing.get(target) ?? Promise.resolve()).then(() => replace(target, bytes, options));
  const ended = write.catch(() => undefined);
  writing.set(target, ended);
  try {
    await write;
  } catch (cause) {
    if (cause instanceof RetinaFaceError) throw cause;
    throw fileError(`write ${path}`, 'a file that can be written', cause);
  } finally {
    if (writing.get(target) === ended) writing.delete(target);
  }
}

async function replace(
  target: string,
  bytes: Uint8Array | AsyncIterable<Uint8Array>,
  { durable = false, shared = false }: { readonly durable?: boolean; readonly shared?: boolean },
): Promise<void> {
  const existing = await stat(target).catch(() => undefined);
  if (existing && !existing.isFile() && !existing.isDirectory()) {
    await writeFile(target, bytes);
    return;
  }
  // A process id says nothing to another machine.
  if (!shared) await removeLeftovers(target);
  const temporary = shared ? join(dirname(target), `.${randomUUID()}.tmp`) : temporaryOf(target);
  try {
    if (durable) await writeToDisk(temporary, bytes);
    else await writeFile(temporary, bytes);
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Writes a file and waits until the disk has it. */
async function writeToDisk(path: string, bytes: Uint8Array | AsyncIterable<Uint8Array>): Promise<void> {
  const file = await open(path, 'w');
  try {
    await writeFile(file, bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes a folder and those above it. @throws FileError. */
export async function makeFolder(folder: string): Promise<void> {
  try {
    // One by one: where none can be made, as below /proc, Node's own way of making all at once never returns.
    const missing: string[] = [];
    let path = resolve(folder);
    while (!(await isThere(path))) {
      missing.push(path);
      path = dirname(path);
    }
    for (const each of missing.reverse()) {
      await mkdir(each).catch((error: unknown) => {
        if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
      });
    }
    if (missing.length === 0 && !(await stat(folder)).isDirectory()) throw new Error('a file of that name is there');
  } catch (cause) {
    throw new FileError({
      operation: `make the folder ${folder}`,
      expected: 'a folder that can be made',
      got: cause instanceof Error ? cause.message : String(cause),
      remedy: 'Name another folder.',
      cause,
    });
  }
}

function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => dirname(path) === path,
  );
}

/**
 * Reads a picture, upright: of a path, an address (`file:`, `http:`, `https:`, `data:`), a Response or the bytes of a file;
 * pixels stay as they are. PNG and JPEG; with the package `sharp` installed also WebP, AVIF, GIF (its first picture), TIFF and
 * what else that reads.
 * @throws FileError when it cannot be read or fetched, ImageError when it is no picture, ArgumentError for anything else.
 */
export async function readImage(source: PictureInput): Promise<Picture> {
  return readPicture(source, { operation: 'readImage', signal: undefined });
}

/** What a model reads pictures by: pixels at once, anything else as `readImage` does. */
export function readPicture(
  source: PictureInput,
  { operation, signal }: Pick<PictureReading, 'operation' | 'signal'>,
): Picture | Promise<Picture> {
  return isPicture(source) ? checkPicture(source, operation) : readFrom(source, operation, signal);
}

async function readFrom(source: PictureInput, operation: string, signal: AbortSignal | undefined): Promise<Picture> {
  if (source instanceof Uint8Array) return decodePicture(source, 'the given bytes');
  const isAddress = typeof source === 'string' ? /^(https?|data|blob):/i.test(source) : !isFileAddress(source);
  if ((typeof source === 'string' || source instanceof URL) && !isAddress) {
    const path = typeof source === 'string' && /^file:/i.test(source) ? fileAddress(source) : source;
    return decodePicture(await readBytes(path, 'read picture'), String(source));
  }
  const blob = await blobOf(source, signal);
  if (!blob) throw noSource(operation, source, 'a path, an address, a Response');
  return decodePicture(new Uint8Array(await blob.arrayBuffer()), nameOf(source));
}

/** What errors call the bytes of a source. */
function nameOf(source: PictureInput): string {
  if (typeof source === 'string' || source instanceof URL) return String(source).slice(0, 200);
  if (source instanceof Response && source.url !== '') return source.url.slice(0, 200);
  if (source instanceof Blob) return 'name' in source ? String(source.name) : 'the given blob';
  return 'the given bytes';
}

function isFileAddress(source: unknown): boolean {
  return source instanceof URL && source.protocol === 'file:';
}

function fileAddress(address: string): URL {
  try {
    return new URL(address);
  } catch (cause) {
    throw fileError(`read picture from ${address}`, 'an address as file:///folder/picture.jpg', cause);
  }
}

/** Writes a picture as PNG or JPEG, by the ending of the path, whole or not at all. @throws FileError, ArgumentError. */
export async function writeImage(path: string, picture: Picture): Promise<void> {
  checkOptions('writeImage', { path, picture }, { path: 'string!', picture: 'object!' });
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
