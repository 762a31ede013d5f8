import { ConvBn } from '../nn/conv_bn.js';
import type { ParameterList } from '../nn/parameter.js';
import { add } from '../ops/add.js';
import { unpool } from '../ops/unpool.js';
import { scope } from '../tensor/scope.js';
import { imageShape } from '../tensor/shape.js';
import type { Tensor } from '../tensor/tensor.js';

/** What the pyramid of one family is called, and how it is shaped. */
export interface PyramidOptions {
  /** Channels of the backbone's maps that feed it, finest first. */
  readonly inputs: readonly number[];
  readonly channels: number;
  readonly slope: number;
  /** Dotted names of the lateral 1×1 convolutions, finest first. */
  readonly lateral: readonly string[];
  /** Dotted names of the 3×3 convolutions of merged maps; the coarsest stays unmerged. */
  readonly merge: readonly string[];
  /** Dotted name of a 3×3 stride-2 ConvBn of the coarsest map, whose output is one more level (the report's C6). */
  readonly extra?: string;
  /** The 3×3 convolutions of merged maps are deformable, with offsets of their own under `….offset`. */
  readonly deformable: boolean;
}

/**
 * Feature pyramid (Lin et al. 2017; report §3.5): from the coarsest map down,
 * `p = merge(lateral(c) + unpool(p above))`, every ConvBn with its own weights and activation. `unpool` repeats nearest
 * values to the size of the finer map, so odd sizes work.
 */
export class Pyramid {
  readonly #lateral: readonly ConvBn[];
  readonly #merge: readonly ConvBn[];
  readonly #extra: ConvBn | undefined;
  readonly #slope: number;

  constructor(parameters: ParameterList, layers: ConvBn[], options: PyramidOptions) {
    const { inputs, channels, slope, lateral, merge, extra, deformable } = options;
    const layer = (name: string, shape: { in: number; kernel: number; stride?: number; offset?: string }) => {
      const made = new ConvBn(parameters, { conv: `${name}.0`, norm: `${name}.1`, out: channels, ...shape });
      layers.push(made);
      return made;
    };
    this.#slope = slope;
    this.#lateral = lateral.map((name, level) => layer(name, { in: inputs[level]!, kernel: 1 }));
    this.#merge = merge.map((name) =>
      layer(name, { in: channels, kernel: 3, ...(deformable ? { offset: `${name}.offset` } : {}) }),
    );
    if (extra !== undefined) this.#extra = layer(extra, { in: inputs.at(-1)!, kernel: 3, stride: 2 });
  }

  /** Maps of the backbone, finest first → as many levels of `channels` channels, and the extra one where there is one. */
  forward(maps: readonly Tensor[]): readonly Tensor[] {
    return scope(() => {
      const levels: Tensor[] = [];
      let above: Tensor | undefined;
      for (let level = maps.length - 1; level >= 0; level--) {
        const lateral = this.#lateral[level]!.forward(maps[level]!, { slope: this.#slope });
        const merged = above ? this.#merged(level, lateral, above) : lateral;
        levels.unshift(merged);
        above = merged;
      }
      // No activation: the report names none for C6.
      if (this.#extra) levels.push(this.#extra.forward(maps.at(-1)!));
      return levels;
    });
  }

  #merged(level: number, lateral: Tensor, above: Tensor): Tensor {
    const [, height, width] = imageShape('pyramid', lateral.shape);
    using larger = unpool(above, { size: [height, width] });
    using sum = add(lateral, larger);
    lateral.dispose();
    return this.#merge[level]!.forward(sum, { slope: this.#slope });
  }
}
