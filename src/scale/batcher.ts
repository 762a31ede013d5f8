import type { Detector } from '../evaluate/evaluate_model.js';
import type { Face } from '../image/face.js';
import type { Picture } from '../image/picture.js';
import type { DetectOptions } from '../retinaface/detect_options.js';
import { type Found, searchAll } from './find.js';

/** How pictures are put together. */
export interface BatcherOptions {
  /** Pictures of a search at most. */
  readonly size: number;
  /** Milliseconds that the first of a batch waits for others while nothing is searched. Default 5. */
  readonly wait?: number;
  /** Hears of each search: how many pictures, and how many seconds. */
  readonly onSearch?: (pictures: number, seconds: number) => void;
}

interface Waiting {
  readonly picture: Picture;
  readonly options: DetectOptions;
  /** Only pictures of one key share a search. */
  readonly key: string;
  readonly resolve: (found: { readonly faces: readonly Face[]; readonly cut: boolean }) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Searches pictures that come one by one together: those of one size and the same options, in the order in which they came. While
 * one batch is searched, the next one gathers.
 */
export class Batcher {
  readonly #detector: Detector;
  readonly #size: number;
  readonly #wait: number;
  readonly #onSearch: BatcherOptions['onSearch'];
  #waiting: Waiting[] = [];
  #timer: NodeJS.Timeout | undefined;
  #searching = false;

  constructor(detector: Detector, { size, wait = 5, onSearch }: BatcherOptions) {
    this.#detector = detector;
    this.#size = size;
    this.#wait = wait;
    this.#onSearch = onSearch;
  }

  /** The faces of a picture, as it would have alone. @throws what is wrong with this picture; DeviceLostError. */
  search(
    picture: Picture,
    options: DetectOptions,
  ): Promise<{ readonly faces: readonly Face[]; readonly cut: boolean }> {
    const { size } = options;
    // Scaled to fit a square, all fill it; at their own size, only those of one size share a pass.
    const key = JSON.stringify([options, typeof size === 'number' ? 0 : [picture.width, picture.height]]);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ picture, options, key, resolve, reject });
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#searching || this.#waiting.length === 0) return;
    if (this.#waiting.length >= this.#size) this.#next();
    else
      this.#timer ??= setTimeout(() => {
        this.#next();
      }, this.#wait);
  }

  #next(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const { key } = this.#waiting[0]!;
    const batch = this.#waiting.filter((each) => each.key === key).slice(0, this.#size);
    const taken = new Set(batch);
    this.#waiting = this.#waiting.filter((each) => !taken.has(each));
    this.#searching = true;
    void this.#search(batch).finally(() => {
      this.#searching = false;
      this.#schedule();
    });
  }

  async #search(batch: readonly Waiting[]): Promise<void> {
    const start = performance.now();
    let found: Found<Waiting>[];
    try {
      const pictures = batch.map((source) => ({ source, picture: source.picture }));
      found = await searchAll(this.#detector, pictures, batch[0]!.options);
    } catch (error) {
      for (const { reject } of batch) reject(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    this.#onSearch?.(batch.length, (performance.now() - start) / 1000);
    for (const { source, faces, cut = false, error } of found) {
      if (faces) source.resolve({ faces, cut });
      else source.reject(error!);
    }
  }
}
