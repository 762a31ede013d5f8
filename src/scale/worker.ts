// Searches the pictures of a queue's jobs, those at hand together.
import type { Job, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Detector } from '../evaluate/evaluate_model.js';
import { FileError, RetinaFaceError } from '../gpu/errors.js';
import type { Picture } from '../image/picture.js';
import { DecodePool } from '../node/decode_pool.js';
import { detectionOf } from '../retinaface/detect_options.js';
import { Batcher } from './batcher.js';
import { FetchError, type FetchOptions, PictureFetcher } from './fetch_picture.js';
import { lineOf } from './find.js';
import { optionalPackage } from './optional.js';
import { connect, type JobData, type QueuePlace } from './queue.js';
import { PictureReader } from './read_picture.js';
import type { ResultLine } from './result_file.js';

/** Where the time of a picture goes. */
export type Stage = 'read' | 'decode' | 'search' | 'deliver';

/** What a worker tells of itself. */
export interface WorkerEvents {
  /** Seconds of a stage; of a search, of all its pictures. */
  readonly onStage?: (stage: Stage, seconds: number) => void;
  /** Pictures of a search. */
  readonly onBatch?: (pictures: number) => void;
  /** A job ended: `done`, `retried` (it will be tried again), `dead`, or `stalled` (another worker's, which had died). */
  readonly onJob?: (outcome: 'done' | 'retried' | 'dead' | 'stalled', id: string, reason?: string) => void;
  /** The connection to Redis, and what else goes wrong outside of any job; the worker goes on. */
  readonly onError?: (error: Error) => void;
  /** The device is gone for good: the worker takes no more jobs, and what it held goes to others. */
  readonly onFatal?: (error: Error) => void;
}

/** How a worker works. */
export interface WorkerOptions extends QueuePlace, FetchOptions, WorkerEvents {
  /** What finds the faces. */
  readonly detector: Detector;
  /** Pictures of one search at most. Default 8. */
  readonly batch?: number;
  /** The folder that paths stand in; without it, jobs with paths are refused. */
  readonly root?: string;
  /** Pixels of a picture at most. Default 50 million. */
  readonly maxPixels?: number;
  /** Threads that decode. Default 1. */
  readonly threads?: number;
  /** Milliseconds without a sign of life after which a worker's jobs go to others. Default 30,000. */
  readonly stalled?: number;
  /**
   * Takes the answers instead of the queue. An answer may come more than once, always the same; a job is done once this is, and
   * tried again where it throws.
   */
  readonly onResult?: (line: ResultLine) => Promise<void>;
}

/** Times that a job may be at hand of a worker that dies, before it is held to be the reason. */
const MAX_STALLED = 5;

/**
 * A worker of a queue. It holds at most two batches of jobs: one is searched while the next is fetched and decoded.
 *
 * ```ts
 * await using worker = await PictureWorker.start({ redis, queue, detector: model, onResult: (line) => save(line) });
 * ```
 */
export class PictureWorker implements AsyncDisposable {
  readonly #worker: Worker<JobData, ResultLine | null>;
  readonly #client: Redis;
  readonly #fetcher: PictureFetcher;
  readonly #pool: DecodePool;
  #closed: Promise<void> | undefined;

  private constructor(
    worker: Worker<JobData, ResultLine | null>,
    client: Redis,
    fetcher: PictureFetcher,
    pool: DecodePool,
  ) {
    this.#worker = worker;
    this.#client = client;
    this.#fetcher = fetcher;
    this.#pool = pool;
  }

