// Files from the web for a service that is told by strangers what to fetch: bounded in bytes, time and redirects, and kept out of
// private networks, whatever a name resolves to (OWASP, "Server-Side Request Forgery Prevention").
import { lookup as lookUp, type LookupAddress } from 'node:dns';
import { Agent as HttpAgent, type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { ArgumentError, type Problem, RetinaFaceError } from '../gpu/errors.js';
import { optionalPackage } from './optional.js';

/**
 * What was wrong with a fetch: `address` (no address that is fetched at all), `private` (it leads into a private network),
 * `redirect` (too many, or to where none may lead), `status` (an answer other than 200), `bytes` (too many, or packed), `time`
 * (too slow), `connection` (none, or one that broke).
 */
export type FetchFault = 'address' | 'private' | 'redirect' | 'status' | 'bytes' | 'time' | 'connection';

/** A file that could not be fetched, or must not be. */
export class FetchError extends RetinaFaceError {
  override readonly name = 'FetchError';
  readonly fault: FetchFault;
  /** The same fetch may succeed later: a server that is down, busy or slow. */
  readonly passing: boolean;

  constructor(fault: FetchFault, passing: boolean, problem: Problem) {
    super(problem);
    this.fault = fault;
    this.passing = passing;
  }
}

/** What a fetcher may do. */
export interface FetchOptions {
  /** Bytes of a file at most. Default 32 MiB. */
  readonly maxBytes?: number;
  /** Milliseconds from the first request to the last byte, redirects and all. Default 15,000. */
  readonly timeout?: number;
  /** Default 3. */
  readonly maxRedirects?: number;
  /** Hosts that may lie inside private networks: `name`, `name:port`, or an address, as it stands in what is fetched. */
  readonly allowHosts?: readonly string[];
  /** Resolves names, as `dns.lookup` does, which is the default. */
  readonly lookup?: typeof lookUp;
}

const SECOND = 1000;

/**
 * Fetches files by `http:` and `https:`, keeping connections open between fetches. Proxies of the environment are not used: the
 * address that is connected to is the one that was checked.
 *
 * ```ts
 * using fetcher = await PictureFetcher.create({ maxBytes: 2 ** 24, allowHosts: ['pictures.internal'] });
 * const picture = decodeImage(await fetcher.fetch(address), address);
 * ```
 */
export class PictureFetcher implements Disposable {
  readonly #isPublic: (address: string) => boolean;
  readonly #maxBytes: number;
  readonly #timeout: number;
  readonly #maxRedirects: number;
  readonly #allowed: ReadonlySet<string>;
  readonly #lookUp: typeof lookUp;
  readonly #http = new HttpAgent({ keepAlive: true, keepAliveMsecs: SECOND, maxFreeSockets: 16 });
  readonly #https = new HttpsAgent({ keepAlive: true, keepAliveMsecs: SECOND, maxFreeSockets: 16 });

  private constructor(isPublic: (address: string) => boolean, options: FetchOptions) {
    const { maxBytes = 2 ** 25, timeout = 15 * SECOND, maxRedirects = 3, allowHosts = [], lookup = lookUp } = options;
    for (const [name, value, least] of [
      ['maxBytes', maxBytes, 1],
      ['timeout', timeout, 1],
      ['maxRedirects', maxRedirects, 0],
    ] as const) {
      if (Number.isInteger(value) && value >= least) continue;
      throw new ArgumentError({
        operation: 'PictureFetcher.create',
        expected: `${name} to be a whole number of at least ${least}`,
        got: String(value),
        remedy: `Pass another ${name}, or none.`,
      });
    }
    this.#isPublic = isPublic;
    this.#maxBytes = maxBytes;
    this.#timeout = timeout;
    this.#maxRedirects = maxRedirects;
    this.#allowed = new Set(allowHosts.map((host) => host.toLowerCase()));
    this.#lookUp = lookup;
  }

  /** @throws MissingPackageError without the package ipaddr.js; ArgumentError for a bound that is none. */
  static async create(options: FetchOptions = {}): Promise<PictureFetcher> {
    return new PictureFetcher(await publicAddresses('fetch pictures'), options);
  }

  /**
   * The bytes of a file.
   * @throws FetchError; the reason of `signal` when that aborts.
   */
  async fetch(
    address: string | URL,
    { signal }: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<Uint8Array<ArrayBuffer>> {
    signal?.throwIfAborted();
    const fail = failure(String(address));
    const stopped = new AbortController();
    const onAbort = (): void => {
      stopped.abort(signal?.reason);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    const timer = setTimeout(() => {
      const expected = `the whole file within ${this.#timeout / SECOND} s`;
      stopped.abort(fail('time', true, expected, 'none or a part of it', 'Try again later, or allow more time.'));
    }, this.#timeout);
    try {
      return await this.#follow(String(address), stopped.signal, fail);
    } catch (error) {
      // What an abort makes of a request says less than its reason.
      stopped.signal.throwIfAborted();
      if (error instanceof FetchError) throw error;
      const got = error instanceof Error ? error.message || error.name : String(error);
      const remedy = 'Check the address and the connection, or try again later.';
      throw fail('connection', true, 'a server that answers', got, remedy, error);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Closes connections that were kept. */
  dispose(): void {
    this.#http.destroy();
    this.#https.destroy();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  async #follow(address: string, signal: AbortSignal, fail: Fail): Promise<Uint8Array<ArrayBuffer>> {
    let at = readAddress(address, fail);
    for (let hops = 0; ; hops++) {
      const response = await this.#request(at, signal, fail);
      const { statusCode = 0, headers } = response;
      if (statusCode >= 300 && statusCode < 400 && headers.location !== undefined) {
        response.destroy();
        const most = this.#maxRedirects;
        if (hops === most) {
          throw fail('redirect', false, `at most ${most} redirects`, 'more', 'Name the address that they lead to.');
        }
        const next = readAddress(headers.location, fail, at);
        if (at.protocol === 'https:' && next.protocol !== 'https:') {
          const got = `a redirect to ${next.origin}, which is not`;
          throw fail('redirect', false, 'a connection that stays encrypted', got, 'Name another address.');
        }
        at = next;
        continue;
      }
      if (statusCode !== 200) {
        response.destroy();
        const passing = statusCode >= 500 || [408, 425, 429].includes(statusCode);
        const got = `HTTP ${statusCode} ${response.statusMessage ?? ''}`.trim();
        throw fail('status', passing, 'a file', got, passing ? 'Try again later.' : 'Check the address.');
      }
      return await this.#receive(response, fail);
    }
  }

  #request(url: URL, signal: AbortSignal, fail: Fail): Promise<IncomingMessage> {
    const name = hostOf(url);
    const allowed = this.#allowed.has(name) || this.#allowed.has(`${name}:${portOf(url)}`);
    const refuse = (addresses: readonly string[]): FetchError => {
      const leads = addresses.includes(name) ? '' : `, which leads to ${addresses.join(', ')}`;
      const remedy = 'Allow that host by name, where it is meant to be reached.';
      return fail('private', false, 'an address of the public internet', `${name}${leads}`, remedy);
    };
    const refused = (addresses: readonly string[]): boolean => !allowed && !addresses.every(this.#isPublic);
    // Where a name is an address already, nothing is looked up.
    if (isIP(name) !== 0 && refused([name])) throw refuse([name]);
    const lookup: LookupFunction = (host, options, callback) => {
      // All of them, whichever is wanted: a name that leads to a private address among others is no public name.
      this.#lookUp(host, { ...options, all: true }, (error, found: LookupAddress[]) => {
        if (error) {
          callback(error, '', 0);
          return;
        }
        const addresses = found.map(({ address }) => address);
        const [first] = found;
        if (!first || refused(addresses)) callback(first ? refuse(addresses) : new Error('no address'), '', 0);
        else if (options.all === true) callback(null, found);
        else callback(null, first.address, first.family);
      });
    };
    const secure = url.protocol === 'https:';
    return new Promise((resolve, reject) => {
      const request: ClientRequest = (secure ? requestHttps : requestHttp)(url, {
        agent: secure ? this.#https : this.#http,
        lookup,
        signal,
        // What is unpacked has no bound of its own.
        headers: { accept: 'image/jpeg, image/png, */*;q=0.1', 'accept-encoding': 'identity' },
      });
      request.on('socket', (socket) => {
        // Before the request itself is written.
        const check = (): void => {
          const { remoteAddress } = socket;
          if (remoteAddress !== undefined && refused([remoteAddress])) request.destroy(refuse([remoteAddress]));
        };
        if (socket.connecting) socket.prependListener('connect', check);
        else check();
      });
      request.on('response', resolve);
      request.on('error', reject);
      request.end();
    });
  }

  async #receive(response: IncomingMessage, fail: Fail): Promise<Uint8Array<ArrayBuffer>> {
    const { 'content-encoding': packed = 'identity', 'content-length': announced } = response.headers;
    const most = this.#maxBytes;
    const tooMany = (bytes: string): FetchError => {
      response.destroy();
      return fail('bytes', false, `at most ${most} bytes`, bytes, 'Scale the picture down, or allow more bytes.');
    };
    if (packed !== 'identity') {
      response.destroy();
      throw fail('bytes', false, 'the file as it is', `one packed with ${packed}`, 'Serve pictures without packing.');
    }
    if (Number(announced) > most) throw tooMany(announced!);
    const parts: Buffer[] = [];
    let length = 0;
    for await (const part of response as AsyncIterable<Buffer>) {
      length += part.length;
      if (length > most) throw tooMany(`${length} or more`);
      parts.push(part);
    }
    const bytes = new Uint8Array(length);
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }
}

type Fail = (
  fault: FetchFault,
  passing: boolean,
  expected: string,
  got: string,
  remedy: string,
  cause?: unknown,
) => FetchError;

function failure(address: string): Fail {
  const operation = `fetch ${shown(address)}`;
  return (fault, passing, expected, got, remedy, cause) =>
    new FetchError(fault, passing, { operation, expected, got, remedy, cause });
}

/** An address for an error: without what may be secret in it, and not longer than a line. */
function shown(address: string): string {
  return address
    .replace(/\/\/[^/@]*@/, '//')
    .replace(/[?#].*$/s, '')
    .slice(0, 200);
}

function readAddress(address: string, fail: Fail, base?: URL): URL {
  const url = URL.canParse(address, base) ? new URL(address, base) : undefined;
  const remedy = 'Name an address as https://example.org/picture.jpg.';
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') {
    const got = url ? `one of ${url.protocol}` : 'none';
    throw fail(base ? 'redirect' : 'address', false, 'an address of http: or https:', got, remedy);
  }
  if (url.username !== '' || url.password !== '') {
    throw fail(base ? 'redirect' : 'address', false, 'an address without a password', 'one with it', remedy);
  }
  return url;
}

/** The name or address of a host, as it is looked up. */
function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
}

function portOf({ protocol, port }: URL): string {
  return port === '' ? (protocol === 'https:' ? '443' : '80') : port;
}

/**
 * Tells addresses of the public internet from all others: private, local, shared, reserved, multicast, and those that carry
 * another inside them (IANA's registries of special-purpose addresses, as ipaddr.js has them).
 * @throws MissingPackageError without ipaddr.js.
 */
export async function publicAddresses(operation: string): Promise<(address: string) => boolean> {
  const { default: ipaddr } = await optionalPackage('ipaddr.js', () => import('ipaddr.js'), operation);
  const global = ipaddr.parseCIDR('2000::/3');
  return (address) => {
    if (!ipaddr.isValid(address)) return false;
    const parsed = ipaddr.process(address);
    // Of IPv6, what is not assigned for use at large is in no range that has a name.
    return parsed.range() === 'unicast' && (parsed.kind() === 'ipv4' || parsed.match(global));
  };
}
