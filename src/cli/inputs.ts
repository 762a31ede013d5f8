import { open, readdir, realpath, stat } from 'node:fs/promises';
import { basename, extname, join, sep } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import type { RetinaFaceError } from '../gpu/errors.js';
import { FileError, ImageError } from '../gpu/errors.js';
import { fileError } from '../node/files.js';

/** Endings of pictures that are read. */
export const PICTURES = new Set(['.jpg', '.jpeg', '.jpe', '.jfif', '.png']);
/** Endings of pictures that are not, which a folder may hold. */
const OTHER_PICTURES = new Set(['.webp', '.gif', '.bmp', '.tif', '.tiff', '.heic', '.heif', '.avif', '.jxl', '.svg']);

/** A picture to search, or why there is none. */
export interface Input {
  /** As it was named: a path, or `-`. */
  readonly file: string;
  /** The path below the folder that was named; of a picture that was named itself its own name. */
  readonly below: string;
  /** Of a picture that came through standard input. */
  readonly bytes?: Uint8Array;
  readonly error?: RetinaFaceError;
}

/** How folders are read. */
export interface InputOptions {
  /** Folders inside folders are searched, too. */
  readonly recursive: boolean;
  /** Hears of pictures in a folder that are of no kind that is read. */
  readonly onSkipped: (folder: string, names: readonly string[]) => void;
}

/** Pictures named, those in folders named, and those that a pattern stands for, in order. What is wrong with one ends no other. */
export async function listInputs(sources: readonly string[], options: InputOptions): Promise<Input[]> {
  const inputs: Input[] = [];
  for (const source of sources) {
    const kind = await stat(source).then(
      (info) => (info.isDirectory() ? 'folder' : 'file'),
      () => 'absent',
    );
    if (kind === 'folder') inputs.push(...(await folderInputs(source, options)));
    else if (kind === 'file' || !isPattern(source)) inputs.push({ file: source, below: basename(source) });
    else inputs.push(...(await patternInputs(source, options)));
  }
  return inputs;
}

/** What a pattern stands for, each once; folders that hold no pictures are no failure while others do. */
async function patternInputs(pattern: string, options: InputOptions): Promise<Input[]> {
  const inputs = new Map<string, Input>();
  for (const { path, isFolder } of await glob(pattern)) {
    const found = isFolder ? (await searchFolder(path, options)).inputs : [{ file: path, below: basename(path) }];
    for (const input of found) if (!inputs.has(input.file)) inputs.set(input.file, input);
  }
  if (inputs.size > 0) return [...inputs.values()];
  return [{ file: pattern, below: basename(pattern), error: unmatched(pattern) }];
}

/** The sources, with what standard input says in the place of `-`: a path a line, or one picture. */
export async function* streamInputs(sources: readonly string[], options: InputOptions): AsyncGenerator<Input> {
  for (const source of sources) {
    if (source === '-') yield* standardInput(options);
    else yield* await listInputs([source], options);
  }
}

/**
 * The sources of a job, each picture once: what `listInputs` finds, and for `-`, or a file that is text, the pictures that it
 * lists, one a line. Those are taken as they stand, so that a list of a million costs no look at the disk.
 * @throws FileError for a list that cannot be read, and for what is not there and has not the name of a picture: it was meant to be
 * one.
 */
export async function listBatch(sources: readonly string[], options: InputOptions): Promise<Input[]> {
  const inputs = new Map<string, Input>();
  const add = (input: Input): void => {
    if (!inputs.has(input.file)) inputs.set(input.file, input);
  };
  for (const source of sources) {
    const list = source === '-' ? process.stdin : await openList(source);
    if (!list) {
      for (const input of await listInputs([source], options)) add(input);
      if (!isPattern(source) && !isPictureName(source)) await checkThere(source);
    } else {
      try {
        for await (const line of createInterface({ input: list, crlfDelay: Infinity })) {
          if (line.trim() !== '') add({ file: line, below: basename(line) });
        }
      } catch (cause) {
        throw fileError(`read the list ${source}`, 'a file that can be read', cause);
      }
    }
  }
  return [...inputs.values()];
}