  /** @throws MissingPackageError without bullmq, ioredis and ipaddr.js; QueueError for an address that is none. */
  static async start(options: WorkerOptions): Promise<PictureWorker> {
    const { batch = 8, maxPixels = 50_000_000, threads = 1, stalled = 30_000, timeout = 15_000 } = options;
    const { maxBytes = 2 ** 25 } = options;
    const bull = await optionalPackage('bullmq', () => import('bullmq'), 'work');
    const fetcher = await PictureFetcher.create({ ...options, maxBytes, timeout });
    const client = await connect(options.redis, (error) => options.onError?.(error));
    const pool = new DecodePool(threads);
    const reader = new PictureReader(fetcher, pool, { root: options.root, maxBytes, maxPixels, timeout });
    const batcher = new Batcher(options.detector, {
      size: batch,
      onSearch: (pictures, seconds) => {
        options.onBatch?.(pictures);
        options.onStage?.('search', seconds);
      },
    });
    const process = async (job: Job<JobData, ResultLine | null>): Promise<ResultLine | null> => {
      try {
        return await answer(job.data, reader, batcher, options);
      } catch (error) {
        if (!(error instanceof RetinaFaceError)) throw error;
        if (error.name === 'DeviceLostError') options.onFatal?.(error);
        const told = `${error.name}: ${error.message}`;
        throw mayPass(error) ? new Error(told, { cause: error }) : new bull.UnrecoverableError(told);
      }
    };
    const worker = new bull.Worker<JobData, ResultLine | null>(options.queue, process, {
      connection: client,
      concurrency: 2 * batch,
      lockDuration: stalled,
      stalledInterval: stalled,
      maxStalledCount: MAX_STALLED,
      drainDelay: 1,
    });
    worker.on('error', (error) => options.onError?.(error));
    worker.on('completed', ({ data }) => options.onJob?.('done', data.id));
    worker.on('stalled', (id) => options.onJob?.('stalled', id));
    worker.on('failed', (job, { message }) => {
      const dead = job?.finishedOn !== undefined;
      options.onJob?.(dead ? 'dead' : 'retried', job?.data.id ?? 'a job that is gone', message);
    });
    return new PictureWorker(worker, client, fetcher, pool);
  }

  /** Takes no more jobs, finishes those at hand, and closes. */
  close(): Promise<void> {
    this.#closed ??= (async () => {
      await this.#worker.close();
      this.#client.disconnect();
      this.#fetcher.dispose();
      await this.#pool.close();
    })();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** Looks for what a worker needs beside the library, before anything is begun. @throws MissingPackageError. */
export async function needPackages(): Promise<void> {
  await optionalPackage('bullmq', () => import('bullmq'), 'work');
  await optionalPackage('ioredis', () => import('ioredis'), 'work');
  await optionalPackage('ipaddr.js', () => import('ipaddr.js'), 'work');
}

async function answer(
  { id, address, options }: JobData,
  reader: PictureReader,
  batcher: Batcher,
  { onStage, onResult }: WorkerOptions,
): Promise<ResultLine | null> {
  const timed = async <T>(stage: Stage, work: () => Promise<T>): Promise<T> => {
    const start = performance.now();
    const result = await work();
    onStage?.(stage, (performance.now() - start) / 1000);
    return result;
  };
  // What is wrong with the options is wrong before anything is fetched, and with this job alone.
  detectionOf(options);
  const bytes = await timed('read', () => reader.bytes(address));
  const { width, height, data } = await timed('decode', () => reader.decode(bytes, address));
  const picture: Picture = { data, width, height };
  const { faces, cut } = await batcher.search(picture, options);
  const line = { id, ...lineOf(address, { source: address, picture, faces, cut }) } as ResultLine;
  if (!onResult) return line;
  await timed('deliver', () => onResult(line));
  return null;
}

/** The same job may succeed at another time, or with another worker. */
function mayPass(error: RetinaFaceError): boolean {
  if (error instanceof FetchError) return error.passing;
  if (error instanceof FileError) {
    const { cause } = error;
    return cause instanceof Error && 'code' in cause && !LASTING.has(String(cause.code));
  }
  return ['DeviceLostError', 'OutOfMemoryError', 'DisposedError'].includes(error.name);
}

/** What a file system says of a path that will be as wrong later. */
const LASTING = new Set([
  'ENOENT',
  'ENOTDIR',
  'EISDIR',
  'EACCES',
  'EPERM',
  'ELOOP',
  'ENAMETOOLONG',
  'ERR_INVALID_ARG_VALUE',
]);
