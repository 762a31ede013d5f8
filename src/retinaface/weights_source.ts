import { ArgumentError, FileError, RetinaFaceError } from '../gpu/errors.js';
import { mistakenFor } from '../weights/appearance.js';
import { type NamedWeights, PUBLIC_WEIGHTS } from '../weights/catalogue.js';
import { type ByteProgress, download } from '../weights/download.js';
import type { WeightsStore } from '../weights/fetch_weights.js';
import { addressBesideVite, BUNDLED_WEIGHTS, type BundledWeights, DEFAULT_WEIGHTS } from './bundled.js';

/** What weights can be read from: a name, a path or an address; or the bytes of a file. */
export type WeightsSource = string | URL | Uint8Array | ArrayBuffer | Blob;

/** What a platform adds to reading weights. */
export interface WeightsHost {
  /** Reads a file by its path or `file:` address, where there are files. */
  readonly readFile?: (path: string | URL) => Promise<Uint8Array<ArrayBuffer>>;
  /** Where fetched weights are kept. */
  readonly store?: WeightsStore | undefined;
  /** Why nothing may be fetched for a name, where nothing may. */
  readonly offline?: string | undefined;
}

/** How weights are read. */
export interface ReadSourceOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: ByteProgress) => void) | undefined;
}

/** The bytes of a weights file, and what errors call it. */
export interface WeightsFile {
  readonly bytes: Uint8Array;
  readonly name: string;
}

/** All weights that have a name: those in the box, the default first, then public ones that are fetched. */
export function namedWeights(): readonly NamedWeights[] {
  return [...BUNDLED_WEIGHTS, ...PUBLIC_WEIGHTS];
}

/** What is told of a source that is a name; of the default weights where there is no source. */
export function namedSource(source: WeightsSource | undefined): NamedWeights | undefined {
  if (source === undefined) return DEFAULT_WEIGHTS;
  return namedWeights().find(({ name }) => name === source);
}

/**
 * The bytes of weights by a name, from a path, an address or as they were given; of the default ones without a source. A
 * file that is called like a name is reached by its path: `./synthetic`.
 * @throws ArgumentError for a source of another kind; FileError or WeightsError where it cannot be read; the reason of
 * `signal` when that aborts.
 */
export async function readSource(
  source: WeightsSource | undefined,
  host: WeightsHost,
  options: ReadSourceOptions = {},
): Promise<WeightsFile> {
  options.signal?.throwIfAborted();
  if (source instanceof Uint8Array) return { bytes: source, name: 'the given bytes' };
  if (source instanceof ArrayBuffer) return { bytes: new Uint8Array(source), name: 'the given bytes' };
  if (source instanceof Blob) {
    const name = 'name' in source && typeof source.name === 'string' ? source.name : 'the given bytes';
    return { bytes: new Uint8Array(await source.arrayBuffer()), name };
  }
  if (source !== undefined && typeof source !== 'string' && !(source instanceof URL)) throw notASource(source);
  const name = source === undefined ? DEFAULT_WEIGHTS.name : String(source);
  const bundled = BUNDLED_WEIGHTS.find((weights) => weights.name === name);
  if (bundled) return { bytes: await readBundled(bundled, host, options), name };
  const known = PUBLIC_WEIGHTS.find((weights) => weights.name === name);
  if (known) {
    const { fetchWeights } = await import('../weights/fetch_weights.js');
    return { bytes: (await fetchWeights(known, host.store, { ...options, offline: host.offline })).bytes, name };
  }
  return { bytes: await readAddress(source!, host, options), name };
}

async function readBundled(
  { name, file, bytes, address }: BundledWeights,
  host: WeightsHost,
  options: ReadSourceOptions,
): Promise<Uint8Array> {
  const missing = (got: string, cause?: unknown): FileError =>
    new FileError({
      operation: `load the bundled weights ${name}`,
      expected: `a file of ${bytes} bytes at ${String(address())}`,
      got,
      remedy: `A bundler may have left it behind: pass load() the path or address of retinaface-webgpu/weights/${file}.`,
      cause,
    });
  const read = async (at: URL): Promise<Uint8Array | FileError> => {
    let found: Uint8Array;
    try {
      found = await readAddress(at, host, options);
    } catch (error) {
      if (error instanceof RetinaFaceError) return missing(error.got, error);
      throw error;
    }
    // Code that a bundler moved may find another file there, or a server's page.
    return found.length === bytes ? found : missing(mistakenFor(found)?.what ?? `${found.length} bytes`);
  };
  let found = await read(address());
  const beside = found instanceof FileError ? addressBesideVite(file) : undefined;
  if (beside) {
    const other = await read(beside);
    if (!(other instanceof FileError)) found = other;
  }
  if (found instanceof FileError) throw found;
  return found;
}

async function readAddress(source: string | URL, host: WeightsHost, options: ReadSourceOptions): Promise<Uint8Array> {
  const { readFile } = host;
  if (!readFile || /^(https?|data|blob):/i.test(String(source))) return download(source, options);
  try {
    const bytes = await readFile(source);
    options.onProgress?.({ loaded: bytes.length, total: bytes.length });
    return bytes;
  } catch (error) {
    throw withNames(source, error);
  }
}

/** What failed to be read may have been meant for a name. */
function withNames(source: string | URL, error: unknown): unknown {
  if (!(error instanceof FileError) || source instanceof URL || /[/\\]/.test(source)) return error;
  const { operation, expected, got, remedy, cause } = error;
  const names = namedWeights().map(({ name }) => name);
  return new FileError({
    operation,
    expected,
    got,
    remedy: `${remedy} Weights with a name: ${names.join(', ')}.`,
    cause,
  });
}

function notASource(source: never): ArgumentError {
  const value: unknown = source;
  const got = value instanceof Promise ? 'a promise' : value === null ? 'null' : `a value of type ${typeof value}`;
  return new ArgumentError({
    operation: 'load weights',
    expected: 'a name, a path, an address, or the bytes of a file',
    got,
    remedy:
      value instanceof Promise
        ? 'Write `await` before it.'
        : 'Pass one of these, or nothing for the weights in the box.',
  });
}
