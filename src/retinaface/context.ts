import { ConvBn } from '../nn/conv_bn.js';
import type { ParameterList } from '../nn/parameter.js';
import { concat } from '../ops/concat.js';
import { scope } from '../tensor/scope.js';
import { Tensor } from '../tensor/tensor.js';

/**
 * Context module (SSH, Najibi et al. 2017, Fig. 3; report Fig. 2): receptive fields of 3×3, 5×5 and 7×7 built from 3×3
 * convolutions, side by side in one map of as many channels as came in, then ReLU.
 */
export class ContextModule {
  readonly #channels: number;
  readonly #slope: number;
  readonly #three: ConvBn;
  readonly #shared: ConvBn;
  readonly #five: ConvBn;
  readonly #sevenInner: ConvBn;
  readonly #seven: ConvBn;

  /** `deformable`: each of the five is a deformable convolution, with offsets of its own under `….offset`. */
  constructor(
    parameters: ParameterList,
    layers: ConvBn[],
    name: string,
    options: { readonly channels: number; readonly slope: number; readonly deformable: boolean },
  ) {
    const { channels, slope, deformable } = options;
    const layer = (part: string, cin: number, out: number) => {
      const conv = `${name}.${part}`;
      const made = new ConvBn(parameters, {
        conv: `${conv}.0`,
        norm: `${conv}.1`,
        in: cin,
        out,
        kernel: 3,
        ...(deformable ? { offset: `${conv}.offset` } : {}),
      });
      layers.push(made);
      return made;
    };
    const quarter = channels / 4;
    this.#channels = channels;
    this.#slope = slope;
    this.#three = layer('conv3X3', channels, channels / 2);
    this.#shared = layer('conv5X5_1', channels, quarter);
    this.#five = layer('conv5X5_2', quarter, quarter);
    this.#sevenInner = layer('conv7X7_2', quarter, quarter);
    // The published checkpoints write this one with a small x.
    this.#seven = layer('conv7x7_3', quarter, quarter);
  }

  /** `x` [n, h, w, channels] → the same shape. */
  forward(x: Tensor): Tensor {
    return scope(() => {
      const quarter = this.#channels / 4;
      const whole = this.#three.writesInto
        ? Tensor.empty(x.gpu, x.shape, { dtype: x.dtype, label: 'context' })
        : undefined;
      const shared = this.#shared.forward(x, { slope: this.#slope });
      const inner = this.#sevenInner.forward(shared, { slope: this.#slope });
      // Each branch writes its channels of the whole; the final ReLU is the same for every element, so it is fused.
      const branch = (layer: ConvBn, input: Tensor, start: number, count: number) =>
        layer.forward(input, { slope: 0, ...(whole && { into: whole.channels(start, count) }) });
      return concat(
        [
          branch(this.#three, x, 0, 2 * quarter),
          branch(this.#five, shared, 2 * quarter, quarter),
          branch(this.#seven, inner, 3 * quarter, quarter),
        ],
        3,
      );
    });
  }
}
