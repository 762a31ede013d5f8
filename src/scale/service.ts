import { createHash, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { RetinaFaceError } from '../gpu/errors.js';
import type { Engine } from './engine.js';
import type { FoundPicture } from './engine_messages.js';
import { FetchError, type PictureFetcher } from './fetch_picture.js';
import { describeService } from './openapi.js';
import { optionalPackage } from './optional.js';
import { type Part, readWanted, type Wanted } from './request_options.js';
import { ServiceError } from './service_error.js';
import type { ServiceMetrics } from './service_metrics.js';
import { TRY_PAGE, TRY_PAGE_POLICY } from './try_page.js';

/** What a service takes and gives. */
export interface ServiceOptions {
  readonly engine: Engine;
  readonly metrics: ServiceMetrics;
  readonly host: string;
  /** 0 takes one that is free. */
  readonly port: number;
  /**
   * Names that requests may call the service by in `Host`, besides `host` and those of this machine's loopback; `*` is any. Any without it
   * where `host` is another than the loopback's: then nobody else could know what callers call it.
   */
  readonly hostnames?: readonly string[] | undefined;
  /** What requests must carry as `Authorization: Bearer …`, but those for health and for the page. */
  readonly token?: string | undefined;
  /** Fetches pictures by their addresses; without it, addresses are refused. */
  readonly fetcher?: PictureFetcher | undefined;
  /** Bytes of a request at most. */
  readonly maxBytes: number;
  readonly maxPixels: number;
  /** Pictures of a request at most. */
  readonly maxPictures: number;
  /** Pixels of a side that are searched at most. */
  readonly maxSize: number;
  /** The size of searches where a request names none. */
  readonly size?: 'original' | number | undefined;
  /** Bytes that requests under way may hold together. */
  readonly maxHeld: number;
  /** Requests of one client at once; no bound without it. */
  readonly perClient?: number | undefined;
  /** Connections at once. */
  readonly connections: number;
  /** Milliseconds for a request to come, and for its answer to be taken. */
  readonly timeout: number;
  /** Addresses of proxies whose X-Forwarded-For is believed. */
  readonly trustProxy?: readonly string[] | undefined;
  readonly version: string;
  readonly say?: (words: string) => void;
}

/** A service that listens. */
export interface Service {
  /** `http://127.0.0.1:8080` */
  readonly address: string;
  /** Takes no more, and ends when its last request is answered, or by force after so many milliseconds. */
  close(grace: number): Promise<void>;
}

/** A picture of a request, as it came: its bytes, or why there are none. */
interface Given {
  readonly name: string;
  readonly bytes?: Uint8Array;
  readonly error?: unknown;
}

/** What a request brought. */
interface Body {
  readonly pictures: readonly Given[];
  /** Answered as a list. */
  readonly list: boolean;
}

const SECOND = 1000;
const PICTURES = ['image/png', 'image/jpeg', 'application/octet-stream'];
const BODIES = `${PICTURES.join(', ')}, multipart/form-data or application/json`;
/** What this machine calls itself. */
export const LOOPBACK = ['localhost', '127.0.0.1', '::1'];
const OPEN = ['/', '/healthz', '/readyz', '/openapi.json'];
const METHODS: Readonly<Record<string, string>> = {
  '/detect': 'POST',
  '/align': 'POST',
  ...Object.fromEntries([...OPEN, '/metrics'].map((path) => [path, 'GET, HEAD'])),
};
/** What a metric says of a request whose caller has gone. */
const GONE = 499;

/** Where a service listens. */
type Place = Pick<ServiceOptions, 'host' | 'port'>;

function cannotListen({ host, port }: Place, cause: unknown): ServiceError {
  const { code = '', message } = cause as NodeJS.ErrnoException;
  const got = code === 'EADDRINUSE' ? 'one that is taken' : message;
  const expected = `to listen on ${host}, port ${port}`;
  return new ServiceError(500, {
    operation: 'serve',
    expected,
    got,
    remedy: 'Name another with --port or --host.',
    cause,
  });
}

/**
 * Looks whether something could listen there now, for who has much to do before it does.
 * @throws ServiceError where not, as `openService`.
 */
export async function checkPlace(place: Place): Promise<void> {
  const server = createServer();
  try {
    server.listen({ host: place.host, port: place.port });
    await once(server, 'listening');
  } catch (cause) {
    throw cannotListen(place, cause);
  }
  server.close();
  await once(server, 'close');
}

/**
 * Listens. Requests for faces are checked before their bodies are read, held in the engine's queue while they wait, and dropped
 * where their caller goes away.
 * @throws ServiceError where it cannot listen; MissingPackageError without fastify and its multipart.
 */
export async function openService(options: ServiceOptions): Promise<Service> {
  const { fastify } = await optionalPackage('fastify', () => import('fastify'), 'serve');
  const { default: multipart } = await optionalPackage(
    '@fastify/multipart',
    () => import('@fastify/multipart'),
    'serve',
  );
  const { maxBytes, maxPictures, timeout } = options;
  const app = fastify({
    bodyLimit: maxBytes,
    requestTimeout: timeout,
    // A request may wait with nothing to say for as long as its search is allowed to take.
    connectionTimeout: 4 * timeout,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    trustProxy: options.trustProxy ? [...options.trustProxy] : false,
    http: { connectionsCheckingInterval: SECOND, headersTimeout: Math.min(20 * SECOND, timeout) },
    clientErrorHandler: refuseConnection,
  });
  app.server.maxConnections = options.connections;
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(PICTURES, { parseAs: 'buffer' }, (_, body, done) => {
    done(null, body);
  });
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_, body, done) => {
    done(null, body);
  });
  await app.register(multipart, {
    throwFileSizeLimit: true,
    limits: { fileSize: maxBytes, files: maxPictures, fields: 0, parts: maxPictures, headerPairs: 32 },
  });
  new Handlers(app, options);
  try {
    await app.listen({ host: options.host, port: options.port });
  } catch (cause) {
    throw cannotListen(options, cause);
  }
  const at = app.server.address();
  const port = typeof at === 'object' && at !== null ? at.port : options.port;
  const { host } = options;
  return {
    address: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    async close(grace) {
      const cut = setTimeout(() => {
        app.server.closeAllConnections();
      }, grace);
      await app.close();
      clearTimeout(cut);
    },
  };
}

