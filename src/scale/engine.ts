import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { AdapterError, DeviceLostError, type RetinaFaceError } from '../gpu/errors.js';
import {
  type EngineAbout,
  type EngineSettings,
  type FoundPicture,
  type FromEngine,
  type PictureRequest,
  type Refusal,
  SEARCHES,
  type ToEngine,
} from './engine_messages.js';
import { refusalError, ServiceError } from './service_error.js';

/** What an engine holds at most, and whom it tells. */
export interface EngineOptions extends EngineSettings {
  /** Pictures that wait at most, those at work not counted. */
  readonly queue: number;
  /** Milliseconds from a picture's coming to its answer. */
  readonly timeout: number;
  /** Hears words for whoever runs the service. */
  readonly say?: (words: string) => void;
  /** Hears of each batch, and of each start of the process that searches. */
  readonly onBatch?: (batch: Extract<FromEngine, { readonly kind: 'batch' }>) => void;
  readonly onStart?: () => void;
}

interface Job {
  readonly id: number;
  readonly request: PictureRequest;
  readonly since: number;
  readonly resolve: (found: FoundPicture & { readonly wait: number }) => void;
  readonly reject: (error: Error) => void;
  /** Times that it was sent. */
  attempts: number;
  /** Milliseconds until it was sent. */
  wait: number;
  settled: boolean;
}

/** Times that a picture is sent: once more where the process broke down with it in hand. */
const ATTEMPTS = 2;

const SECOND = 1000;
const LONGEST_PAUSE = 10 * SECOND;

/**
 * Finds faces in a process of its own, which holds the device, and is started again where it breaks down: what it had in hand
 * is sent once more, each picture alone, so that one that breaks it again is the only one to fail.
 *
 * Pictures wait here as the files that they are, in the order in which they came; only a few at a time are decoded ahead.
 */
export class Engine {
  readonly #options: EngineOptions;
  readonly #queue: Job[] = [];
  /** Those that were sent and have no answer. */
  readonly #inHand = new Map<number, Job>();
  #about: EngineAbout | undefined;
  #child: ChildProcess | undefined;
  #ready = false;
  #closing = false;
  #failures = 0;
  #ids = 0;
  /** Milliseconds a picture takes, of late. */
  #pace = 0;
  #idle: (() => void) | undefined;

  private constructor(options: EngineOptions) {
    this.#options = options;
  }

  /** Starts the process. @throws AdapterError, WeightsError … where it cannot search. */
  static async open(options: EngineOptions): Promise<Engine> {
    const engine = new Engine(options);
    await engine.#start();
    return engine;
  }

  /** What it searches with. */
  get about(): EngineAbout {
    return this.#about!;
  }

  /** Whether pictures that come now will be searched soon. */
  get ready(): boolean {
    return this.#ready && !this.#closing;
  }

  /** The process that searches, while there is one. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Pictures that wait. */
  get waiting(): number {
    return this.#queue.length;
  }

  /** Pictures at work. */
  get inHand(): number {
    return this.#inHand.size;
  }

