import { ConvBn } from '../nn/conv_bn.js';
import type { ParameterList } from '../nn/parameter.js';
import { maxPool2d } from '../ops/max_pool2d.js';
import { scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import type { Backbone } from './backbone.js';

/** Blocks and inner channels of the four stages, at width 1. */
const STAGES: readonly (readonly [blocks: number, width: number])[] = [
  [3, 64],
  [4, 128],
  [6, 256],
  [3, 512],
];
const EXPANSION = 4;
/** Output channels of the stem, at width 1. */
const STEM = 64;

/** 1×1, 3×3, 1×1 around a shortcut (He et al. 2015), the stride on the 3×3 as in torchvision's v1.5. */
class Bottleneck {
  readonly #reduce: ConvBn;
  readonly #filter: ConvBn;
  readonly #expand: ConvBn;
  readonly #shortcut: ConvBn | undefined;

  constructor(parameters: ParameterList, layers: ConvBn[], name: string, cin: number, width: number, stride: number) {
    const out = width * EXPANSION;
    const layer = (
      conv: string,
      norm: string,
      options: { in: number; out: number; kernel: number; stride?: number },
    ) => {
      const made = new ConvBn(parameters, { conv: `${name}.${conv}`, norm: `${name}.${norm}`, ...options });
      layers.push(made);
      return made;
    };
    this.#reduce = layer('conv1', 'bn1', { in: cin, out: width, kernel: 1 });
    this.#filter = layer('conv2', 'bn2', { in: width, out: width, kernel: 3, stride });
    this.#expand = layer('conv3', 'bn3', { in: width, out, kernel: 1 });
    if (stride !== 1 || cin !== out) {
      this.#shortcut = layer('downsample.0', 'downsample.1', { in: cin, out, kernel: 1, stride });
    }
  }

  forward(x: Tensor): Tensor {
    using reduced = this.#reduce.forward(x, { slope: 0 });
    using filtered = this.#filter.forward(reduced, { slope: 0 });
    using shortcut = this.#shortcut?.forward(x);
    return this.#expand.forward(filtered, { residual: shortcut ?? x, slope: 0 });
  }
}

/** ResNet-50 without its classifier: C2 to C5, strides 4 to 32, with 256, 512, 1,024 and 2,048 channels times the width. */
export class ResNet50 implements Backbone {
  readonly channels: readonly number[];
  readonly #stem: ConvBn;
  readonly #stages: readonly (readonly Bottleneck[])[];

  /** `factor`: the width, times all channels but those of the picture. */
  constructor(parameters: ParameterList, layers: ConvBn[], factor = 1) {
    let cin = STEM * factor;
    this.#stem = new ConvBn(parameters, {
      conv: 'body.conv1',
      norm: 'body.bn1',
      in: 3,
      out: cin,
      kernel: 7,
      stride: 2,
    });
    layers.push(this.#stem);
    const stages = STAGES.map(([blocks, width]) => [blocks, width * factor] as const);
    this.channels = stages.map(([, width]) => width * EXPANSION);
    this.#stages = stages.map(([blocks, width], s) =>
      Array.from({ length: blocks }, (_, b) => {
        const stride = s > 0 && b === 0 ? 2 : 1;
        const block = new Bottleneck(parameters, layers, `body.layer${s + 1}.${b}`, cin, width, stride);
        cin = width * EXPANSION;
        return block;
      }),
    );
  }

  forward(x: Tensor): readonly Tensor[] {
    return scope(() => {
      const stem = this.#stem.forward(x, { slope: 0 });
      let current = maxPool2d(stem, { kernel: 3, stride: 2, padding: 1 });
      stem.dispose();
      return this.#stages.map((blocks, s) => {
        for (const [index, block] of blocks.entries()) {
          const next = block.forward(current);
          // The last map of a stage is an output; those inside one are not needed again.
          if (index > 0 || s === 0) current.dispose();
          current = next;
        }
        return current;
      });
    });
  }
}