/** Routes, and what all of them check. */
class Handlers {
  readonly #options: ServiceOptions;
  readonly #token: Buffer | undefined;
  /** Undefined where any will do. */
  readonly #hostnames: ReadonlySet<string> | undefined;
  /** Bytes that requests under way may hold. */
  #held = 0;
  readonly #clients = new Map<string, number>();

  constructor(app: FastifyInstance, options: ServiceOptions) {
    this.#options = options;
    const { engine, metrics, token } = options;
    this.#token = token === undefined ? undefined : digest(token);
    this.#hostnames = hostnamesOf(options);
    metrics.watch(engine, () => this.#held);
    const description = describeService({
      ...options,
      token: token !== undefined,
      addresses: options.fetcher !== undefined,
    });
    app.addHook('onRequest', (request, reply, done) => {
      reply.header('x-content-type-options', 'nosniff').header('cache-control', 'no-store');
      const began = performance.now();
      reply.raw.once('close', () => {
        const status = reply.raw.writableFinished ? reply.statusCode : GONE;
        metrics.request(request.routeOptions.url ?? 'none', status, performance.now() - began);
      });
      this.#checkHost(request);
      this.#authorise(request);
      done();
    });
    // An answer that nobody takes is not held for ever.
    app.addHook('onSend', (_request, reply, _payload, done) => {
      const timer = setTimeout(() => reply.raw.destroy(), options.timeout);
      reply.raw.once('close', () => {
        clearTimeout(timer);
      });
      done();
    });
    app.setErrorHandler((error, request, reply) => {
      this.#refuse(error, request, reply);
    });
    app.setNotFoundHandler((request) => {
      const [path = ''] = request.url.split('?');
      const methods = Object.hasOwn(METHODS, path) ? METHODS[path] : undefined;
      if (methods !== undefined) {
        const remedy = `Send ${methods}.`;
        throw failure(405, `${methods} for ${path}`, request.method, remedy, { headers: { allow: methods } });
      }
      throw failure(
        404,
        `one of ${Object.keys(METHODS).join(', ')}`,
        path.slice(0, 100),
        'GET / has a page to try it.',
      );
    });
    for (const [path, parts] of [
      ['/detect', ['boxes', 'landmarks']],
      ['/align', ['boxes', 'landmarks', 'aligned']],
    ] as const) {
      app.post(path, {
        onRequest: (request, reply, done) => {
          this.#admit(request, reply);
          done();
        },
        handler: (request, reply) => this.#answer(request, reply, parts),
      });
    }
    app.get('/healthz', () => ({ status: 'alive' }));
    app.get('/readyz', () => {
      if (engine.ready) return { status: 'ready', ...engine.about };
      const remedy = 'Come again after the seconds of Retry-After.';
      throw failure(503, 'a service that searches', 'one that is starting or ending', remedy, { retryAfter: 1 });
    });
    app.get('/metrics', async (_, reply) => {
      const text = await metrics.text();
      return reply.type(metrics.contentType).send(text);
    });
    app.get('/openapi.json', () => description);
    app.get('/', (_, reply) =>
      reply.type('text/html; charset=utf-8').header('content-security-policy', TRY_PAGE_POLICY).send(TRY_PAGE),
    );
  }

  /**
   * A page of a stranger whose name leads to this machine (DNS rebinding) is to the browser of the same origin as the service: only
   * `Host` tells that it asks. Who sends none is no browser.
   * @throws ServiceError 421.
   */
  #checkHost({ headers: { host } }: FastifyRequest): void {
    if (this.#hostnames === undefined || host === undefined) return;
    const [, name = ''] = /^(\[[^\]]+\]|[^:]+)(?::\d+)?$/.exec(host) ?? [];
    if (this.#hostnames.has(name.toLowerCase())) return;
    const remedy = 'Call it by one of those names; whoever runs the service adds others with --hostname.';
    throw failure(421, `${[...this.#hostnames].join(' or ')} in Host`, host.slice(0, 100), remedy);
  }

  /** @throws ServiceError 401. */
  #authorise(request: FastifyRequest): void {
    if (!this.#token || OPEN.includes(request.routeOptions.url ?? '')) return;
    const [, given = ''] = /^Bearer +(.+)$/i.exec(request.headers.authorization ?? '') ?? [];
    // Digests are of one length, whatever was given, and comparing them takes one time.
    if (given !== '' && timingSafeEqual(digest(given), this.#token)) return;
    const got = given === '' ? 'none' : 'another one';
    const headers = { 'www-authenticate': 'Bearer' };
    throw failure(401, 'the token of this service', got, 'Send it as Authorization: Bearer TOKEN.', { headers });
  }

  /** Counts a request and what it may bring, until it is answered. @throws ServiceError 413, 415, 429, 503. */
  #admit(request: FastifyRequest, reply: FastifyReply): void {
    const { engine, maxBytes, maxHeld, perClient } = this.#options;
    const { 'content-length': length, 'content-encoding': coding = 'identity' } = request.headers;
    const bytes = length === undefined ? maxBytes : Number(length);
    if (bytes > maxBytes) throw tooManyBytes(maxBytes, `${bytes}`);
    if (coding.toLowerCase() !== 'identity') {
      throw failure(415, 'a body that is not packed', coding, 'Send the picture as it is, without Content-Encoding.');
    }
    engine.admit(1);
    const client = request.ip;
    const others = this.#clients.get(client) ?? 0;
    const retryAfter = engine.retryAfter;
    if (perClient !== undefined && others >= perClient) {
      const expected = `at most ${perClient} requests of a client at once`;
      throw failure(429, expected, `${others} and this one`, 'Wait for an answer to one of them.', { retryAfter });
    }
    if (this.#held > 0 && this.#held + bytes > maxHeld) {
      const expected = `at most ${maxHeld.toLocaleString('en')} bytes of requests at once`;
      const remedy = 'Come again after the seconds of Retry-After.';
      throw failure(503, expected, (this.#held + bytes).toLocaleString('en'), remedy, { retryAfter });
    }
    this.#clients.set(client, others + 1);
    this.#held += bytes;
    reply.raw.once('close', () => {
      this.#held -= bytes;
      const left = this.#clients.get(client)! - 1;
      if (left > 0) this.#clients.set(client, left);
      else this.#clients.delete(client);
    });
  }

  async #answer(request: FastifyRequest, reply: FastifyReply, defaults: readonly Part[]): Promise<unknown> {
    const began = performance.now() - reply.elapsedTime;
    const { engine, maxSize, size } = this.#options;
    const image = imageAccepted(request);
    const file = image !== undefined && request.routeOptions.url === '/align';
    const asked = readWanted(request.query as Record<string, unknown>, { maxSize, size, parts: defaults });
    const wanted = file
      ? {
          ...asked,
          align: { size: asked.align?.size ?? 112, format: image } as const,
          parts: new Set(['aligned' as const]),
        }
      : asked;
    const abort = new AbortController();
    const gone = (): void => {
      if (!reply.raw.writableFinished) abort.abort(new Error('the caller has gone'));
    };
    reply.raw.once('close', gone);
    // It may have gone while its body was read.
    if (reply.raw.destroyed) gone();
    const { signal } = abort;
    const { pictures, list } = await this.#read(request, signal);
    const receive = performance.now() - began;
    engine.admit(pictures.length);
    const find = async ({ name, bytes, error }: Given): Promise<object> => {
      if (error !== undefined) throw error as Error;
      const found = await engine.find({ bytes: bytes!, name, search: wanted.search, align: wanted.align }, signal);
      const { wait } = found;
      const times = { receive, wait, ...found.times, total: performance.now() - began };
      this.#options.metrics.picture(found.faces.length, times);
      if (!file) return answerOf(found, wanted, times);
      const best = found.aligned?.find((each) => each !== undefined);
      if (best) return Buffer.from(best.buffer, best.byteOffset, best.byteLength);
      throw failure(422, 'a picture with a face', 'one in which none was found', 'Send another, or a lower score.');
    };
    if (!list) {
      const answer = await find(pictures[0]!);
      if (file) reply.type(`image/${image}`);
      return answer;
    }
    if (file) {
      const remedy = 'Send it as the body itself, or accept application/json.';
      throw failure(422, 'one picture, where an image is to be the answer', 'a list', remedy);
    }
    const each = async (picture: Given): Promise<object> => {
      try {
        return { name: picture.name, ...(await find(picture)) };
      } catch (error) {
        signal.throwIfAborted();
        const told = this.#told(error);
        return { name: picture.name, status: told.status, error: partsOf(told) };
      }
    };
    return { pictures: await Promise.all(pictures.map(each)) };
  }

  async #read(request: FastifyRequest, signal: AbortSignal): Promise<Body> {
    if (request.isMultipart()) return { pictures: await this.#readForm(request), list: true };
    const body = request.body as Buffer | undefined;
    if (!body || body.length === 0) {
      throw failure(400, 'a picture', 'an empty body', 'Send the bytes of a PNG or JPEG.');
    }
    if (!/^application\/json\b/i.test(request.headers['content-type'] ?? '')) {
      return { pictures: [{ name: 'the picture', bytes: body }], list: false };
    }
    const { fetcher } = this.#options;
    if (!fetcher) {
      const remedy = 'Send the picture itself; whoever runs the service may allow addresses.';
      throw failure(403, 'a picture', 'JSON, as for an address, of which this service fetches none', remedy);
    }
    const { addresses, list } = readAddresses(body, this.#options.maxPictures);
    const fetched = addresses.map(async (name): Promise<Given> => {
      try {
        return { name, bytes: await fetcher.fetch(name, { signal }) };
      } catch (error) {
        signal.throwIfAborted();
        return { name, error };
      }
    });
    return { pictures: await Promise.all(fetched), list };
  }

  async #readForm(request: FastifyRequest): Promise<Given[]> {
    const { maxBytes } = this.#options;
    const pictures: Given[] = [];
    let bytes = 0;
    try {
      for await (const part of request.files()) {
        const content = await part.toBuffer();
        bytes += content.length;
        if (bytes > maxBytes) throw tooManyBytes(maxBytes, `${bytes} or more`);
        pictures.push({ name: part.filename || part.fieldname || `picture ${pictures.length}`, bytes: content });
      }
    } catch (error) {
      const status = (error as { readonly statusCode?: number }).statusCode;
      if (error instanceof ServiceError || status !== undefined) throw error;
      const got = error instanceof Error ? error.message : String(error);
      throw failure(400, 'a whole body of multipart/form-data', got, 'Send it again, as curl -F picture=@FILE does.');
    }
    if (pictures.length > 0) return pictures;
    throw failure(400, 'files of pictures', 'a form without', 'Send some, as curl -F picture=@FILE does.');
  }

  /** An error as the status and words that are answered. */
  #told(error: unknown): ServiceError {
    if (error instanceof ServiceError) return error;
    if (error instanceof FetchError) {
      const { fault, passing, operation, expected, got, remedy, name } = error;
      const known = { private: 403, bytes: 413 }[fault as string] ?? (passing ? 502 : 422);
      return new ServiceError(known, { operation, expected, got, remedy }, { name });
    }
    if (error instanceof RetinaFaceError) return new ServiceError(500, error, { name: error.name });
    const { statusCode, code, message } = error as { statusCode?: number; code?: string; message?: string };
    if (statusCode === 413 && code === 'FST_FILES_LIMIT') {
      const { maxPictures } = this.#options;
      return failure(413, `at most ${maxPictures} pictures`, 'more', 'Send them in several requests.');
    }
    if (statusCode === 413 && code?.startsWith('FST_') === true && !/BODY|FILE_TOO_LARGE/.test(code)) {
      return failure(413, 'a form of files alone', message ?? 'more', 'Send pictures; options stand in the address.');
    }
    if (statusCode === 413) return tooManyBytes(this.#options.maxBytes, 'more');
    if (statusCode === 415) return failure(415, `a body as ${BODIES}`, 'another kind, or none named', TYPED);
    if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
      return failure(statusCode, 'a request as HTTP has them', message ?? String(error), 'Send it again, whole.');
    }
    this.#options.say?.(
      `a fault of the service: ${error instanceof Error ? (error.stack ?? message) : String(error)}\n`,
    );
    return failure(500, 'an answer', 'a fault of the service', 'Report it with the request.');
  }

  #refuse(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
    // Nobody is there to hear it.
    if (reply.raw.destroyed) return;
    const told = this.#told(error);
    for (const [name, value] of Object.entries(told.headers)) reply.header(name, value);
    if (told.retryAfter !== undefined) reply.header('retry-after', String(told.retryAfter));
    // What is left of a body that nobody reads would hold the connection up.
    if (!request.raw.complete) reply.header('connection', 'close');
    void reply
      .status(told.status)
      .type('application/json')
      .send({ error: partsOf(told) });
  }
}

