import type { Gpu } from '../gpu/gpu.js';
import { keep } from '../tensor/scope.js';
import { Tensor } from '../tensor/tensor.js';
import { type AnchorLevel, anchorsFor } from './anchors.js';

/** Sizes kept at once: of a few pictures of one camera, of the scales of a protocol; pictures of many sizes must not pile up. */
const SIZES = 16;

/** The anchors of a network on the device, by input size: they depend on nothing else. The size unused for longest goes first. */
export class AnchorCache implements Disposable {
  readonly #gpu: Gpu;
  readonly #levels: readonly AnchorLevel[];
  readonly #kept = new Map<string, Tensor<'f32'>>();

  constructor(gpu: Gpu, levels: readonly AnchorLevel[]) {
    this.#gpu = gpu;
    this.#levels = levels;
  }

  /** [anchors, 4] as (cx, cy, w, h) in pixels of an input of that size; the cache's own, valid until the next call. */
  of(width: number, height: number): Tensor<'f32'> {
    const key = `${width}×${height}`;
    let anchors = this.#kept.get(key);
    if (!anchors) {
      const values = anchorsFor(this.#levels, width, height);
      anchors = keep(Tensor.from(this.#gpu, values, [values.length / 4, 4], `anchors of ${key}`));
    }
    // Kept in order of last use.
    this.#kept.delete(key);
    this.#kept.set(key, anchors);
    if (this.#kept.size > SIZES) {
      const [oldest, unused] = this.#kept.entries().next().value!;
      unused.dispose();
      this.#kept.delete(oldest);
    }
    return anchors;
  }

  dispose(): void {
    for (const anchors of this.#kept.values()) anchors.dispose();
    this.#kept.clear();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
