import { stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import type { Input } from './inputs.js';

/**
 * Where annotated pictures go: below the folder as the pictures lay below theirs, as PNG, with a number where the name is taken: by
 * another picture of this run, or by one of the pictures that are searched, which are never written over.
 */
export class DrawnNames {
  readonly #folder: string;
  readonly #given = new Set<string>();
  readonly #inputs = new Set<string>();
  readonly #streaming: boolean;

  private constructor(folder: string, streaming: boolean) {
    this.#folder = folder;
    this.#streaming = streaming;
  }

  /** `streaming`: pictures are named as the run goes, so that any file that is there may be one of them. */
  static async of(folder: string, inputs: readonly Input[], streaming: boolean): Promise<DrawnNames> {
    const names = new DrawnNames(folder, streaming);
    for (const { file } of inputs) {
      const identity = await identityOf(file);
      if (identity !== undefined) names.#inputs.add(identity);
    }
    return names;
  }

  /** The path for a picture; the folder that it is in may be missing. */
  async next({ below }: Input): Promise<string> {
    const stem = below.slice(0, below.length - extname(below).length);
    for (let number = 1; ; number++) {
      const path = join(this.#folder, `${stem}${number === 1 ? '' : `-${number}`}.png`);
      // Some file systems do not tell capitals from small letters.
      const key = path.toLowerCase();
      if (this.#given.has(key)) continue;
      const identity = await identityOf(path);
      if (identity !== undefined && (this.#streaming || this.#inputs.has(identity))) continue;
      this.#given.add(key);
      return path;
    }
  }
}

/** What a file is, under whatever name; undefined where there is none. */
export async function identityOf(path: string): Promise<string | undefined> {
  return stat(path, { bigint: true }).then(
    ({ dev, ino }) => `${dev}:${ino}`,
    () => undefined,
  );
}
