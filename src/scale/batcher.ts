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
  /** Milliseconds that the first of a batch waits for others while nothing is searched. Default 5. */
  readonly wait?: number;
  /** Hears of each search: how many pictures, and how many seconds. */
  readonly onSearch?: (pictures: number, seconds: number) => void;
}

interface Waiting {
  readonly picture: Picture;
  readonly options: DetectOptions;
  readonly resolve: (found: { readonly faces: readonly Face[]; readonly cut: boolean }) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Searches pictures that come one by one together: those of one size and the same options. While one batch is searched, the next
 * one gathers.
 */
export class Batcher {
  readonly #detector: Detector;
  readonly #gathered: Gatherer<Waiting>;
  readonly #onSearch: BatcherOptions['onSearch'];
  #timer: NodeJS.Timeout | undefined;
  #searching = false;

  constructor(detector: Detector, { size, wait = 5, onSearch }: BatcherOptions) {
    this.#detector = detector;
    this.#gathered = new Gatherer({ most: size, wait });
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
      this.#gathered.add(key, { picture, options, resolve, reject }, performance.now());
      this.#next();
    });
  }

  #next(): void {
    if (this.#searching) return;
    clearTimeout(this.#timer);
    const batch = this.#gathered.take(performance.now());
    if (batch === undefined) return;
    if (typeof batch === 'number') {
      this.#timer = setTimeout(() => {
        this.#next();
      }, batch);
      return;
    }
    this.#searching = true;
    void this.#search(batch).finally(() => {
      this.#searching = false;
      this.#next();
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
