import { decodeBoxes } from '../detect/boxes.js';
import type { Gpu } from '../gpu/gpu.js';
import { type ConvBn, STATISTICS_MOMENTUM } from '../nn/conv_bn.js';
import { constant, kaimingNormal, xavierUniform } from '../nn/initialise.js';
import { ParameterList, type Precision } from '../nn/parameter.js';
import { CounterRandom } from '../tensor/random.js';
import { scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import type { Backbone } from './backbone.js';
import { anchorsPerCell, type Configuration } from './config.js';
import { ContextModule } from './context.js';
import { type HeadOutputs, Heads } from './heads.js';
import { MobileNet } from './mobilenet.js';
import { Pyramid } from './pyramid.js';
import { ResNet50 } from './resnet50.js';

/** Feature maps and outputs of one pass, for tests and for those who build on the network. */
export interface NetworkOutputs {
  /** Outputs of the backbone that feed the pyramid, finest first. */
  readonly backbone: readonly Tensor[];
  readonly pyramid: readonly Tensor[];
  /** What the heads see: outputs of the context modules, or the pyramid itself. */
  readonly features: readonly Tensor[];
  /** The first heads, whose anchors are the fixed ones. */
  readonly first: HeadOutputs;
  /** The cascade's second heads, whose anchors are `refined`. */
  readonly second: HeadOutputs | undefined;
  /** [n, anchors, 4] as (cx, cy, w, h): decoded boxes of the first heads. */
  readonly refined: Tensor | undefined;
}

/** The network of one configuration: backbone, pyramid, context modules, heads, cascade. */
export class Network {
  readonly configuration: Configuration;
  readonly parameters: ParameterList;
  readonly #layers: ConvBn[] = [];
  readonly #backbone: Backbone;
  readonly #pyramid: Pyramid;
  readonly #context: readonly ContextModule[];
  readonly #heads: Heads;
  readonly #cascade: Heads | undefined;
  #training = false;

  /** `precision`: f16 is for inference alone. */
  constructor(gpu: Gpu, configuration: Configuration, precision?: Precision) {
    const { backbone, width, pyramid, channels, slope, levels, context, deformable, landmarks, cascade } =
      configuration;
    this.configuration = configuration;
    const parameters = (this.parameters = new ParameterList(gpu, precision));
    const layers = this.#layers;
    this.#backbone =
      backbone === 'resnet50' ? new ResNet50(parameters, layers, width) : new MobileNet(parameters, layers);
    const inputs = this.#backbone.channels;
    // Names count levels by their stride 2^k in the report family, from 1 in the published one.
    const report = pyramid === 'report';
    this.#pyramid = new Pyramid(parameters, layers, {
      channels,
      slope,
      deformable,
      ...(report
        ? {
            inputs,
            lateral: inputs.map((_, level) => `fpn.lateral${level + 2}`),
            merge: inputs.slice(1).map((_, level) => `fpn.merge${level + 2}`),
            extra: 'fpn.extra6',
          }
        : {
            inputs: inputs.slice(-3),
            lateral: ['fpn.output1', 'fpn.output2', 'fpn.output3'],
            merge: ['fpn.merge1', 'fpn.merge2'],
          }),
    });
    this.#context = context
      ? levels.map((_, level) => {
          const name = `ssh${level + (report ? 2 : 1)}`;
          return new ContextModule(parameters, layers, name, { channels, slope, deformable });
        })
      : [];
    const heads = { levels: levels.length, channels, anchors: anchorsPerCell(configuration), landmarks };
    this.#heads = new Heads(parameters, { prefix: '', ...heads });
    this.#cascade = cascade ? new Heads(parameters, { prefix: 'cascade.', ...heads }) : undefined;
  }

  /**
   * Draws all parameters anew, each from the seed and its place alone: convolutions of the backbone by Kaiming's rule,
   * all others by Xavier's (report §3.5), batch norms as the identity, biases 0. What places the taps of deformable
   * convolutions is 0, so that they begin as ordinary ones.
   */
  initialise(seed: number): void {
    const backbone = kaimingNormal('out', this.configuration.backbone === 'resnet50' ? 0 : this.configuration.slope);
    for (const [index, parameter] of [...this.parameters].entries()) {
      const { name, shape } = parameter;
      const convolution = shape.length === 4 && !name.includes('.offset.');
      const one = name.endsWith('.running_var') || (name.endsWith('.weight') && shape.length === 1);
      const draw = convolution ? (name.startsWith('body.') ? backbone : xavierUniform) : constant(one ? 1 : 0);
      parameter.write(draw(shape, new CounterRandom([seed, index])));
    }
    this.fold();
  }

  /** True while `forward` normalises by the batch and can be recorded; false, the default, for inference. */
  get training(): boolean {
    return this.#training;
  }

  /**
   * Enters or leaves training. `frozenStatistics`: batch norms keep to their running statistics. Leaving folds the
   * parameters, so that inference sees them as they are.
   */
  train(training: boolean, options: { readonly frozenStatistics?: boolean } = {}): void {
    this.#training = training;
    for (const layer of this.#layers) {
      layer.training = training;
      layer.frozenStatistics = options.frozenStatistics === true;
      // What was folded is for inference, and changes with every step.
      if (training) layer.dispose();
    }
    if (!training) this.fold();
  }

  /**
   * What `pass` answers, in training, where batches have another share than a tenth in the running statistics: 0 leaves these as
   * they are, 1 leaves nothing of what they were.
   */
  moving<T>(share: number, pass: () => T): T {
    const set = (momentum: number): void => {
      for (const layer of this.#layers) layer.momentum = momentum;
    };
    set(share);
    try {
      return pass();
    } finally {
      set(STATISTICS_MOMENTUM);
    }
  }

  /** Prepares inference after the parameters have changed: folds batch norms, joins the heads of each level. */
  fold(): void {
    for (const layer of this.#layers) layer.fold();
    this.#heads.fold();
    this.#cascade?.fold();
  }

  /**
   * One pass. `x` [n, h, w, 4]: normalised pictures; `anchors` [anchors, 4] of that size as (cx, cy, w, h).
   * All maps of the answer live until the caller frees them; `detect` frees each as soon as it can.
   */
  forward(x: Tensor, anchors: Tensor): NetworkOutputs {
    return scope(() => {
      const backbone = this.#maps(x);
      const pyramid = this.#pyramid.forward(backbone);
      const features = this.#contextOf(pyramid);
      return { backbone, pyramid, features, ...this.#outputs(features, anchors) };
    });
  }

  /** The outputs that count, and the anchors that they are relative to: those of the cascade where there is one. */
  infer(x: Tensor, anchors: Tensor): { readonly outputs: HeadOutputs; readonly anchors: Tensor } {
    return scope(() => {
      const maps = this.#maps(x);
      const pyramid = this.#pyramid.forward(maps);
      for (const map of maps) map.dispose();
      const features = this.#contextOf(pyramid);
      const { first, second, refined } = this.#outputs(features, anchors);
      return { outputs: second ?? first, anchors: refined ?? anchors.alias() };
    });
  }

  dispose(): void {
    for (const layer of this.#layers) layer.dispose();
    this.#heads.dispose();
    this.#cascade?.dispose();
    this.parameters.dispose();
  }

  #maps(x: Tensor): readonly Tensor[] {
    const maps = this.#backbone.forward(x);
    const wanted = this.configuration.pyramid === 'report' ? maps.length : 3;
    for (const map of maps.slice(0, -wanted)) map.dispose();
    return maps.slice(-wanted);
  }

  #contextOf(pyramid: readonly Tensor[]): readonly Tensor[] {
    if (this.#context.length === 0) return pyramid;
    return pyramid.map((map, level) => this.#context[level]!.forward(map));
  }

  #outputs(features: readonly Tensor[], anchors: Tensor) {
    const first = this.#heads.forward(features, this.#training);
    if (!this.#cascade) return { first, second: undefined, refined: undefined };
    const refined = decodeBoxes(first.boxes, anchors, { variances: this.configuration.variances });
    return { first, second: this.#cascade.forward(features, this.#training), refined };
  }
}
