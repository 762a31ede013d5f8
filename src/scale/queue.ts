// Jobs of pictures in a queue of BullMQ on Redis: what puts them there, and what reads the answers.
import type { Job, Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { RetinaFaceError } from '../gpu/errors.js';
import type { DetectOptions } from '../retinaface/detect_options.js';
import { optionalPackage } from './optional.js';
import type { ResultLine } from './result_file.js';

/** A queue that cannot be reached, or does not do what it should. */
export class QueueError extends RetinaFaceError {
  override readonly name = 'QueueError';
}

/** Options that a job may have: those of `detect` that are data. */
export type JobOptions = Pick<DetectOptions, 'scoreThreshold' | 'nmsThreshold' | 'maxFaces' | 'topK' | 'size'>;

/** A picture to search. */
export interface PictureJob {
  /** One of the queue; the address where none is given. A job whose id the queue knows is not added again. */
  readonly id?: string;
  /** A path below the workers' root, or an address of `http:` or `https:`. */
  readonly address: string;
  readonly options?: JobOptions;
}

/** What a job holds in the queue. */
export interface JobData {
  readonly id: string;
  readonly address: string;
  readonly options: JobOptions;
}

/** Where a queue is. */
export interface QueuePlace {
  /** `redis://HOST:PORT/DB`, `rediss:` for TLS. */
  readonly redis: string;
  /** The queue's name. */
  readonly queue: string;
}

/** How jobs are put into a queue. */
export interface AddOptions {
  /** Times that a job is tried where what fails may pass, before it is dead. Default 5. */
  readonly attempts?: number;
  /** Milliseconds before the second attempt; each further one waits twice as long. Default 1,000. */
  readonly backoff?: number;
  /** Adding waits while so many jobs wait in the queue. Default 100,000. */
  readonly maxWaiting?: number;
}

/** Jobs of a queue by their state. */
export interface QueueCounts {
  readonly waiting: number;
  readonly active: number;
  readonly completed: number;
  readonly dead: number;
}

/** Jobs that are added, or read, at once. */
const PAGE = 500;
/** Milliseconds between two looks at a queue that is full. */
const LOOK = 250;
/** Milliseconds until a server that does not answer is given up by a command; workers wait for as long as it takes. */
const PATIENCE = 10_000;
const BACKOFF = 1000;
const LONGEST_RECONNECT = 2000;

/** A connection, which comes back by itself where the server goes away. */
export async function connect(redis: string, onError: (error: Error) => void): Promise<Redis> {
  const url = URL.canParse(redis) ? new URL(redis) : undefined;
  if (url?.protocol !== 'redis:' && url?.protocol !== 'rediss:') {
    throw new QueueError({
      operation: 'connect to Redis',
      expected: 'an address as redis://localhost:6379',
      got: `'${redis.replace(/\/\/[^/@]*@/, '//')}'`,
      remedy: 'Correct --redis.',
    });
  }
  const ioredis = await optionalPackage('ioredis', () => import('ioredis'), 'connect to Redis');
  const client = new ioredis.Redis(redis, {
    maxRetriesPerRequest: null,
    retryStrategy: (times) => Math.min(100 * 2 ** Math.min(times, 10), LONGEST_RECONNECT),
  });
  client.on('error', onError);
  return client;
}

/** Waits until the server answers. @throws QueueError where it does not in ten seconds. */
export async function answers(client: Redis, redis: string): Promise<void> {
  let last = 'no answer';
  const listen = (error: Error): void => {
    last = error.message || last;
  };
  client.on('error', listen);
  let timer: NodeJS.Timeout | undefined;
  try {
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(resolve, PATIENCE, undefined);
    });
    const told = await Promise.race([client.info('server'), late]);
    if (told === undefined) {
      throw new QueueError({
        operation: 'connect to Redis',
        expected: `a server that answers at ${redis.replace(/\/\/[^/@]*@/, '//')}`,
        got: last,
        remedy: 'Start Redis, or correct --redis.',
      });
    }
  } finally {
    clearTimeout(timer);
    client.off('error', listen);
  }
}

/** The id that BullMQ knows a job by: no number, and without colons. */
export function keyOf(id: string): string {
  return `job-${encodeURIComponent(id)}`;
}

/** A queue of pictures, from the side of those that ask. */
export class PictureQueue implements AsyncDisposable {
  readonly #queue: Queue<JobData, ResultLine | null>;
  readonly #client: Redis;

