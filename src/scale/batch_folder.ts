// What a batch job writes: of each shard a folder with parts, lines of JSON in the list's order, and one manifest.
import { createHash } from 'node:crypto';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isObject } from '../gpu/arguments.js';
import { FileError } from '../gpu/errors.js';
import { fileError, makeFolder, writeFileAtomic } from '../node/files.js';
import { rangeOf, type Shard } from './shard.js';

/** What a job is. Where any of it differs, results do not belong together. */
export interface BatchJob {
  readonly shard: Shard;
  readonly list: {
    readonly pictures: number;
    /** Of the pictures' names, a line each. */
    readonly sha256: string;
  };
  /** Pictures of a part. */
  readonly part: number;
  /** What faces were searched for with. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly weights: { readonly sha256: string };
  /** What `--config` said. */
  readonly configuration: unknown;
  /** The version of this program. */
  readonly program: string;
}

/** A part that is written. */
export interface Part {
  readonly file: string;
  readonly pictures: number;
  readonly failed: number;
  readonly sha256: string;
}

/** What searched, and what its bits depend on. */
export interface Adapter {
  readonly name: string;
  /** The ways that `retinaface tune` had found when the shard was begun there; they stay in force for it. */
  readonly choices: Readonly<Record<string, string>>;
}

/** `manifest.json`: the job, and once all of it is written, its parts. */
export interface Manifest extends BatchJob {
  readonly format: typeof FORMAT;
  /** Those that searched, in the order in which they came. */
  readonly adapters: readonly Adapter[];
  readonly complete: boolean;
  /** Without faces for an error. */
  readonly failed?: number;
  readonly parts?: readonly Part[];
}

const FORMAT = 'retinaface-webgpu batch 1';
const MANIFEST = 'manifest.json';
const FAILED = 'failed.jsonl';

/** Fields of a manifest that all runs of a shard have in common, and, but for the first, all shards of a job. */
const SAME = ['shard', 'list', 'part', 'options', 'weights', 'configuration', 'program'] as const;

/** The SHA-256 of a list, and how long it is. */
export function listOf(files: readonly string[]): BatchJob['list'] {
  const hash = createHash('sha256');
  for (const file of files) hash.update(`${file}\n`);
  return { pictures: files.length, sha256: hash.digest('hex') };
}

/** The folder of a shard, below the one that `--out` names. */
export function shardFolder({ index, count }: Shard): string {
  const digits = Math.max(4, String(count).length);
  return `shard-${String(index).padStart(digits, '0')}-of-${String(count).padStart(digits, '0')}`;
}

/** The first field in which two jobs differ; of shards of one job, `shard` may. */
export function differenceOf(a: BatchJob, b: BatchJob, sameShard: boolean): (typeof SAME)[number] | undefined {
  return SAME.filter((key) => sameShard || key !== 'shard').find(
    (key) => JSON.stringify(a[key]) !== JSON.stringify(b[key]),
  );
}

