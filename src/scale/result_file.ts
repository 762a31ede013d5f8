import { randomUUID } from 'node:crypto';
import { type FileHandle, open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FileError } from '../gpu/errors.js';
import { fileError, makeFolder } from '../node/files.js';

/** A result: what a line of JSON says of a job. */
export interface ResultLine {
  readonly id: string;
  readonly file: string;
  readonly [key: string]: unknown;
}

const NAME = /^results-[0-9a-f-]+\.jsonl$/;

/**
 * A file of one worker that lines are added to. A line is on the disk before it is told to be; lines that come together wait for
 * the disk together. What a process that is killed leaves of a line has no end, and counts for nothing.
 */
export class ResultFile implements AsyncDisposable {
  readonly path: string;
  readonly #file: FileHandle;
  #length = 0;
  #pending: { readonly text: string; readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];
  #writing: Promise<void> | undefined;

  private constructor(path: string, file: FileHandle) {
    this.path = path;
    this.#file = file;
  }

  /** Makes a file of its own in a folder. @throws FileError. */
  static async create(folder: string): Promise<ResultFile> {
    await makeFolder(folder);
    const path = join(folder, `results-${randomUUID()}.jsonl`);
    try {
      return new ResultFile(path, await open(path, 'wx'));
    } catch (cause) {
      throw fileError(`write ${path}`, 'a file that can be written', cause);
    }
  }

  /** Adds a line. @throws FileError, with nothing of it in the file. */
  append(line: ResultLine): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#pending.push({ text: `${JSON.stringify(line)}\n`, resolve, reject });
      this.#writing ??= this.#write();
    });
  }

  /** Waits for what was added, and closes the file. */
  async close(): Promise<void> {
    await this.#writing;
    await this.#file.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #write(): Promise<void> {
    while (this.#pending.length > 0) {
      const lines = this.#pending;
      this.#pending = [];
      const bytes = Buffer.from(lines.map(({ text }) => text).join(''));
      try {
        for (let at = 0; at < bytes.length;) {
          at += (await this.#file.write(bytes, at, bytes.length - at, this.#length + at)).bytesWritten;
        }
        await this.#file.datasync();
        this.#length += bytes.length;
        for (const { resolve } of lines) resolve();
      } catch (cause) {
        await this.#file.truncate(this.#length).catch(() => undefined);
        for (const { reject } of lines) reject(fileError(`write ${this.path}`, 'a line that can be added', cause));
      }
    }
    // In the same breath as the last look at what is pending.
    this.#writing = undefined;
  }
}

/** What files of workers amount to. */
export interface MergedResults {
  /** One of each job, in the order of their ids. */
  readonly lines: readonly string[];
  /** Lines that were there more than once: jobs that were begun again, since their worker had died. */
  readonly repeated: number;
  /** Ids of those whose lines differ, as those of different adapters may in their last digits; the first file's counts. */
  readonly different: readonly string[];
}

/** True where a folder holds files of workers. */
export async function hasResults(folder: string): Promise<boolean> {
  return (await readdir(folder).catch(() => [])).some((name) => NAME.test(name));
}

/** The lines of all workers that wrote into some folders, one of each job. @throws FileError for a line that is none. */
export async function mergeResults(folders: readonly string[]): Promise<MergedResults> {
  const lines = new Map<string, string>();
  const different = new Set<string>();
  let repeated = 0;
  for (const folder of folders) {
    let names: readonly string[];
    try {
      names = (await readdir(folder)).filter((name) => NAME.test(name)).sort();
    } catch (cause) {
      throw fileError('merge', `a folder that can be read: ${folder}`, cause);
    }
    for (const name of names) {
      const path = join(folder, name);
      // Behind the last end of a line stands nothing, or what a worker that was killed had begun to write.
      for (const line of (await readFile(path, 'utf8')).split('\n').slice(0, -1)) {
        const id = idOf(line, path);
        const known = lines.get(id);
        if (known === undefined) lines.set(id, line);
        else {
          repeated++;
          if (known !== line) different.add(id);
        }
      }
    }
  }
  const sorted = [...lines].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, line]) => line);
  return { lines: sorted, repeated, different: [...different] };
}

function idOf(line: string, path: string): string {
  try {
    const { id } = JSON.parse(line) as Partial<ResultLine>;
    if (typeof id === 'string') return id;
  } catch {
    // Said below.
  }
  throw new FileError({
    operation: `read ${path}`,
    expected: 'lines of JSON, each with the id of a job',
    got: line.slice(0, 80),
    remedy: 'Name folders that `retinaface work --out` wrote.',
  });
}
