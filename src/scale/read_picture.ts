// A picture that someone else has named: an address on the web, or a path below one folder, each within bounds.
import { constants } from 'node:fs';
import { open, realpath } from 'node:fs/promises';
import { relative, resolve, sep } from 'node:path';
import { FileError, ImageError } from '../gpu/errors.js';
import type { Picture } from '../image/picture.js';
import type { DecodePool } from '../node/decode_pool.js';
import { fileError } from '../node/files.js';
import type { PictureFetcher } from './fetch_picture.js';

/** What pictures may be. */
export interface PictureBounds {
  /** The folder that paths stand in; none are read without it. */
  readonly root?: string | undefined;
  readonly maxBytes: number;
  readonly maxPixels: number;
  /** Milliseconds that decoding may take. */
  readonly timeout: number;
}

/** Reads pictures for others. */
export class PictureReader {
  readonly #fetcher: PictureFetcher;
  readonly #pool: DecodePool;
  readonly #bounds: PictureBounds;

  constructor(fetcher: PictureFetcher, pool: DecodePool, bounds: PictureBounds) {
    this.#fetcher = fetcher;
    this.#pool = pool;
    this.#bounds = bounds;
  }

  /** The bytes of a file. @throws FetchError, FileError. */
  bytes(address: string, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    return /^https?:/i.test(address) ? this.#fetcher.fetch(address, { signal }) : this.#file(address);
  }

  /** The picture of the bytes of a file, which are gone with it. @throws ImageError. */
  async decode(bytes: Uint8Array<ArrayBuffer>, name: string): Promise<Picture> {
    const { maxPixels, timeout } = this.#bounds;
    const result = await this.#pool.run({ kind: 'bytes', bytes, name, maxPixels }, { timeout });
    if (result.kind === 'picture') return result;
    throw new ImageError(result.problem!);
  }

  async #file(path: string): Promise<Uint8Array<ArrayBuffer>> {
    const { root, maxBytes } = this.#bounds;
    const operation = `read picture from ${path}`;
    const refuse = (expected: string, got: string, remedy: string): FileError =>
      new FileError({ operation, expected, got, remedy });
    const outside = `a path below ${root ?? 'a folder that was named'}`;
    if (root === undefined) throw refuse('an address of http: or https:', 'a path', 'Name a folder for paths: --root.');
    let file;
    try {
      const base = await realpath(root);
      // Links and dots that lead out of the folder are found where they lead to.
      const real = await realpath(resolve(base, path));
      const inside = relative(base, real);
      if (inside === '..' || inside.startsWith(`..${sep}`) || resolve(base, inside) !== real) {
        throw refuse(outside, 'one outside', 'Move the picture, or name another folder with --root.');
      }
      // A pipe would wait for someone to write.
      file = await open(real, constants.O_RDONLY | constants.O_NONBLOCK);
      const info = await file.stat();
      if (!info.isFile()) throw refuse('a file', 'something else', 'Name a picture.');
      if (info.size > maxBytes) {
        const remedy = 'Scale the picture down, or allow more bytes.';
        throw refuse(`at most ${maxBytes} bytes`, `${info.size}`, remedy);
      }
      // Of a file that grows, what it had.
      const bytes = new Uint8Array(info.size);
      let length = 0;
      for (let read = -1; read !== 0 && length < bytes.length; length += read) {
        read = (await file.read(bytes, length, bytes.length - length, length)).bytesRead;
      }
      return bytes.slice(0, length);
    } catch (cause) {
      if (cause instanceof FileError) throw cause;
      throw fileError(operation, 'a file that can be read', cause);
    } finally {
      await file?.close();
    }
  }
}
