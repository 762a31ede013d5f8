import { ShapeError } from '../gpu/errors.js';
import type { Gpu } from '../gpu/gpu.js';
import { flatGrid } from '../gpu/grid.js';
import { contiguous } from '../ops/layout.js';
import { keep, scope } from '../tensor/scope.js';
import { formatShape, sameShape } from '../tensor/shape.js';
import { Tensor } from '../tensor/tensor.js';

/** Elements of which each belongs to one parameter, and what the start of a parameter is a multiple of: 256 bytes. */
export const BLOCK = 64;

/** A tensor that has a place in a bucket, under the name that errors and files give it. */
export interface Named {
  readonly name: string;
  readonly value: Tensor<'f32'>;
}

/** Where one parameter lies. */
export interface Place {
  readonly bucket: number;
  /** Elements of the bucket before it, a multiple of 64. */
  readonly start: number;
  /** Elements of it; the next parameter starts at the next multiple of 64. */
  readonly size: number;
}

/**
 * How parameters lie one after another in a few flat tensors ("buckets") that a device can bind whole, so that one kernel
 * per bucket walks all of them, and other machines exchange few large pieces instead of many small ones.
 */
export class BucketLayout {
  readonly gpu: Gpu;
  /** In the order of the parameters. */
  readonly places: readonly Place[];
  /** Elements of each bucket. */
  readonly lengths: readonly number[];

  /** `bytes`: what a bucket holds at most, the device's binding size by default; a larger parameter has one of its own. */
  constructor(gpu: Gpu, parameters: readonly Named[], bytes: number = gpu.largestTensor) {
    const lengths: number[] = [];
    this.gpu = gpu;
    this.places = parameters.map(({ value: { size } }) => {
      const room = Math.max(1, Math.ceil(size / BLOCK)) * BLOCK;
      const last = lengths.at(-1);
      if (last === undefined || (last + room) * 4 > bytes) lengths.push(0);
      const bucket = lengths.length - 1;
      const start = lengths[bucket]!;
      lengths[bucket] = start + room;
      return { bucket, start, size };
    });
    this.lengths = lengths;
  }

  /** One tensor of zeros per bucket, kept until disposed of. */
  zeros(label: string): readonly Tensor<'f32'>[] {
    return this.lengths.map((length, i) =>
      keep(Tensor.zeros(this.gpu, [length], { label: `${label}, bucket ${i + 1}` })),
    );
  }
}

/** The gradients of all parameters, added up over the parts of a step in flat buckets. */
export class GradientBuckets implements Disposable {
  readonly layout: BucketLayout;
  /** Zero where a parameter had no gradient in the step that was ended last. */
  readonly tensors: readonly Tensor<'f32'>[];
  readonly #parameters: readonly Named[];
  #added: boolean[];
  /** Which places hold something of an earlier step. */
  #filled: readonly boolean[];
  readonly #views: readonly Tensor<'f32'>[];

  constructor(gpu: Gpu, parameters: readonly Named[], bytes?: number) {
    this.layout = new BucketLayout(gpu, parameters, bytes);
    this.tensors = this.layout.zeros('gradients');
    this.#parameters = parameters;
    this.#added = parameters.map(() => false);
    this.#filled = this.#added;
    this.#views = this.layout.places.map(({ bucket, start }, index) => {
      const { name, value } = parameters[index]!;
      return keep(this.tensors[bucket]!.part(start, value.shape, `gradient of ${name}`));
    });
  }

  /**
   * What was added up for parameter `index` since the last step, or in the last one where nothing was added since: the
   * buckets' own. Undefined where that is nothing.
   */
  gradient(index: number): Tensor<'f32'> | undefined {
    const has = this.#added.includes(true) ? this.#added : this.#filled;
    return has[index] ? this.#views[index] : undefined;
  }

  /**
   * Where gradients may be written, to be added then, by the ids of the parameters' tensors: of those that have none of this
   * step. Every element of a parameter must be, and nothing behind them.
   */
  places(): Map<number, Tensor> {
    const free = this.#parameters.map(({ value }, index) => [value.id, this.#views[index]!] as const);
    // Who begins to write there may fail.
    this.#filled = free.map(() => true);
    return new Map(free.filter((_, index) => !this.#added[index]));
  }

  /**
   * Adds `scale` times the gradient of parameter `index`; the first of a step replaces what the last one left. One that was
   * written into its place stays as it is there.
   * @throws ShapeError for a gradient of another shape than its parameter's.
   */
  add(index: number, gradient: Tensor, scale = 1): void {
    const { name, value } = this.#parameters[index]!;
    if (!sameShape(gradient.shape, value.shape)) {
      throw new ShapeError({
        operation: `add the gradient of ${name}`,
        expected: formatShape(value.shape),
        got: formatShape(gradient.shape),
        remedy: 'Pass the gradient that the tape holds for this parameter.',
      });
    }
    const { bucket, start, size } = this.layout.places[index]!;
    const more = this.#added[index]!;
    this.#added[index] = true;
    if (size === 0 || gradient.sharesMemoryWith(this.#views[index]!)) return;
    scope(() => {
      this.layout.gpu.run('bucket_add', {
        params: { count: size, start4: start / 4, scale },
        buffers: { x: contiguous(gradient).buffer, y: this.tensors[bucket]!.buffer },
        conditions: { more },
        grid: flatGrid(size / 4, 64),
      });
    });
  }

  /** Which parameters something was added for since the last step. */
  get added(): readonly boolean[] {
    return this.#added;
  }

  /** Takes it that something was added for these, by commands that a plan encoded. */
  setAdded(added: readonly boolean[]): void {
    this.#added = [...added];
  }

  /** Ends a step: answers which parameters had a gradient, and makes the places of the others zero. */
  end(): readonly boolean[] {
    const { gpu, places } = this.layout;
    const added = this.#added;
    for (const [index, { bucket, start, size }] of places.entries()) {
      if (added[index]! || !this.#filled[index]!) continue;
      gpu.clear(gpu.part(this.tensors[bucket]!.buffer, start * 4, size * 4));
    }
    this.#filled = added;
    this.#added = added.map(() => false);
    return added;
  }

  dispose(): void {
    for (const tensor of [...this.#views, ...this.tensors]) tensor.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
