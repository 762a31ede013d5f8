import { describe, isPromise } from '../gpu/arguments.js';
import { ArgumentError, FileError } from '../gpu/errors.js';
import type { Picture, RawPicture } from './picture.js';

/**
 * What a picture can be taken from. Everywhere: pixels (`{ data, width, height }`, ImageData, sharp's `{ data, info }`), the
 * bytes of a file (Uint8Array, Buffer, ArrayBuffer, Blob, File), a Response, an address. In Node also a path. In a page also
 * what it shows: images, videos, canvases, ImageBitmap, VideoFrame.
 */
export type PictureInput =
  Picture | RawPicture | string | URL | Blob | Response | ArrayBuffer | Uint8Array | GPUCopyExternalImageSource;

/** What a value is, whichever window made it: `Blob`, `HTMLImageElement`. */
export function kindOf(value: unknown): string {
  return Object.prototype.toString.call(value).slice(8, -1);
}

/**
 * The bytes that a source stands for, fetched where it is an address; undefined for what has none.
 * @throws FileError where it cannot be fetched; the reason of `signal` when that aborts.
 */
export async function blobOf(source: unknown, signal?: AbortSignal): Promise<Blob | undefined> {
  if (typeof source === 'string' || source instanceof URL) return fetchPicture(String(source), signal);
  const kind = kindOf(source);
  if (kind === 'Blob' || kind === 'File') return source as Blob;
  if (kind === 'Response') return bodyOf(source as Response, (source as Response).url, signal);
  if (kind === 'ArrayBuffer' || kind === 'Uint8Array') return new Blob([source as ArrayBuffer]);
  return undefined;
}

/** The ArgumentError for what no picture can be taken from. `takes`: what is taken here besides bytes and pixels. */
export function noSource(operation: string, given: unknown, takes: string): ArgumentError {
  return new ArgumentError({
    operation,
    expected: `${takes}, the bytes of a file, or pixels as { data, width, height }`,
    got: describe(given),
    remedy: isPromise(given)
      ? 'Await it: write `await` before it.'
      : Array.isArray(given)
        ? 'Pass one picture at a time.'
        : 'Pass one of these.',
  });
}

/** The bytes at an address. @throws FileError with the status where a server answers with an error, or none answers. */
async function fetchPicture(address: string, signal: AbortSignal | undefined): Promise<Blob> {
  let response: Response;
  try {
    response = await fetch(address, signal ? { signal } : {});
  } catch (cause) {
    signal?.throwIfAborted();
    throw unreachable(address, cause);
  }
  return bodyOf(response, address, signal);
}

async function bodyOf(response: Response, address: string, signal: AbortSignal | undefined): Promise<Blob> {
  const { ok, status, statusText, bodyUsed } = response;
  if (!ok) throw problem(address, `HTTP ${status} ${statusText}`.trim(), remedyFor(status));
  if (bodyUsed) throw problem(address, 'a response that was read already', 'Pass a clone: `response.clone()`.');
  try {
    return await response.blob();
  } catch (cause) {
    signal?.throwIfAborted();
    throw unreachable(address, cause);
  }
}

function unreachable(address: string, cause: unknown): FileError {
  // Node says one deeper what went wrong; a browser keeps it from scripts.
  const reason = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
  const said = reason instanceof Error ? reason.message || reason.name : String(reason);
  const elsewhere = 'document' in globalThis ? ', and that its server allows other pages to read it (CORS)' : '';
  return problem(address, said, `Check the address and the connection${elsewhere}.`, cause);
}

function remedyFor(status: number): string {
  if (status === 401 || status === 403)
    return 'It asks for a login: fetch it with one, and pass the Response or its bytes.';
  if (status === 429 || status >= 500) return 'The server cannot answer now: try again later.';
  return 'Check the address.';
}

function problem(address: string, got: string, remedy: string, cause?: unknown): FileError {
  const from = address === '' ? 'a response' : address.slice(0, 200);
  return new FileError({
    operation: `read picture from ${from}`,
    expected: 'an address that answers with a picture',
    got,
    remedy,
    cause,
  });
}