  /** Seconds after which one who was refused should come again. */
  get retryAfter(): number {
    const left = (this.#queue.length + this.#inHand.size) * this.#pace;
    return Math.min(60, Math.max(1, Math.ceil(left / SECOND)));
  }

  /** @throws ServiceError 503 where so many pictures cannot be taken. */
  admit(pictures: number): void {
    const { queue } = this.#options;
    if (this.#closing) throw this.#refused('a service that is open', 'one that is ending', 'Ask another.');
    if (this.#queue.length + pictures <= queue) return;
    throw this.#refused(
      `at most ${queue} pictures that wait`,
      `${this.#queue.length} that do${pictures > 1 ? `, and ${pictures} more` : ''}`,
      'Come again after the seconds of Retry-After.',
    );
  }

  /**
   * The faces of a picture, and the milliseconds that it waited.
   * @throws ServiceError; the reason of `signal`, whose abort drops the work.
   */
  find(request: PictureRequest, signal?: AbortSignal): Promise<FoundPicture & { readonly wait: number }> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      this.admit(1);
      const { timeout } = this.#options;
      const settle = (): void => {
        job.settled = true;
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
      };
      const abort = (): void => {
        job.reject(signal!.reason as Error);
        this.#drop(job);
      };
      const job: Job = {
        id: ++this.#ids,
        request,
        since: performance.now(),
        resolve: (found) => {
          settle();
          resolve(found);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
        attempts: 0,
        wait: 0,
        settled: false,
      };
      const timer = setTimeout(() => {
        const where = this.#inHand.has(job.id) ? 'one that is at work' : 'one that still waits';
        const remedy = 'Come again after the seconds of Retry-After, or ask for a smaller size.';
        job.reject(this.#refused(`an answer within ${timeout / SECOND} s`, where, remedy));
        this.#drop(job);
      }, timeout);
      signal?.addEventListener('abort', abort, { once: true });
      this.#queue.push(job);
      this.#dispatch();
    });
  }

  /** Takes no more, finishes what it has within so many milliseconds, refuses the rest, and ends the process. */
  async close(grace = 0): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    let timer: NodeJS.Timeout | undefined;
    if (grace > 0 && this.#queue.length + this.#inHand.size > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
        timer = setTimeout(resolve, grace);
      });
    }
    clearTimeout(timer);
    for (const job of [...this.#queue.splice(0), ...this.#inHand.values()]) {
      if (!job.settled) job.reject(this.#refused('a service that is open', 'one that has ended', 'Ask another.'));
    }
    const child = this.#child;
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    this.#send({ kind: 'end' });
    const kill = setTimeout(() => child.kill('SIGKILL'), this.#inHand.size > 0 ? 0 : 5 * SECOND);
    await gone;
    clearTimeout(kill);
  }

  #start(): Promise<void> {
    const here = import.meta.url;
    const file = new URL(`./engine_process${here.endsWith('.ts') ? '.ts' : '.js'}`, here);
    const child = fork(fileURLToPath(file), {
      execArgv: [...process.execArgv, '--expose-gc'],
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#child = child;
    const { configuration, precision, weights, batch, batchWait, threads, maxPixels, maxSize, decodeTimeout } =
      this.#options;
    const settings = {
      configuration,
      precision,
      weights,
      batch,
      batchWait,
      threads,
      maxPixels,
      maxSize,
      decodeTimeout,
    };
    this.#send({ kind: 'open', settings });
    return new Promise((resolve, reject) => {
      let failure: RetinaFaceError | undefined;
      child.on('message', (message: FromEngine) => {
        if (message.kind === 'ready') {
          this.#about = message.about;
          this.#ready = true;
          this.#options.onStart?.();
          resolve();
          this.#dispatch();
        } else if (message.kind === 'failed') failure = errorOf(message.refusal);
        else this.#hear(message);
      });
      const ended = (why: string): void => {
        // What cannot be started says so before it says that it is gone.
        if (this.#child !== child) return;
        this.#child = undefined;
        reject(failure ?? lostError(why));
        this.#gone(failure?.message ?? why);
      };
      child.on('error', (error) => {
        ended(error.message);
      });
      child.on('exit', (code, signal) => {
        ended(`the process that searches ended: ${signal ?? `exit code ${code ?? 'unknown'}`}`);
      });
    });
  }

  #hear(message: Exclude<FromEngine, { readonly kind: 'ready' | 'failed' }>): void {
    if (message.kind === 'say') {
      this.#options.say?.(message.words);
      return;
    }
    if (message.kind === 'batch') {
      const each = message.time / message.pictures;
      this.#pace = this.#pace === 0 ? each : 0.9 * this.#pace + 0.1 * each;
      this.#failures = 0;
      this.#options.onBatch?.(message);
      return;
    }
    const job = this.#inHand.get(message.id);
    this.#inHand.delete(message.id);
    if (job && !job.settled) {
      if (message.kind === 'found') job.resolve({ ...message.found, wait: job.wait });
      else if (message.kind === 'refused') job.reject(refusalError(message.refusal, this.retryAfter));
    }
    this.#dispatch();
  }

  /** The process is gone: what it had in hand comes first in the next one. */
  #gone(why: string): void {
    const running = this.#ready;
    this.#ready = false;
    const held = [...this.#inHand.values()];
    this.#inHand.clear();
    for (const job of held.reverse()) {
      if (job.settled) continue;
      if (job.attempts < ATTEMPTS) this.#queue.unshift(job);
      else {
        const remedy = 'Come again after the seconds of Retry-After, with another picture where it happens again.';
        job.reject(this.#refused('a search that ends', `${why}, ${ATTEMPTS} times with this picture`, remedy));
      }
    }
    this.#settleIdle();
    if (this.#closing || (!running && this.#failures === 0)) return;
    const pause = Math.min(LONGEST_PAUSE, 100 * 2 ** this.#failures++);
    this.#options.say?.(`${why}; starting another in ${pause / SECOND} s\n`);
    setTimeout(() => {
      // What goes wrong leads here again, by the process's end.
      if (!this.#closing) this.#start().catch(() => undefined);
    }, pause);
  }

  #dispatch(): void {
    const { threads, batch = this.#about?.batch ?? 1 } = this.#options;
    // The batches at work, one that gathers, and one picture for each thread that decodes.
    const window = (SEARCHES + 1) * batch + threads;
    while (this.#ready && this.#queue.length > 0 && this.#inHand.size < window) {
      const suspect = this.#queue[0]!.attempts > 0 || [...this.#inHand.values()].some(({ attempts }) => attempts > 1);
      if (suspect && this.#inHand.size > 0) return;
      const job = this.#queue.shift()!;
      job.attempts++;
      job.wait = performance.now() - job.since;
      this.#inHand.set(job.id, job);
      this.#send({ kind: 'find', id: job.id, request: job.request });
    }
    this.#settleIdle();
  }

  #settleIdle(): void {
    if (this.#queue.length + this.#inHand.size === 0) this.#idle?.();
  }

  #drop(job: Job): void {
    const place = this.#queue.indexOf(job);
    if (place >= 0) this.#queue.splice(place, 1);
    if (!this.#inHand.has(job.id)) {
      this.#settleIdle();
      return;
    }
    this.#send({ kind: 'drop', id: job.id });
    // A search cannot be taken back, but it ends; one that does not is a driver that hangs.
    const child = this.#child;
    const patience = Math.max(10 * SECOND, 2 * this.#options.timeout);
    setTimeout(() => {
      if (this.#child === child && this.#inHand.get(job.id) === job) child?.kill('SIGKILL');
    }, patience).unref();
  }

  #send(message: ToEngine): void {
    // A process that is gone says so by its end.
    this.#child?.send(message, () => undefined);
  }

  #refused(expected: string, got: string, remedy: string): ServiceError {
    return new ServiceError(503, { operation: 'detect', expected, got, remedy }, { retryAfter: this.retryAfter });
  }
}

/** The error that the process could not start for, as the class that the command line tells its exit code by. */
function errorOf(refusal: Refusal): RetinaFaceError {
  if (refusal.name === 'AdapterError') return new AdapterError(refusal);
  if (refusal.name === 'DeviceLostError') return new DeviceLostError(refusal);
  return refusalError(refusal);
}

function lostError(got: string): DeviceLostError {
  return new DeviceLostError({
    operation: 'serve',
    expected: 'a process that searches',
    got,
    remedy: '`retinaface doctor` says what is missing.',
  });
}