function isPictureName(path: string): boolean {
  const ending = extname(path).toLowerCase();
  return PICTURES.has(ending) || OTHER_PICTURES.has(ending);
}

/** @throws FileError where nothing is there. */
async function checkThere(path: string): Promise<void> {
  try {
    await stat(path);
  } catch (cause) {
    throw fileError(`read pictures from ${path}`, 'a list, a picture or a folder', cause);
  }
}

/** Reads a list; undefined for what is no file of text. */
async function openList(path: string): Promise<Readable | undefined> {
  if (isPictureName(path)) return undefined;
  const file = await open(path).catch(() => undefined);
  if (!file) return undefined;
  const start = Buffer.alloc(512);
  const read = (await file.stat()).isFile() ? (await file.read(start, 0, start.length, 0)).bytesRead : 0;
  if (read === 0 || isPicture(start.subarray(0, read))) {
    await file.close();
    return undefined;
  }
  return file.createReadStream({ start: 0 });
}

/** Paths have no zero bytes; files of pictures begin with one, or with one that no text begins with. */
function isPicture(start: Buffer): boolean {
  return start[0] === 0xff || start[0] === 0x89 || start.includes(0);
}

async function* standardInput(options: InputOptions): AsyncGenerator<Input> {
  const chunks = process.stdin[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  const first = await chunks.next();
  if (first.done === true) return;
  const rest = { [Symbol.asyncIterator]: () => chunks };
  const start = first.value;
  if (isPicture(start)) {
    const parts = [start];
    for await (const part of rest) parts.push(part);
    yield { file: '-', below: 'stdin', bytes: Buffer.concat(parts) };
    return;
  }
  const whole = async function* (): AsyncGenerator<Buffer> {
    yield start;
    yield* rest;
  };
  for await (const line of createInterface({ input: Readable.from(whole()), crlfDelay: Infinity })) {
    if (line.trim() === '') continue;
    // Names may begin or end with spaces; lists are written with some around, too.
    const exact = await stat(line).then(
      () => true,
      () => false,
    );
    yield* await listInputs([exact ? line : line.trim()], options);
  }
}

async function folderInputs(folder: string, options: InputOptions): Promise<Input[]> {
  const { inputs, skipped } = await searchFolder(folder, options);
  if (inputs.length > 0) return [...inputs];
  const error = new ImageError({
    operation: 'detect',
    expected: `pictures (${[...PICTURES].join(', ')}) in ${folder}`,
    got:
      skipped.length > 0 ? `a folder without any, but with ${skipped.slice(0, 3).join(', ')}` : 'a folder without any',
    remedy: options.recursive
      ? 'Name a folder that holds pictures.'
      : 'Name a folder that holds pictures; --recursive searches folders inside it, too.',
  });
  return [{ file: folder, below: basename(folder), error }];
}

/** The pictures of a folder, and those of kinds that are not read. */
async function searchFolder(
  folder: string,
  options: InputOptions,
): Promise<{ readonly inputs: readonly Input[]; readonly skipped: readonly string[] }> {
  const inputs: Input[] = [];
  const skipped: string[] = [];
  // A link may lead back to where it stands.
  const visited = new Set<string>();
  const visit = async (inside: string): Promise<void> => {
    const path = join(folder, inside);
    const fail = (error: RetinaFaceError): void => {
      inputs.push({ file: path, below: inside, error });
    };
    let entries;
    try {
      const real = await realpath(path);
      if (visited.has(real)) return;
      visited.add(real);
      entries = await readdir(path, { withFileTypes: true });
    } catch (cause) {
      fail(unreadable(path, cause));
      return;
    }
    entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of entries) {
      const below = join(inside, entry.name);
      const ending = extname(entry.name).toLowerCase();
      const isFolder = entry.isDirectory() || (entry.isSymbolicLink() && (await leadsToFolder(join(folder, below))));
      if (isFolder) {
        if (options.recursive) await visit(below);
      } else if (PICTURES.has(ending)) inputs.push({ file: join(folder, below), below });
      else if (OTHER_PICTURES.has(ending)) skipped.push(below);
    }
  };
  await visit('');
  if (skipped.length > 0) options.onSkipped(folder, skipped);
  return { inputs, skipped };
}

function leadsToFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (info) => info.isDirectory(),
    () => false,
  );
}

function unreadable(path: string, cause: unknown): FileError {
  return new FileError({
    operation: `read the folder ${path}`,
    expected: 'a folder that can be read',
    got: cause instanceof Error ? cause.message : String(cause),
    remedy: 'Check its permissions.',
    cause,
  });
}

/** Patterns are for shells that hand them on as they are: *, ?, [abc] within a name, ** for folders. */
function isPattern(path: string): boolean {
  return /[*?[]/.test(path);
}

function unmatched(pattern: string): FileError {
  return new FileError({
    operation: `read pictures of ${pattern}`,
    expected: 'files that this pattern stands for',
    got: 'none',
    remedy: 'Check the path: * stands for any part of a name, ** for any folders.',
  });
}

/**
 * What a pattern stands for, by name: pictures, as `**` at its end does at any depth. Folders are searched only where it ends
 * with a plain name or a slash, so that none is entered twice.
 */
async function glob(pattern: string): Promise<{ readonly path: string; readonly isFolder: boolean }[]> {
  const parts = pattern.split(sep === '\\' ? /[\\/]/ : '/');
  if (parts.at(-1) === '**') parts.push('*');
  const folders = !matcher(parts.at(-1)!);
  let found = [pattern.startsWith('/') ? '/' : ''];
  for (const [i, part] of parts.entries()) {
    if (part === '') continue;
    const last = i === parts.length - 1;
    const matches = matcher(part);
    const next: string[] = [];
    for (const folder of found) {
      if (part === '**') next.push(...(await foldersBelow(folder)));
      else if (!matches) next.push(folder === '' ? part : join(folder, part));
      else {
        const entries = await readdir(folder === '' ? '.' : folder, { withFileTypes: true }).catch(() => []);
        for (const entry of entries) {
          if (!matches.test(entry.name) || (entry.name.startsWith('.') && !part.startsWith('.'))) continue;
          if (last || entry.isDirectory() || entry.isSymbolicLink()) next.push(join(folder, entry.name));
        }
      }
    }
    found = next;
  }
  const present: { readonly path: string; readonly isFolder: boolean }[] = [];
  for (const name of new Set(found)) {
    const path = name === '' ? '.' : name;
    const info = await stat(path).catch(() => undefined);
    if (!info) continue;
    const isFolder = info.isDirectory();
    // Of all the files that a pattern happens to stand for, pictures are meant.
    if (isFolder ? folders : PICTURES.has(extname(path).toLowerCase())) present.push({ path, isFolder });
  }
  return present.sort((a, b) => (a.path < b.path ? -1 : 1));
}

async function foldersBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder === '' ? '.' : folder, { withFileTypes: true }).catch(() => []);
  const below: string[] = [folder];
  for (const entry of entries) {
    // Links are not followed: they may lead back.
    if (entry.isDirectory() && !entry.name.startsWith('.'))
      below.push(...(await foldersBelow(join(folder, entry.name))));
  }
  return below;
}

/** What a part of a pattern matches; undefined where it is a plain name, or brackets of no meaning, as in `[2024-05-01]`. */
function matcher(part: string): RegExp | undefined {
  if (!isPattern(part)) return undefined;
  const source = part.replace(/\[[^\]]*\]|[*?]|[^*?[]|\[/g, (piece) => {
    if (piece === '*') return '.*';
    if (piece === '?') return '.';
    if (piece.length > 2 && piece.startsWith('['))
      return `[${piece
        .slice(1, -1)
        .replace(/^!/, '^')
        .replace(/[\\\]]/g, '\\$&')}]`;
    return piece.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
  });
  try {
    return new RegExp(`^${source}$`, 's');
  } catch {
    return undefined;
  }
}
