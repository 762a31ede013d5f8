import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { epochDraws, type EpochDraws, mixtureLength } from '../data/mixture.js';
import type { Face, PictureSource, Sample } from '../data/sample.js';
import { syntheticSource, type SyntheticOptions } from '../data/synthetic.js';
import { ArgumentError, ImageError } from '../gpu/errors.js';
import type { Picture } from '../image/picture.js';
import { DecodePool } from './decode_pool.js';
import { readImage } from './files.js';

/** Where pictures come from: a folder with labels, or drawn scenes. */
export type SourceDescription =
  | { readonly kind: 'folder'; readonly directory: string; readonly samples: readonly Sample[] }
  | {
      readonly kind: 'synthetic';
      readonly seed: number;
      readonly count: number;
      readonly options?: SyntheticOptions;
    };

/** A source among others. */
export interface WeightedSource {
  readonly source: SourceDescription;
  /** Times that each of its pictures is drawn in an epoch. Default 1. */
  readonly weight?: number;
}

/** How pictures are loaded. */
export interface PictureLoaderOptions {
  /** Of the order of every epoch. */
  readonly seed: number;
  /** Pictures a batch. */
  readonly batch: number;
  /** Which pictures of each batch are loaded, by their places in it; all by default. Others are loaded elsewhere. */
  readonly places?: readonly number[];
  /** Threads that decode; 0 decodes in this one. By default one fewer than there are cores, 1 to 8. */
  readonly workers?: number;
  /** Batches that are made ready ahead of the one in use. Default 2. */
  readonly prefetch?: number;
  /** Pictures that may be unreadable before it is an error. By default one in a hundred, and at least 10. */
  readonly skipLimit?: number;
  /** Decoded pictures are kept for later epochs up to this many bytes. Default 512 MiB. */
  readonly cacheBytes?: number;
  /** Hears of each picture that is skipped, once. */
  readonly onSkip?: (name: string, reason: string) => void;
}

/** Pictures of a batch with their labels; pictures may be shared between batches and are only to be read. */
export interface LoadedBatch {
  /** Place of each picture in the source; counted through all of them where there are several. */
  readonly indices: readonly number[];
  /** A number of each draw in its epoch: a picture that is drawn twice in one has two. */
  readonly slots: readonly number[];
  readonly pictures: readonly Picture[];
  readonly faces: readonly (readonly Face[])[];
}

interface Loaded {
  readonly picture: Picture;
  readonly faces: readonly Face[];
}

/** Pictures of a folder, decoded when they are asked for. */
export function folderSource(directory: string, samples: readonly Sample[]): PictureSource {
  const at = (index: number): Sample => {
    const sample = samples[index];
    if (sample) return sample;
    throw new ArgumentError({
      operation: `take a picture of ${directory}`,
      expected: `an index below ${samples.length}`,
      got: String(index),
      remedy: 'Stay below the length of the source.',
    });
  };
  return {
    length: samples.length,
    name: (index) => at(index).name,
    faces: (index) => at(index).faces,
    load: (index) => readImage(join(directory, at(index).name)),
  };
}

function lengthOf(description: SourceDescription): number {
  return description.kind === 'folder' ? description.samples.length : description.count;
}

/** The source that a description is of, for one picture at a time in this thread. */
export function openSource(description: SourceDescription): PictureSource {
  return description.kind === 'folder'
    ? folderSource(description.directory, description.samples)
    : syntheticSource(description.seed, description.count, description.options);
}

/**
 * Makes batches ready ahead of the device, in worker threads, in the order of each epoch.
 *
 * Of several sources each is drawn by its weight, and all are shuffled together (`epochDraws`). The order follows from seed
 * and epoch, and batch k of an epoch from its place alone, so that a run resumed at any step gets the same batches. A picture
 * that cannot be read is named once and replaced by one from a batch further on: batches keep their size.
 *
 * ```ts
 * const loader = new PictureLoader({ kind: 'folder', directory, samples }, { seed: 1, batch: 8 });
 * for await (const { pictures, faces } of loader.batches(epoch)) …
 * await loader.close();
 * ```
 */