/** The manifest in a folder; undefined where there is none. @throws FileError for another file. */
export async function readManifest(folder: string): Promise<Manifest | undefined> {
  const path = join(folder, MANIFEST);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if (isAbsent(cause)) return undefined;
    throw fileError(`read ${path}`, 'a file that can be read', cause);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (isManifest(value)) return value;
  const format = isObject(value) && value['format'] === FORMAT;
  throw new FileError({
    operation: `read ${path}`,
    expected: `a manifest of the format '${FORMAT}'`,
    got: format ? 'one that was changed' : 'another file',
    remedy: format
      ? 'Remove that file, and run the command of its shard again: parts that are written stay.'
      : 'Name a folder that `retinaface detect --out` wrote, or an empty one.',
  });
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const isText = (value: unknown): value is string => typeof value === 'string';

/** Whether a file says all that going on and merging take from it. */
function isManifest(value: unknown): value is Manifest {
  if (!isObject(value) || value['format'] !== FORMAT) return false;
  const { shard, list, part, options, weights, program, adapters, complete, failed, parts } = value;
  const isPart = (each: unknown): boolean =>
    isObject(each) && isPartName(each['file']) && isCount(each['pictures']) && isCount(each['failed']) && isText(each['sha256']); // prettier-ignore
  const isAdapter = (each: unknown): boolean =>
    isObject(each) && isText(each['name']) && isObject(each['choices']) && Object.values(each['choices']).every(isText);
  return (
    isObject(shard) &&
    isCount(shard['index']) &&
    isCount(shard['count']) &&
    shard['index'] < shard['count'] &&
    isObject(list) &&
    isCount(list['pictures']) &&
    isText(list['sha256']) &&
    isCount(part) &&
    part > 0 &&
    isObject(options) &&
    isObject(weights) &&
    'configuration' in value &&
    isText(program) &&
    Array.isArray(adapters) &&
    adapters.every(isAdapter) &&
    (complete === false || (complete === true && isCount(failed) && Array.isArray(parts) && parts.every(isPart)))
  );
}

/** A file of a part lies in the folder of its shard, and nowhere else. */
function isPartName(value: unknown): boolean {
  return isText(value) && /^part-\d{6,}\.jsonl$/.test(value);
}

function isAbsent(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
}

/**
 * The folder of one shard. Files appear in it whole or not at all, so that what is there is done; two processes that do the same
 * shard, which schedulers may start, write the same bytes.
 */
export class BatchFolder {
  readonly folder: string;
  readonly #job: BatchJob;
  readonly #files: readonly string[];
  #manifest: Manifest;

  private constructor(folder: string, job: BatchJob, files: readonly string[], manifest: Manifest) {
    this.folder = folder;
    this.#job = job;
    this.#files = files;
    this.#manifest = manifest;
  }

  /**
   * Opens the folder of a shard below `out`, as it was left or empty. `files`: the names of the shard's own pictures.
   * @throws FileError where it holds another job, or cannot be written.
   */
  static async open(out: string, job: BatchJob, files: readonly string[]): Promise<BatchFolder> {
    const folder = join(out, shardFolder(job.shard));
    await makeFolder(folder);
    const found = await readManifest(folder);
    if (found) {
      const different = differenceOf(found, job, true);
      if (different !== undefined) throw anotherJob(folder, different, found, job);
      return new BatchFolder(folder, job, files, found);
    }
    const manifest: Manifest = { format: FORMAT, ...job, adapters: [], complete: false };
    const opened = new BatchFolder(folder, job, files, manifest);
    await opened.#write(MANIFEST, `${JSON.stringify(manifest, undefined, 2)}\n`);
    return opened;
  }

  /** Pictures of the shard without faces for an error; undefined until it is complete. */
  get failed(): number | undefined {
    return this.#manifest.complete ? this.#manifest.failed : undefined;
  }

  /** Where the lines of pictures that failed stand once the shard is complete. */
  get failedFile(): string {
    return join(this.folder, FAILED);
  }

  /** Parts that are not there yet, each with its pictures' names. */
  async missing(): Promise<{ readonly part: number; readonly files: readonly string[] }[]> {
    const there = new Set(await readdir(this.folder));
    return Array.from({ length: this.#count }, (_, part) => part)
      .filter((part) => !there.has(this.#nameOf(part)))
      .map((part) => ({ part, files: this.#filesOf(part) }));
  }

  /** Tells on what the parts to come are searched; answers with which choices, those of a run before where there was one. */
  async searchOn(adapter: Adapter): Promise<Adapter['choices']> {
    const known = this.#manifest.adapters.find(({ name }) => name === adapter.name);
    if (known) return known.choices;
    const manifest = { ...this.#manifest, adapters: [...this.#manifest.adapters, adapter], complete: false };
    await this.#write(MANIFEST, `${JSON.stringify(manifest, undefined, 2)}\n`);
    this.#manifest = manifest;
    return adapter.choices;
  }

  /** Writes a part: a line of each of its pictures, in order. */
  async write(part: number, lines: readonly object[]): Promise<void> {
    await this.#write(this.#nameOf(part), textOf(lines));
  }

  /**
   * Reads what was written once more, lists the pictures that failed, and completes the manifest.
   * @throws FileError for a part that is missing, damaged or of other pictures.
   */
  async complete(): Promise<void> {
    if (this.#manifest.complete) return;
    const parts: Part[] = [];
    const failures: string[] = [];
    for (let part = 0; part < this.#count; part++) {
      const name = this.#nameOf(part);
      const bytes = await readPart(this.folder, name);
      const lines = bytes.toString('utf8').split('\n').slice(0, -1);
      const files = this.#filesOf(part);
      const before = failures.length;
      for (const [i, file] of files.entries()) {
        const line = lines[i] ?? '';
        const read = parsed(line);
        if (lines.length !== files.length || read?.file !== file) throw damaged(join(this.folder, name));
        if (read.error !== undefined) failures.push(line);
      }
      parts.push({ file: name, pictures: files.length, failed: failures.length - before, sha256: sha256Of(bytes) });
    }
    await this.#write(FAILED, failures.map((line) => `${line}\n`).join(''));
    const manifest: Manifest = { ...this.#manifest, complete: true, failed: failures.length, parts };
    await this.#write(MANIFEST, `${JSON.stringify(manifest, undefined, 2)}\n`);
    this.#manifest = manifest;
    // What processes that were killed left half-written.
    for (const name of await readdir(this.folder)) {
      if (/^\..*\.tmp$/.test(name)) await rm(join(this.folder, name), { force: true });
    }
  }

  get #count(): number {
    return Math.ceil(this.#files.length / this.#job.part);
  }

  #filesOf(part: number): readonly string[] {
    return this.#files.slice(part * this.#job.part, (part + 1) * this.#job.part);
  }

  #nameOf(part: number): string {
    return `part-${String(part).padStart(6, '0')}.jsonl`;
  }

  async #write(name: string, text: string): Promise<void> {
    await writeFileAtomic(join(this.folder, name), new TextEncoder().encode(text), { durable: true, shared: true });
  }
}

function textOf(lines: readonly object[]): string {
  return lines.map((line) => `${JSON.stringify(line)}\n`).join('');
}

function parsed(line: string): { readonly file?: unknown; readonly error?: unknown } | undefined {
  try {
    return JSON.parse(line) as { readonly file?: unknown; readonly error?: unknown };
  } catch {
    return undefined;
  }
}

async function readPart(folder: string, name: string): Promise<Buffer> {
  const path = join(folder, name);
  try {
    return await readFile(path);
  } catch (cause) {
    throw fileError(`read ${path}`, 'a part that can be read', cause);
  }
}

function damaged(path: string): FileError {
  return new FileError({
    operation: `read ${path}`,
    expected: 'a line of each of its pictures, in order, as it was written',
    got: 'other bytes',
    remedy: 'Remove that file, and run the command of its shard again.',
  });
}

function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** A line for an error: what a field says, not longer than that. */
function told(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > 160 ? `${text.slice(0, 160)}…` : text;
}

function anotherJob(folder: string, key: (typeof SAME)[number], found: BatchJob, job: BatchJob): FileError {
  return new FileError({
    operation: `go on in ${folder}`,
    expected: `the job that was begun there, whose ${key} is ${told(found[key])}`,
    got: told(job[key]),
    remedy: 'Give the same command as before, or name another folder with --out.',
  });
}

/** A shard to merge. */
interface Complete {
  readonly folder: string;
  readonly manifest: Manifest & { readonly parts: readonly Part[] };
}

/** What shards amount to. */
export interface Merge {
  readonly pictures: number;
  readonly failed: number;
  readonly shards: number;
  /** The lines of all parts, in the list's order. @throws FileError for a part that is not as its manifest says. */
  readonly parts: () => AsyncGenerator<Uint8Array>;
  /** Reads all parts, as `parts` does, and answers nothing. */
  readonly check: () => Promise<void>;
}

/**
 * Finds the shards of a job in some folders: those that `--out` named, or of shards themselves.
 * @throws FileError where one is missing, not complete, there twice, or of another list, other options or weights; nothing has
 * been written then.
 */
export async function openMerge(folders: readonly string[]): Promise<Merge> {
  const found = (await Promise.all(folders.map(shardsIn))).flat();
  const fail = (expected: string, got: string, remedy: string): FileError =>
    new FileError({ operation: 'merge', expected, got, remedy });
  const [first] = found;
  if (!first) {
    const remedy = 'Name the folders that `retinaface detect --out` wrote.';
    throw fail('folders with shards of a job', `none in ${folders.join(', ')}`, remedy);
  }
  const byIndex = new Map<number, (typeof found)[number]>();
  for (const shard of found) {
    const different =
      differenceOf(first.manifest, shard.manifest, false) ??
      (first.manifest.shard.count === shard.manifest.shard.count ? undefined : 'shard');
    if (different !== undefined) {
      throw fail(
        `shards of one job, as ${first.folder}, whose ${different} is ${told(first.manifest[different])}`,
        `${shard.folder} with ${told(shard.manifest[different])}`,
        'Name the folders of one job alone.',
      );
    }
    const twin = byIndex.get(shard.manifest.shard.index);
    if (twin) {
      throw fail('each shard once', `${twin.folder} and ${shard.folder}`, 'Leave one of them out: they are the same.');
    }
    byIndex.set(shard.manifest.shard.index, shard);
  }
  const { count } = first.manifest.shard;
  const indices = Array.from({ length: count }, (_, index) => index);
  const absent = indices.filter((index) => !byIndex.has(index));
  const unfinished = indices.filter((index) => byIndex.get(index)?.manifest.complete === false);
  if (absent.length + unfinished.length > 0) {
    const named = (what: string, some: readonly number[]): string =>
      some.length === 0
        ? ''
        : `, ${what}: ${some
            .slice(0, 20)
            .map((index) => `${index}/${count}`)
            .join(', ')}${some.length > 20 ? ' …' : ''}`;
    throw fail(
      `all ${count} shards, complete`,
      `${found.length} of them${named('missing', absent)}${named('not complete', unfinished)}`,
      'Run the commands of those again: they go on where they were.',
    );
  }
  const shards = indices.map((index) => byIndex.get(index)!) as readonly Complete[];
  const { pictures } = first.manifest.list;
  for (const { folder, manifest } of shards) {
    const { first: from, end } = rangeOf(manifest.shard, pictures);
    if (manifest.parts.reduce((sum, part) => sum + part.pictures, 0) !== end - from)
      throw damaged(join(folder, MANIFEST));
  }
  const read = async (folder: string, { file, sha256 }: Part): Promise<Uint8Array> => {
    const bytes = await readPart(folder, file);
    if (sha256Of(bytes) === sha256) return bytes;
    throw damaged(join(folder, file));
  };
  return {
    pictures,
    failed: shards.reduce((sum, { manifest }) => sum + (manifest.failed ?? 0), 0),
    shards: count,
    async *parts() {
      for (const { folder, manifest } of shards) for (const part of manifest.parts) yield await read(folder, part);
    },
    async check() {
      for (const { folder, manifest } of shards) for (const part of manifest.parts) await read(folder, part);
    },
  };
}

/** The shards below a folder, or the one that it is. */
async function shardsIn(folder: string): Promise<{ readonly folder: string; readonly manifest: Manifest }[]> {
  const own = await readManifest(folder);
  if (own) return [{ folder, manifest: own }];
  let names: string[];
  try {
    names = (await readdir(folder)).filter((name) => /^shard-\d+-of-\d+$/.test(name)).sort();
  } catch (cause) {
    throw fileError('merge', `a folder that can be read: ${folder}`, cause);
  }
  const found = [];
  for (const name of names) {
    const manifest = await readManifest(join(folder, name));
    // A shard that was killed before its first file is a missing one.
    if (manifest) found.push({ folder: join(folder, name), manifest });
  }
  return found;
}
