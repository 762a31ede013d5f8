import type { Detector } from '../evaluate/evaluate_model.js';
import type { Face } from '../image/face.js';
import type { Picture } from '../image/picture.js';
import type { DetectOptions } from '../retinaface/detect_options.js';
import { type Found, searchAll } from './find.js';
import { Gatherer } from './gatherer.js';

/** How pictures are put together. */
export interface BatcherOptions {
  /** Pictures of a search at most. */
  readonly size: number;
  /** Milliseconds that the first of a batch waits for others while a search may begin. Default 5. */
  readonly wait?: number;
  /**
   * Searches that are begun before the one before them has ended: while the device computes the first, the host prepares the next
   * one and reads the one before. Default 1.
   */
  readonly searches?: number;
  /** Hears of each search: how many pictures, and the seconds since it began, or since the one before it ended if that was later. */
  readonly onSearch?: (pictures: number, seconds: number) => void;
}

/** A picture with its faces, and how it was searched. */
export interface Searched {
  readonly faces: readonly Face[];
  /** There were more faces than were wanted. */
  readonly cut: boolean;
  /** Pictures of the search, this one among them. */
  readonly batch: number;
  /** Milliseconds until the search began. */
  readonly gather: number;
  /** Milliseconds of the search. */
  readonly search: number;
}

interface Waiting {
  readonly picture: Picture;
  readonly options: DetectOptions;
  readonly since: number;
  readonly resolve: (searched: Searched) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Searches pictures that come one by one together: those that fill one size, with the same options. While some are searched, the
 * next ones gather.
 */
export class Batcher {
  readonly #detector: Detector;
  readonly #gathered: Gatherer<Waiting>;
  readonly #most: number;
  readonly #onSearch: BatcherOptions['onSearch'];
  #timer: NodeJS.Timeout | undefined;
  #searches = 0;
  /** When the last search ended. */
  #ended = 0;

  constructor(detector: Detector, { size, wait = 5, searches = 1, onSearch }: BatcherOptions) {
    this.#detector = detector;
    this.#gathered = new Gatherer({ most: size, wait });
    this.#most = searches;
    this.#onSearch = onSearch;
  }

  /**
   * The faces of a picture, as it would have them alone. An abort of `signal` takes the picture out of those that wait; one that is
   * searched is not waited for any less.
   * @throws what is wrong with this picture; DeviceLostError; the signal's reason.
   */
  search(picture: Picture, options: DetectOptions, signal?: AbortSignal): Promise<Searched> {
    if (signal?.aborted) return Promise.reject(signal.reason as Error);
    const { size } = options;
    // Scaled to fit a square, all fill it; at their own size, only those of one size share a pass.
    const key = JSON.stringify([options, typeof size === 'number' ? 0 : [picture.width, picture.height]]);
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        if (this.#gathered.remove(waiting)) reject(signal!.reason as Error);
      };
      const settled = (): void => signal?.removeEventListener('abort', abort);
      const waiting: Waiting = {
        picture,
        options,
        since: performance.now(),
        resolve: (searched) => {
          settled();
          resolve(searched);
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      };
      signal?.addEventListener('abort', abort, { once: true });
      this.#gathered.add(key, waiting, waiting.since);
      this.#next();
    });
  }

  #next(): void {
    clearTimeout(this.#timer);
    while (this.#searches < this.#most) {
      const batch = this.#gathered.take(performance.now());
      if (batch === undefined) return;
      if (typeof batch === 'number') {
        this.#timer = setTimeout(() => {
          this.#next();
        }, batch);
        return;
      }
      this.#searches++;
      void this.#search(batch).finally(() => {
        this.#searches--;
        this.#next();
      });
    }
  }

  async #search(batch: readonly Waiting[]): Promise<void> {
    const began = performance.now();
    let found: Found<Waiting>[];
    try {
      const pictures = batch.map((source) => ({ source, picture: source.picture }));
      found = await searchAll(this.#detector, pictures, batch[0]!.options);
    } catch (error) {
      for (const { reject } of batch) reject(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    const now = performance.now();
    this.#onSearch?.(batch.length, (now - Math.max(began, this.#ended)) / 1000);
    this.#ended = now;
    for (const { source, faces, cut = false, error } of found) {
      if (!faces) source.reject(error!);
      else source.resolve({ faces, cut, batch: batch.length, gather: began - source.since, search: now - began });
    }
  }
}
