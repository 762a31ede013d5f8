import { WeightsError } from '../gpu/errors.js';
import { mistakenFor } from './appearance.js';

/** How far a download is. */
export interface ByteProgress {
  /** Bytes that have come. */
  readonly loaded: number;
  /** Bytes in all, where the server says. */
  readonly total: number | undefined;
}

/** What may be asked of a download. */
export interface DownloadOptions {
  /** The one file that will do. Without it, any. */
  readonly expected?: { readonly bytes: number; readonly sha256: string };
  /** Hosts that the server may redirect to beside itself. Without it, any. */
  readonly redirects?: readonly string[];
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: ByteProgress) => void) | undefined;
  /** Milliseconds in which at least 16 KiB must come. Default 30,000. */
  readonly patience?: number;
}

const PATIENCE = 30_000;
/** What must come within the time of patience: half a KiB a second is no download. */
const LEAST_BYTES = 1 << 14;
const MAX_REDIRECTS = 5;
/** Ten times the largest network here. Without a bound a server could fill all memory. */
const MAX_BYTES = 1 << 30;

const AGAIN = 'Try again later.';
const CHECK = 'Check the address.';
const REACH = 'Check the address and the connection, or fetch the file by hand and pass its path.';

/**
 * The bytes of a file on the web.
 * @throws WeightsError for a server that cannot be reached or stalls, HTTP errors, redirects that are not allowed, and
 * anything but the expected file; the reason of `signal` when that aborts.
 */
export async function download(address: string | URL, options: DownloadOptions = {}): Promise<Uint8Array<ArrayBuffer>> {
  const { signal, patience = PATIENCE } = options;
  signal?.throwIfAborted();
  const problem = (expected: string, got: string, remedy: string, cause?: unknown): WeightsError =>
    new WeightsError({ operation: `load weights from ${String(address)}`, expected, got, remedy, cause });
  const stopped = new AbortController();
  const onAbort = (): void => {
    stopped.abort(signal?.reason);
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  let timer: ReturnType<typeof setTimeout> | undefined;
  /** Grants the server another time of patience. */
  const wait = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const got = `less than ${LEAST_BYTES / 1024} KiB in ${patience / 1000} s`;
      stopped.abort(problem('a server that goes on answering', got, AGAIN));
    }, patience);
  };
  try {
    wait();
    const response = await request(address, options.redirects, stopped.signal, problem);
    return await receive(response, options, wait, problem);
  } catch (error) {
    // What an abort makes of a request differs between platforms; its reason does not.
    stopped.signal.throwIfAborted();
    if (error instanceof WeightsError) throw error;
    throw problem('a server that answers', reasonOf(error), REACH, error);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
    // Ends what is left of the connection after an error.
    stopped.abort();
  }
}

type Problem = (expected: string, got: string, remedy: string, cause?: unknown) => WeightsError;

/** A response with the file, after the redirects that are allowed. */
async function request(
  address: string | URL,
  redirects: readonly string[] | undefined,
  signal: AbortSignal,
  problem: Problem,
): Promise<Response> {
  let at = address;
  for (let hops = 0; ; hops++) {
    const response = await fetch(at, { signal, redirect: redirects ? 'manual' : 'follow' });
    // A browser shows nothing of a redirect but that there is one.
    if (response.type === 'opaqueredirect') throw problem('the file at this address itself', 'a redirect', CHECK);
    const location = response.status >= 300 && response.status < 400 ? response.headers.get('location') : null;
    if (redirects && location !== null) {
      at = allowedRedirect(new URL(at), location, redirects, problem);
      if (hops === MAX_REDIRECTS) throw problem(`at most ${MAX_REDIRECTS} redirects`, 'more', CHECK);
      continue;
    }
    if (response.ok) return response;
    const status = `HTTP ${response.status} ${response.statusText}`.trim();
    throw problem('a file to download', status, response.status === 429 || response.status >= 500 ? AGAIN : CHECK);
  }
}

/** Where a redirect leads. The connection must stay as safe as it was, and the host one that was named. */
function allowedRedirect(from: URL, location: string, hosts: readonly string[], problem: Problem): URL {
  const target = URL.canParse(location, from) ? new URL(location, from) : undefined;
  const safe = target?.protocol === 'https:' || target?.protocol === from.protocol;
  if (target && safe && (target.host === from.host || hosts.includes(target.host))) return target;
  const where = target ? target.origin : 'no address';
  throw problem(
    `the file at ${from.host}, or a redirect to ${hosts.length > 0 ? hosts.join(' or ') : 'an address there'}`,
    `a redirect to ${where}`,
    'The address may have moved: fetch the file by hand.',
  );
}

async function receive(
  response: Response,
  { expected, onProgress }: DownloadOptions,
  wait: () => void,
  problem: Problem,
): Promise<Uint8Array<ArrayBuffer>> {
  // The length of what is packed for the way says nothing of the file.
  const announced = response.headers.has('content-encoding') ? null : response.headers.get('content-length');
  const total = expected?.bytes ?? (announced === null ? undefined : Number(announced));
  const limit = expected?.bytes ?? MAX_BYTES;
  const tooLong = (bytes: number, start: Uint8Array): WeightsError => {
    const mistake = mistakenFor(start);
    const got = mistake && start.length > 0 ? mistake.what : `${bytes} bytes or more`;
    return problem(`a file of ${expected ? '' : 'at most '}${limit} bytes`, got, mistake?.remedy ?? CHECK);
  };
  const parts: Uint8Array[] = [];
  let loaded = 0;
  let granted = 0;
  const reader = response.body?.getReader();
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
    parts.push(part.value);
    loaded += part.value.length;
    if (loaded > limit) throw tooLong(loaded, parts[0]!);
    if (loaded - granted >= LEAST_BYTES) {
      granted = loaded;
      wait();
    }
    onProgress?.({ loaded, total });
  }
  const bytes = new Uint8Array(loaded);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  if (total !== undefined && loaded < total && !expected) {
    throw problem(`the ${total} bytes that the server announced`, `${loaded}`, AGAIN);
  }
  const fault = expected && (await faultOf(bytes, expected));
  if (fault) throw problem(fault.expected, fault.got, mistakenFor(bytes)?.remedy ?? CHECK);
  return bytes;
}

/** How bytes differ from the file that was expected, or undefined where they are that file. */
export async function faultOf(
  bytes: Uint8Array<ArrayBuffer>,
  expected: { readonly bytes: number; readonly sha256: string },
): Promise<{ readonly expected: string; readonly got: string } | undefined> {
  if (bytes.length !== expected.bytes) {
    const got = mistakenFor(bytes)?.what ?? `${bytes.length}`;
    return { expected: `a file of ${expected.bytes} bytes`, got };
  }
  const sha256 = await sha256Of(bytes);
  return sha256 === expected.sha256 ? undefined : { expected: `SHA-256 ${expected.sha256}`, got: sha256 };
}

async function sha256Of(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** What a failed request says; the fault itself lies one error deeper than "fetch failed". */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause instanceof Error) {
    if (cause.message !== '') return cause.message;
    if ('code' in cause) return String(cause.code);
  }
  return error instanceof Error ? error.message : String(error);
}