const TYPED = "Name what you send: curl -H 'content-type: image/jpeg' --data-binary @FILE, or curl -F picture=@FILE.";

function failure(
  status: number,
  expected: string,
  got: string,
  remedy: string,
  more: { readonly retryAfter?: number; readonly headers?: Readonly<Record<string, string>> } = {},
): ServiceError {
  return new ServiceError(status, { operation: 'take the request', expected, got, remedy }, more);
}

function tooManyBytes(maxBytes: number, got: string): ServiceError {
  const remedy = 'Scale the picture down, or send several requests.';
  return failure(413, `at most ${maxBytes} bytes`, got, remedy);
}

function partsOf({ name, operation, expected, got, remedy, message }: RetinaFaceError): object {
  return { name, operation, expected, got, remedy, message };
}

/** What `Host` may say, as it stands there without its port; undefined where that is anything. */
function hostnamesOf({ host, hostnames }: ServiceOptions): ReadonlySet<string> | undefined {
  const isLocal = LOOPBACK.includes(host) || host.startsWith('127.');
  if (hostnames ? hostnames.includes('*') : !isLocal) return undefined;
  const written = [...LOOPBACK, host, ...(hostnames ?? [])].map((name) => (name.includes(':') ? `[${name}]` : name));
  return new Set(written.map((name) => name.toLowerCase()));
}

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