  private constructor(queue: Queue<JobData, ResultLine | null>, client: Redis) {
    this.#queue = queue;
    this.#client = client;
  }

  /** @throws MissingPackageError without bullmq and ioredis; QueueError where Redis does not answer. */
  static async open({ redis, queue }: QueuePlace): Promise<PictureQueue> {
    const { Queue: BullQueue } = await optionalPackage('bullmq', () => import('bullmq'), 'open a queue');
    const client = await connect(redis, () => undefined);
    try {
      await answers(client, redis);
    } catch (error) {
      client.disconnect();
      throw error;
    }
    const opened = new BullQueue<JobData, ResultLine | null>(queue, { connection: client });
    opened.on('error', () => undefined);
    return new PictureQueue(opened, client);
  }

  /** Puts jobs into the queue, waiting while it is full; answers how many were given, those that it knew among them. */
  async add(jobs: Iterable<PictureJob> | AsyncIterable<PictureJob>, options: AddOptions = {}): Promise<number> {
    const { attempts = 5, backoff = BACKOFF, maxWaiting = 100_000 } = options;
    let added = 0;
    let page: Parameters<Queue<JobData>['addBulk']>[0] = [];
    const put = async (): Promise<void> => {
      while ((await this.#queue.getJobCountByTypes('wait', 'delayed')) >= maxWaiting) {
        await new Promise((resolve) => setTimeout(resolve, LOOK));
      }
      await this.#queue.addBulk(page);
      added += page.length;
      page = [];
    };
    for await (const { address, id = address, options: detection = {} } of jobs) {
      page.push({
        name: 'detect',
        data: { id, address, options: detection },
        opts: { jobId: keyOf(id), attempts, backoff: { type: 'exponential', delay: backoff, jitter: 0.5 } },
      });
      if (page.length === PAGE) await put();
    }
    if (page.length > 0) await put();
    return added;
  }

  async counts(): Promise<QueueCounts> {
    const counts = await this.#queue.getJobCounts('wait', 'delayed', 'prioritized', 'active', 'completed', 'failed');
    const of = (...states: readonly string[]): number => states.reduce((sum, state) => sum + (counts[state] ?? 0), 0);
    return {
      waiting: of('wait', 'delayed', 'prioritized'),
      active: of('active'),
      completed: of('completed'),
      dead: of('failed'),
    };
  }

  /**
   * Answers of jobs that are done and came back to the queue, in the order in which they were done. `remove`: each is taken out of
   * the queue once the next one is asked for.
   */
  async *results({ remove = false }: { readonly remove?: boolean } = {}): AsyncGenerator<ResultLine> {
    for await (const job of this.#jobs('completed', remove)) {
      // Those whose answer went into a file have none here.
      if (job.returnvalue) yield job.returnvalue;
    }
  }

  /** Jobs that were given up, each with the reason. */
  async *dead(): AsyncGenerator<ResultLine & { readonly attempts: number }> {
    for await (const job of this.#jobs('failed', false)) {
      const [, name = 'Error', message = job.failedReason] = /^(\w+): (.*)$/s.exec(job.failedReason) ?? [];
      yield {
        id: job.data.id,
        file: job.data.address,
        error: { name, message },
        attempts: job.attemptsMade,
      };
    }
  }

  /** Gives dead jobs back to the workers, with all their attempts; answers how many. */
  async revive(): Promise<number> {
    // All that are dead now, and not those that die again meanwhile.
    const jobs: Job<JobData, ResultLine | null>[] = [];
    for await (const job of this.#jobs('failed', false)) jobs.push(job);
    for (const job of jobs) await job.retry('failed', { resetAttemptsMade: true, resetAttemptsStarted: true });
    return jobs.length;
  }

  async close(): Promise<void> {
    await this.#queue.close();
    this.#client.disconnect();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async *#jobs(state: 'completed' | 'failed', remove: boolean): AsyncGenerator<Job<JobData, ResultLine | null>> {
    for (let at = 0; ;) {
      const jobs = await this.#queue.getJobs([state], at, at + PAGE - 1, true);
      for (const job of jobs) {
        yield job;
        if (remove) await job.remove();
      }
      if (jobs.length < PAGE) return;
      if (!remove) at += jobs.length;
    }
  }
}
