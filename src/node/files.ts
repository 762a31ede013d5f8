import { randomUUID } from 'node:crypto';
import { lstat, mkdir, open, readdir, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { threadId } from 'node:worker_threads';
import { describe, isPromise } from '../gpu/arguments.js';
import { ArgumentError, FileError, RetinaFaceError } from '../gpu/errors.js';
import type { Picture } from '../image/picture.js';
import { decodeImage, encodeJpeg, encodePng } from './codecs.js';

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
 * Reads a PNG or JPEG, upright: of a path, an address (`file:`, `http:`, `https:`, `data:`) or the bytes of a file.
 * @throws FileError when it cannot be read or fetched, ImageError when it is no picture, ArgumentError for anything else.
 */
export async function readImage(source: string | URL | Uint8Array | ArrayBuffer | Blob): Promise<Picture> {
  if (source instanceof Uint8Array) return decodeImage(source, 'the given bytes');
  if (source instanceof ArrayBuffer) return decodeImage(new Uint8Array(source), 'the given bytes');
  if (source instanceof Blob) return decodeImage(new Uint8Array(await source.arrayBuffer()), 'the given blob');
  const given: unknown = source;
  if (typeof source !== 'string' && !(source instanceof URL)) {
    throw new ArgumentError({
      operation: 'readImage',
      expected: 'a path, an address, or the bytes of a file',
      got: describe(given),
      remedy: isPromise(given)
        ? 'Await it: `await readImage(await …)`.'
        : 'Pass one of these; of a picture that is decoded already, nothing.',
    });
  }
  const name = String(source);
  if (/^(https?|data):/i.test(name)) return decodeImage(await fetchBytes(name), name.slice(0, 200));
  const path = typeof source === 'string' && /^file:/i.test(source) ? fileAddress(source) : source;
  return decodeImage(await readBytes(path, 'read picture'), name);
}

function fileAddress(address: string): URL {
  try {
    return new URL(address);
  } catch (cause) {
    throw fileError(`read picture from ${address}`, 'an address as file:///folder/picture.jpg', cause);
  }
}

async function fetchBytes(address: string): Promise<Uint8Array> {
  const problem = (got: string, remedy: string, cause?: unknown): FileError =>
    new FileError({
      operation: `read picture from ${address.slice(0, 200)}`,
      expected: 'an address that answers',
      got,
      remedy,
      cause,
    });
  let response: Response;
  try {
    response = await fetch(address);
  } catch (cause) {
    // What went wrong stands one deeper.
    const reason = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
    const said = reason instanceof Error ? reason.message || reason.name : String(reason);
    throw problem(said, 'Check the address and the connection.', cause);
  }
  if (!response.ok) throw problem(`HTTP ${response.status} ${response.statusText}`.trim(), 'Check the address.');
  return new Uint8Array(await response.arrayBuffer());
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
