// The process that holds the device of a service. It decodes in threads, gathers pictures of one size, searches them, and answers
// over its channel. It is a process of its own because Dawn's calls block for as long as they take, and because a driver that
// breaks down takes its process along: neither reaches the one that speaks HTTP.
import { DeviceLostError, RetinaFaceError } from '../gpu/errors.js';
import type { Picture } from '../image/picture.js';
import { encodePng } from '../node/codecs.js';
import { DecodePool } from '../node/decode_pool.js';
import type { Unreadable } from '../node/decode_worker.js';
import { LastingModel } from '../node/lasting.js';
import type { RetinaFace } from '../node/retinaface.js';
import type { DetectOptions } from '../retinaface/detect_options.js';
import { Batcher, type Searched } from './batcher.js';
import {
  type EngineAbout,
  type EngineSettings,
  type FoundPicture,
  type FromEngine,
  type PictureRequest,
  SEARCHES,
  type ToEngine,
} from './engine_messages.js';
import { refusalOf, ServiceError } from './service_error.js';

/**
 * Pictures that a batch holds by default. On a driver that computes on the CPU each costs a sixth less of the processors in a batch of
 * four than alone (`npm run bench -- serve`), and the first of more would only wait for the last.
 */
const GPU_BATCH = 8;
const CPU_BATCH = 4;

/** Pixels of a side of the empty picture that is searched first, to compile kernels before anyone waits for them. */
const REHEARSAL = 64;

/** Milliseconds without a picture until garbage is collected; the device's memory goes about then, too. */
const REST = 10_000;

const STATUS_OF: Readonly<Record<Unreadable, number>> = { format: 415, pixels: 413, damage: 422 };

class EngineProcess {
  readonly #settings: EngineSettings;
  readonly #model: LastingModel;
  readonly #pool: DecodePool;
  readonly #about: EngineAbout;
  readonly #batcher: Batcher;
  /** Pictures that have no answer yet. */
  readonly #open = new Map<number, AbortController>();
  #resting: NodeJS.Timeout | undefined;
  #ending = false;