/** The kind of picture that a caller takes, where it takes no JSON. */
function imageAccepted(request: FastifyRequest): 'png' | 'jpeg' | undefined {
  const accept = request.headers.accept ?? '';
  if (/application\/json/i.test(accept)) return undefined;
  const [, kind] = /image\/(png|jpeg)/i.exec(accept) ?? [];
  return kind === undefined ? undefined : kind.toLowerCase() === 'png' ? 'png' : 'jpeg';
}

function answerOf(found: FoundPicture, { parts }: Wanted, times: object): object {
  const { width, height, cut, batch, aligned } = found;
  const faces = found.faces.map(({ score, box, landmarks }, i) => ({
    score,
    ...(parts.has('boxes') ? { box } : {}),
    ...(parts.has('landmarks') && landmarks ? { landmarks } : {}),
    ...(parts.has('aligned') ? { aligned: dataAddress(aligned?.[i]) } : {}),
  }));
  return { width, height, faces, ...(cut ? { cut } : {}), batch, times };
}

function dataAddress(file: Uint8Array | undefined): string | null {
  if (!file) return null;
  const kind = file[0] === 0xff ? 'jpeg' : 'png';
  return `data:image/${kind};base64,${Buffer.from(file.buffer, file.byteOffset, file.byteLength).toString('base64')}`;
}

