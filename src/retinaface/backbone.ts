import type { Tensor } from '../tensor/tensor.js';

/** A network from a picture to feature maps, finest first, each half the size of the one before. */
export interface Backbone {
  /** Channels of each map. */
  readonly channels: readonly number[];
  /** `x` [n, h, w, 4] (RGB or BGR, the fourth channel zero) → one map per level. */
  forward(x: Tensor): readonly Tensor[];
}