  private constructor(settings: EngineSettings, model: LastingModel, about: EngineAbout) {
    this.#settings = settings;
    this.#model = model;
    this.#about = about;
    this.#pool = new DecodePool(settings.threads);
    this.#batcher = new Batcher(model, {
      size: about.batch,
      wait: settings.batchWait,
      searches: SEARCHES,
      onSearch: (pictures, seconds) => {
        const { user, system } = process.cpuUsage();
        const processor = (user + system) / 1e6;
        send({ kind: 'batch', pictures, time: 1000 * seconds, resident: process.memoryUsage.rss(), processor });
      },
    });
  }

  static async open(settings: EngineSettings): Promise<EngineProcess> {
    const { configuration, weights, batch, maxSize } = settings;
    const say = (words: string): void => {
      send({ kind: 'say', words });
    };
    const model = new LastingModel(configuration, (loaded) => loaded.load(weights), say, settings);
    const blank: Picture = { data: new Uint8Array(4 * REHEARSAL ** 2), width: REHEARSAL, height: REHEARSAL };
    await model.detect([blank], { size: Math.min(REHEARSAL, maxSize) });
    const about = await model.use((held: RetinaFace) =>
      Promise.resolve({
        driver: held.gpu.info.description,
        configuration: held.network.configuration.name,
        software: held.gpu.isFallback,
        landmarks: held.network.configuration.landmarks,
        batch: batch ?? (held.gpu.isFallback ? CPU_BATCH : GPU_BATCH),
      }),
    );
    const engine = new EngineProcess(settings, model, about);
    await engine.#warm();
    return engine;
  }

  /** Starts all threads, before anyone waits for them. */
  async #warm(): Promise<void> {
    const { threads, maxPixels } = this.#settings;
    const dot = encodePng({ data: new Uint8Array(4), width: 1, height: 1 });
    const jobs = Array.from({ length: threads }, () => ({ bytes: Uint8Array.from(dot), name: 'a dot', maxPixels }));
    await Promise.all(jobs.map((job) => this.#pool.run({ kind: 'bytes', ...job })));
  }

  get about(): EngineAbout {
    return this.#about;
  }

  /** Pictures that were searched lie in memory until others come, whose allocations collect them: without others, this does. */
  #rest(): void {
    clearTimeout(this.#resting);
    if (this.#open.size === 0) this.#resting = setTimeout(() => globalThis.gc?.(), REST).unref();
  }

  find(id: number, request: PictureRequest): void {
    const abort = new AbortController();
    this.#open.set(id, abort);
    this.#find(id, request, abort.signal).catch((error: unknown) => {
      this.#refuse(id, error);
    });
  }

  drop(id: number): void {
    this.#open.get(id)?.abort(new Error('no longer wanted'));
  }

  /** Frees the device once nothing waits for it. */
  end(): void {
    this.#ending = true;
    if (this.#open.size > 0) return;
    this.#model.dispose();
    process.disconnect();
    process.exit(0);
  }

  async #find(id: number, { search, align, ...file }: PictureRequest, signal: AbortSignal): Promise<void> {
    const began = performance.now();
    const picture = await this.#decode(file, signal);
    const decode = performance.now() - began;
    const options = this.#optionsOf(search, picture, file.name);
    const { faces, cut, batch, ...searched } = await this.#search(picture, options, signal);
    signal.throwIfAborted();
    const { width, height } = picture;
    const answer = { width, height, faces, cut, batch };
    const times = { decode, ...searched };
    if (!align || faces.length === 0) {
      this.#found(id, { ...answer, ...(align ? { aligned: [] } : {}), times });
      return;
    }
    const found = performance.now();
    const { files } = await this.#pool.run(
      { kind: 'align', picture, faces, ...align },
      { timeout: this.#settings.decodeTimeout, signal },
    );
    this.#found(id, { ...answer, aligned: files, times: { ...times, align: performance.now() - found } });
  }

  async #decode({ bytes, name }: Pick<PictureRequest, 'bytes' | 'name'>, signal: AbortSignal): Promise<Picture> {
    const { maxPixels, decodeTimeout } = this.#settings;
    // They lie in a message with others; the thread takes a buffer over whole.
    const own = new Uint8Array(bytes);
    const read = await this.#pool.run(
      { kind: 'bytes', bytes: own, name, maxPixels },
      { timeout: decodeTimeout, signal },
    );
    if (read.kind === 'unreadable') {
      throw new ServiceError(STATUS_OF[read.why!], read.problem!, { name: 'ImageError' });
    }
    const { data, width, height } = read;
    return { data, width, height };
  }

  /** How a picture is searched; by default at its own size, scaled down where that is more than is allowed. */
  #optionsOf(search: PictureRequest['search'], { width, height }: Picture, name: string): DetectOptions {
    const { maxSize } = this.#settings;
    const longest = Math.max(width, height);
    if (search.size === 'original' && longest > maxSize) {
      throw new ServiceError(413, {
        operation: `search ${name}`,
        expected: `at most ${maxSize} pixels of a side, where size is original`,
        got: `${width}×${height}`,
        remedy: `Ask for size=${maxSize} or less, or scale the picture down.`,
      });
    }
    const size = search.size ?? (longest > maxSize ? maxSize : undefined);
    return Object.fromEntries(Object.entries({ ...search, size }).filter(([, value]) => value !== undefined));
  }

  async #search(picture: Picture, options: DetectOptions, signal: AbortSignal): Promise<Searched> {
    try {
      return await this.#batcher.search(picture, options, signal);
    } catch (error) {
      if (signal.aborted || (error instanceof RetinaFaceError && error.name !== 'DeviceLostError')) throw error;
      // No device to search with, or a fault of ours: the process begins anew, and what it holds is sent to it again, each alone.
      send({
        kind: 'say',
        words: `the search broke down: ${error instanceof Error ? error.message : String(error)}\n`,
      });
      process.exit(1);
    }
  }

  #found(id: number, found: FoundPicture): void {
    send({ kind: 'found', id, found });
    this.#answered(id);
  }

  #refuse(id: number, error: unknown): void {
    if (this.#open.get(id)?.signal.aborted === true) this.#dropped(id);
    else {
      send({ kind: 'refused', id, refusal: refusalOf(...told(error)) });
      this.#answered(id);
    }
  }

  #dropped(id: number): void {
    send({ kind: 'dropped', id });
    this.#answered(id);
  }

  #answered(id: number): void {
    this.#open.delete(id);
    this.#rest();
    if (this.#ending) this.end();
  }
}

/** The status of HTTP that an error of one picture is, and the error. */
function told(error: unknown): [status: number, error: RetinaFaceError] {
  if (error instanceof ServiceError) return [error.status, error];
  if (error instanceof RetinaFaceError) {
    const wrongInput = ['ImageError', 'LimitError', 'ArgumentError'].includes(error.name);
    return [wrongInput ? 422 : error.name === 'OutOfMemoryError' ? 503 : 500, error];
  }
  const got = error instanceof Error ? error.message : String(error);
  const problem = { operation: 'detect', expected: 'faces', got, remedy: 'Report it with the picture.', cause: error };
  return [500, new RetinaFaceError(problem)];
}

function send(message: FromEngine): void {
  // Where the other end is gone, `disconnect` has its say.
  if (process.connected) process.send!(message);
}

let engine: EngineProcess | undefined;

async function open(settings: EngineSettings): Promise<void> {
  try {
    engine = await EngineProcess.open(settings);
    send({ kind: 'ready', about: engine.about });
  } catch (error) {
    const known =
      error instanceof RetinaFaceError
        ? error
        : new DeviceLostError({
            operation: 'open the device',
            expected: 'a device to search with',
            got: error instanceof Error ? error.message : String(error),
            remedy: '`retinaface doctor` says what is missing.',
            cause: error,
          });
    process.send!({ kind: 'failed', refusal: refusalOf(503, known) } satisfies FromEngine, () => process.exit(1));
  }
}

// Ctrl-C reaches every process of a terminal; this one ends when it is told to, or when the one that tells it is gone.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
process.on('disconnect', () => {
  process.kill(process.pid, 'SIGKILL');
});
process.on('message', (message: ToEngine) => {
  if (message.kind === 'open') void open(message.settings);
  else if (message.kind === 'find') engine!.find(message.id, message.request);
  else if (message.kind === 'drop') engine!.drop(message.id);
  else if (engine) engine.end();
  else process.exit(0);
});