function readAddresses(body: Buffer, most: number): { readonly addresses: readonly string[]; readonly list: boolean } {
  const remedy = 'Send {"address": "https://…"} or {"addresses": ["https://…", …]}.';
  const expected = `an object with an address, or with 1 to ${most} addresses`;
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch (cause) {
    throw failure(400, 'JSON', cause instanceof Error ? cause.message : 'other text', remedy);
  }
  const object = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  const keys = Object.keys(object);
  const [key] = keys;
  const given = key === 'address' ? [object[key]] : key === 'addresses' ? object[key] : undefined;
  if (keys.length !== 1 || !Array.isArray(given) || given.length === 0 || !given.every((a) => typeof a === 'string')) {
    throw failure(422, expected, keys.length === 0 ? 'none' : keys.slice(0, 5).join(', ').slice(0, 100), remedy);
  }
  if (given.length > most) throw failure(413, expected, `${given.length}`, 'Send them in several requests.');
  return { addresses: given, list: key === 'addresses' };
}

/** What is answered to bytes that are no request, or come too slowly. */
function refuseConnection(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, words] =
    error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
      ? [408, 'Request Timeout']
      : error.code === 'HPE_HEADER_OVERFLOW'
        ? [431, 'Request Header Fields Too Large']
        : [400, 'Bad Request'];
  const told = failure(status, 'a request as HTTP has them', error.code ?? error.message, 'Send it again, whole.');
  const body = JSON.stringify({ error: partsOf(told) });
  socket.end(
    `HTTP/1.1 ${status} ${words}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n` +
      `connection: close\r\n\r\n${body}`,
  );
}