export class PictureLoader {
  readonly #sources: readonly {
    readonly description: SourceDescription;
    readonly first: number;
    readonly length: number;
    readonly weight: number;
  }[];
  readonly #options: PictureLoaderOptions;
  readonly #length: number;
  readonly #draws: number;
  readonly #pool: DecodePool;
  readonly #prefetch: number;
  readonly #skipLimit: number;
  readonly #unreadable = new Map<number, string>();
  readonly #cache = new Map<number, Loaded>();
  #cacheLeft: number;
  /** Batches under way, by epoch and step. */
  readonly #ahead = new Map<string, Promise<LoadedBatch>>();
  #order: { readonly epoch: number; readonly draws: EpochDraws } | undefined;

  /** @throws ArgumentError for a source without pictures, and for weights or options that are out of range. */
  constructor(sources: SourceDescription | readonly WeightedSource[], options: PictureLoaderOptions) {
    const { batch, workers = Math.min(8, Math.max(1, availableParallelism() - 1)), prefetch = 2 } = options;
    let first = 0;
    this.#sources = ('kind' in sources ? [{ source: sources }] : sources).map(
      ({ source, weight = 1 }: WeightedSource) => {
        const length = lengthOf(source);
        first += length;
        return { description: source, first: first - length, length, weight };
      },
    );
    this.#length = first;
    const { skipLimit = Math.max(10, Math.floor(this.#length / 100)), cacheBytes = 2 ** 29 } = options;
    for (const [name, value, least] of [
      ['number of pictures', Math.min(...this.#sources.map(({ length }) => length), this.#length), 1],
      ['batch', batch, 1],
      ['workers', workers, 0],
      ['prefetch', prefetch, 0],
      ['skipLimit', skipLimit, 0],
      ['cacheBytes', cacheBytes, 0],
    ] as const) {
      if (Number.isInteger(value) && value >= least) continue;
      throw new ArgumentError({
        operation: 'new PictureLoader',
        expected: `${name} to be a whole number of at least ${least}`,
        got: String(value),
        remedy: least === 1 && name !== 'batch' ? 'Check the labels and the folder.' : `Pass another ${name}.`,
      });
    }
    this.#draws = mixtureLength(this.#sources);
    this.#options = options;
    this.#pool = new DecodePool(workers);
    this.#prefetch = prefetch;
    this.#skipLimit = skipLimit;
    this.#cacheLeft = cacheBytes;
  }

  /** Number of pictures of all sources. */
  get length(): number {
    return this.#length;
  }

  /** Batches an epoch: pictures that fill no batch wait for the next epoch's order; fewer than a batch are repeated. */
  get stepsPerEpoch(): number {
    return Math.max(1, Math.floor(this.#draws / this.#options.batch));
  }

  /** Names of the pictures that could not be read so far, with the reason. */
  get skipped(): readonly { readonly name: string; readonly reason: string }[] {
    return [...this.#unreadable].map(([index, reason]) => ({ name: this.name(index), reason }));
  }

  /** What a picture is called, by its place in the sources. */
  name(index: number): string {
    const { description, at } = this.#find(index);
    return description.kind === 'folder' ? description.samples[at]!.name : `scene ${at}`;
  }

  /**
   * The batches of an epoch, from a step on. While one is used, the next ones are made ready, over the end of the epoch.
   * @throws ImageError, naming them, when more pictures than the limit cannot be read.
   */
  async *batches(epoch: number, fromStep = 0): AsyncGenerator<LoadedBatch, void, undefined> {
    const steps = this.stepsPerEpoch;
    for (let step = fromStep; step < steps; step++) {
      const wanted = Array.from({ length: this.#prefetch + 1 }, (_, k) => {
        const at = step + k;
        return [epoch + Math.floor(at / steps), at % steps] as const;
      });
      const keys = wanted.map((place) => place.join('/'));
      // What was made ready for another place than the one that is asked for is no longer wanted.
      for (const key of this.#ahead.keys()) if (!keys.includes(key)) this.#ahead.delete(key);
      for (const [i, [at, k]] of wanted.entries()) {
        const key = keys[i]!;
        if (this.#ahead.has(key)) continue;
        const batch = this.#load(at, k);
        // It may fail before, or without, anyone waiting for it.
        batch.catch(() => undefined);
        this.#ahead.set(key, batch);
      }
      const current = this.#ahead.get(keys[0]!)!;
      const batch = await current;
      this.#ahead.delete(keys[0]!);
      yield batch;
    }
  }

  /** Ends the threads. What was asked for and has not come is refused. */
  async close(): Promise<void> {
    this.#ahead.clear();
    this.#cache.clear();
    await this.#pool.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** The source of a picture, and its place in there. */
  #find(index: number): { readonly description: SourceDescription; readonly at: number } {
    const source = this.#sources.findLast(({ first }) => first <= index)!;
    return { description: source.description, at: index - source.first };
  }

  async #load(epoch: number, step: number): Promise<LoadedBatch> {
    if (this.#order?.epoch !== epoch) {
      this.#order = { epoch, draws: epochDraws(this.#options.seed, epoch, this.#sources) };
    }
    const { draws } = this.#order;
    const { batch } = this.#options;
    const { places = Array.from({ length: batch }, (_, k) => k) } = this.#options;
    const loaded = await Promise.all(places.map((place) => this.#readable(draws, step * batch + place)));
    return {
      indices: loaded.map(({ index }) => index),
      slots: loaded.map(({ slot }) => slot),
      pictures: loaded.map(({ picture }) => picture),
      faces: loaded.map(({ faces }) => faces),
    };
  }

  /** The picture at a place of the order, or the first one that can be read from a batch further on. */
  async #readable(
    { pictures, slots }: EpochDraws,
    place: number,
  ): Promise<Loaded & { readonly index: number; readonly slot: number }> {
    for (let tried = 0; ; tried++) {
      const shift = tried === 0 ? 0 : this.#options.batch + tried - 1;
      const at = (place + shift) % pictures.length;
      const [index, slot] = [pictures[at]!, slots[at]!];
      if (!this.#unreadable.has(index)) {
        const loaded = this.#cache.get(index) ?? (await this.#decode(index));
        if (loaded) return { index, slot, ...loaded };
      }
      // Of a source that is drawn less than once an epoch, all that this one has may be unreadable.
      const none = tried > pictures.length;
      if (this.#unreadable.size > this.#skipLimit || this.#unreadable.size >= this.#length || none) {
        throw this.#tooMany();
      }
    }
  }

  async #decode(index: number): Promise<Loaded | undefined> {
    const { description: source, at } = this.#find(index);
    const result = await this.#pool.run(
      source.kind === 'folder'
        ? { kind: 'file', path: join(source.directory, source.samples[at]!.name) }
        : { kind: 'scene', seed: source.seed, index: at, options: source.options ?? {} },
    );
    if (result.kind === 'unreadable') {
      if (!this.#unreadable.has(index)) {
        this.#unreadable.set(index, result.message);
        this.#options.onSkip?.(this.name(index), result.message);
      }
      return undefined;
    }
    const { data, width, height, faces } = result;
    const picture: Picture = { data, width, height };
    const loaded = { picture, faces: faces ?? (source.kind === 'folder' ? source.samples[at]!.faces : []) };
    if (data.length <= this.#cacheLeft && !this.#cache.has(index)) {
      this.#cacheLeft -= data.length;
      this.#cache.set(index, loaded);
    }
    return loaded;
  }

  #tooMany(): ImageError {
    const { size } = this.#unreadable;
    const named = this.skipped.slice(0, 3).map(({ name, reason }) => `${name} (${reason})`);
    const more = size > named.length ? ` and ${size - named.length} more` : '';
    return new ImageError({
      operation: 'load pictures',
      expected: `at most ${Math.min(this.#skipLimit, this.#length - 1)} that cannot be read`,
      got: `${named.join('; ')}${more}`,
      remedy: 'Check the folder of pictures and the names in the labels, or raise the limit: skipLimit, --skip-limit.',
    });
  }
}
