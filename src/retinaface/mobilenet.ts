import { ConvBn } from '../nn/conv_bn.js';
import type { ParameterList } from '../nn/parameter.js';
import { scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import type { Backbone } from './backbone.js';

/** The leak of MobileNet's activations in the published networks. */
const SLOPE = 0.1;

/** Output channels and stride of the depthwise blocks of each stage, at a quarter of MobileNetV1's width. */
const STAGES: readonly (readonly (readonly [out: number, stride: number])[])[] = [
  [
    [16, 1],
    [32, 2],
    [32, 1],
    [64, 2],
    [64, 1],
  ],
  [
    [128, 2],
    [128, 1],
    [128, 1],
    [128, 1],
    [128, 1],
    [128, 1],
  ],
  [
    [256, 2],
    [256, 1],
  ],
];

/** Depthwise 3×3 and pointwise 1×1, each a ConvBn with a leaky ReLU (Howard et al. 2017). */
class DepthwiseSeparable {
  readonly #depthwise: ConvBn;
  readonly #pointwise: ConvBn;

  constructor(parameters: ParameterList, layers: ConvBn[], name: string, cin: number, out: number, stride: number) {
    this.#depthwise = new ConvBn(parameters, {
      conv: `${name}.0`,
      norm: `${name}.1`,
      in: cin,
      out: cin,
      kernel: 3,
      stride,
      depthwise: true,
    });
    this.#pointwise = new ConvBn(parameters, { conv: `${name}.3`, norm: `${name}.4`, in: cin, out, kernel: 1 });
    layers.push(this.#depthwise, this.#pointwise);
  }

  forward(x: Tensor): Tensor {
    using filtered = this.#depthwise.forward(x, { slope: SLOPE });
    return this.#pointwise.forward(filtered, { slope: SLOPE });
  }
}

/** MobileNetV1 ×0.25 without its classifier: maps of strides 8, 16 and 32 with 64, 128 and 256 channels. */
export class MobileNet implements Backbone {
  readonly channels = [64, 128, 256] as const;
  readonly #stem: ConvBn;
  readonly #stages: readonly (readonly DepthwiseSeparable[])[];

  constructor(parameters: ParameterList, layers: ConvBn[]) {
    this.#stem = new ConvBn(parameters, {
      conv: 'body.stage1.0.0',
      norm: 'body.stage1.0.1',
      in: 3,
      out: 8,
      kernel: 3,
      stride: 2,
    });
    layers.push(this.#stem);
    let cin = 8;
    this.#stages = STAGES.map((blocks, s) =>
      blocks.map(([out, stride], b) => {
        // The stem is block 0 of the first stage.
        const name = `body.stage${s + 1}.${s === 0 ? b + 1 : b}`;
        const block = new DepthwiseSeparable(parameters, layers, name, cin, out, stride);
        cin = out;
        return block;
      }),
    );
  }

  forward(x: Tensor): readonly Tensor[] {
    return scope(() => {
      let current = this.#stem.forward(x, { slope: SLOPE });
      return this.#stages.map((blocks) => {
        for (const [index, block] of blocks.entries()) {
          const next = block.forward(current);
          // The last map of a stage is an output; those inside one are not needed again.
          if (index > 0 || blocks === this.#stages[0]) current.dispose();
          current = next;
        }
        return current;
      });
    });
  }
}
