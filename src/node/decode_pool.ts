import { Worker } from 'node:worker_threads';
import { DisposedError, ImageError } from '../gpu/errors.js';
import { DECODE_WORKER, type DecodeJob, performJob, type ResultOf } from './decode_worker.js';

/** How a job is run. */
export interface JobOptions {
  /** Milliseconds at work after which its thread is ended and the job fails. None by default, nor in the caller's thread. */
  readonly timeout?: number;
  /** Takes the job back: one that waits is not begun, one at work is not waited for. */
  readonly signal?: AbortSignal;
}

interface Waiting {
  readonly job: DecodeJob;
  readonly timeout: number | undefined;
  readonly resolve: (result: ResultOf<DecodeJob>) => void;
  readonly reject: (error: Error) => void;
}

interface Running extends Waiting {
  readonly timer: NodeJS.Timeout | undefined;
}

/**
 * Worker threads with a queue before them; each does one job at a time. They keep the process alive only while they work.
 * A thread that breaks down fails the job that it had, no other, and is replaced.
 */
export class DecodePool {
  readonly #size: number;
  readonly #workers = new Set<Worker>();
  readonly #idle: Worker[] = [];
  readonly #queue: Waiting[] = [];
  readonly #running = new Map<Worker, Running>();
  #closed = false;

  /** `size`: threads; 0 does the jobs in the caller's. */
  constructor(size: number) {
    this.#size = size;
  }

  /**
   * Does a job in the first thread that is free. The bytes of `bytes` and `align` go over to it: they are gone here.
   * @throws ImageError where it takes too long, the signal's reason, or what broke the thread down.
   */
  run<J extends DecodeJob>(job: J, { timeout, signal }: JobOptions = {}): Promise<ResultOf<J>> {
    if (this.#closed) return Promise.reject(closed());
    if (signal?.aborted) return Promise.reject(signal.reason as Error);
    if (this.#size === 0) return performJob(job) as Promise<ResultOf<J>>;
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        const place = this.#queue.indexOf(waiting);
        if (place >= 0) this.#queue.splice(place, 1);
        reject(signal!.reason as Error);
      };
      const settled = (): void => signal?.removeEventListener('abort', abort);
      const waiting: Waiting = {
        job,
        timeout,
        resolve: (result) => {
          settled();
          resolve(result as ResultOf<J>);
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      };
      signal?.addEventListener('abort', abort, { once: true });
      this.#queue.push(waiting);
      this.#next();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const { reject } of this.#queue.splice(0)) reject(closed());
    // An idle thread does not keep the process alive, nor does one whose last result comes just now; it must yet live to see
    // them end.
    const alive = setInterval(() => undefined, 1000);
    try {
      await Promise.all(
        [...this.#workers].map((worker) => {
          this.#end(worker, closed());
          return worker.terminate();
        }),
      );
    } finally {
      clearInterval(alive);
    }
  }

  #next(): void {
    while (this.#queue.length > 0 && !this.#closed) {
      const worker = this.#idle.pop() ?? (this.#workers.size < this.#size ? this.#start() : undefined);
      if (!worker) return;
      const waiting = this.#queue.shift()!;
      const { job, timeout } = waiting;
      const timer =
        timeout === undefined
          ? undefined
          : setTimeout(() => {
              this.#end(worker, tooLong(job, timeout));
              void worker.terminate();
              this.#next();
            }, timeout);
      this.#running.set(worker, { ...waiting, timer });
      worker.ref();
      worker.postMessage(job, buffersOf(job));
    }
  }

  #start(): Worker {
    const worker = startWorker();
    this.#workers.add(worker);
    worker.on('message', (result: ResultOf<DecodeJob>) => {
      const running = this.#running.get(worker);
      if (!running) return;
      this.#running.delete(worker);
      clearTimeout(running.timer);
      worker.unref();
      this.#idle.push(worker);
      running.resolve(result);
      this.#next();
    });
    worker.on('error', (error) => {
      this.#end(worker, error);
    });
    worker.on('exit', () => {
      this.#end(worker, new Error('a thread that decodes pictures ended while it was at work'));
      this.#next();
    });
    return worker;
  }

  /** Counts on a thread no longer: what it had at hand fails. */
  #end(worker: Worker, error: Error): void {
    this.#workers.delete(worker);
    const place = this.#idle.indexOf(worker);
    if (place >= 0) this.#idle.splice(place, 1);
    const running = this.#running.get(worker);
    this.#running.delete(worker);
    clearTimeout(running?.timer);
    running?.reject(error);
  }
}

/** Buffers that go over to the thread with a job. */
function buffersOf(job: DecodeJob): ArrayBuffer[] {
  const data = job.kind === 'bytes' ? job.bytes : job.kind === 'align' ? job.picture.data : undefined;
  return data ? [data.buffer as ArrayBuffer] : [];
}

function closed(): DisposedError {
  return new DisposedError({
    operation: 'decode pictures',
    expected: 'threads that are open',
    got: 'ones that were closed',
    remedy: 'Close them after the last picture.',
  });
}

function tooLong(job: DecodeJob, timeout: number): ImageError {
  return new ImageError({
    operation: job.kind === 'bytes' ? `read ${job.name}` : 'decode pictures',
    expected: `a picture that takes at most ${timeout / 1000} s`,
    got: 'one that takes longer',
    remedy: 'Save it again in a plainer way, or scale it down.',
  });
}

function startWorker(): Worker {
  const here = import.meta.url;
  if (!here.endsWith('.ts')) return new Worker(new URL('./decode_worker.js', here), { workerData: DECODE_WORKER });
  // In a checkout: Node 20 does not hand the loader of TypeScript on to threads. Its hooks for `import` would need a
  // thread of their own in each, which may hang when that ends; those for `require` work in place.
  const code = `const { createRequire } = require('node:module');
    const load = createRequire(${JSON.stringify(here)});
    load('tsx/cjs/api').register();
    load('./decode_worker.ts');`;
  return new Worker(code, { eval: true, workerData: DECODE_WORKER, execArgv: [] });
}
