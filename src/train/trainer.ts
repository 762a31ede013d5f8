import { checking } from '../autograd/check_finite.js';
import { checkOptions } from '../gpu/arguments.js';
import { Tape } from '../autograd/tape.js';
import { AnchorCache } from '../detect/anchor_cache.js';
import { type FaceTargets, targetSizes } from '../detect/match.js';
import { DeviceLostError, DeviceMismatchError } from '../gpu/errors.js';
import { add } from '../ops/add.js';
import { concat } from '../ops/concat.js';
import { contiguous, copyRows } from '../ops/layout.js';
import { reshape } from '../ops/reshape.js';
import {
  countAnchors,
  type LossOptions,
  multiboxLoss,
  PUBLISHED_LOSS,
  REPORT_CASCADE_LOSS,
  REPORT_LOSS,
} from '../retinaface/loss.js';
import type { Configuration } from '../retinaface/config.js';
import type { Network } from '../retinaface/network.js';
import { scope } from '../tensor/scope.js';
import { Plans } from '../tensor/plans.js';
import type { Shape } from '../tensor/shape.js';
import { Tensor } from '../tensor/tensor.js';
import { Sgd, type SgdOptions, type SgdParameter } from './sgd.js';

/** Normalised pictures [n, h, w, 4] and the faces on them, in pixels of that size. */
export interface TrainingBatch {
  readonly x: Tensor;
  readonly targets: FaceTargets;
}

/** Frees a batch. */
export function freeBatch({ x, targets: { boxes, landmarks, annotated, counts } }: TrainingBatch): void {
  for (const tensor of [x, boxes, landmarks, annotated, counts]) tensor.dispose();
}

/** Shapes of steps that are kept as plans: whole ones, and the last of an epoch. */
const KEPT_PLANS = 4;
const LEAST_FACES = 8;

function tensorsOf({ x, targets: { boxes, landmarks, annotated, counts } }: TrainingBatch): readonly Tensor[] {
  return [x, boxes, landmarks, annotated, counts];
}

function batchOf([x, boxes, landmarks, annotated, counts]: readonly Tensor[]): TrainingBatch {
  return {
    x: x!,
    targets: { boxes: boxes!, landmarks: landmarks!, annotated: annotated!, counts: counts as Tensor<'u32'> },
  };
}

/**
 * The shape of a target in a plan: room for more faces than there are, in few sizes, so that steps with other numbers of
 * faces share a plan. `counts` tells how many are faces.
 */
function roomy([n = 0, faces, ...rest]: Shape): Shape {
  if (faces === undefined) return [n];
  return [n, Math.max(LEAST_FACES, 2 ** Math.ceil(Math.log2(Math.max(1, faces)))), ...rest];
}

/** Copies every image's elements to the beginning of its own in a tensor that has room for more. */
function copyInto(from: Tensor, to: Tensor): void {
  if (from.gpu !== to.gpu) {
    throw new DeviceMismatchError({
      operation: 'accumulate',
      expected: "a batch on the network's device",
      got: `${from.label} on another device`,
      remedy: 'Make the pictures and the targets with the device of the model.',
    });
  }
  scope(() => {
    const images = from.shape[0] ?? 0;
    const tensor = contiguous(from);
    if (from.size === to.size) to.gpu.copy(tensor.buffer, to.buffer, to.size * 4);
    else {
      const [width, room] = [from.size / images, to.size / images];
      // A count over the rows that were given must not take what this memory held before for faces.
      to.gpu.clear(to.buffer);
      copyRows({ tensor, pitch: width, offset: 0 }, { tensor: to, pitch: room, offset: 0 }, images, width);
    }
  });
}

/** How a network is taught; `allReduce` is where processes that train together exchange their gradients. */
export interface TrainerOptions extends SgdOptions {
  /** How the heads are matched and weighed; by default the family's own. */
  readonly loss?: LossOptions;
  /** The same for the cascade's second heads. */
  readonly cascadeLoss?: LossOptions;
  /** Batch norms keep to their running statistics. */
  readonly frozenStatistics?: boolean;
  /** Times the learning rate, for the convolutions that place the taps of deformable ones; 0.1 by default. */
  readonly offsetRate?: number;
}

/** The losses of one part of a step, each a mean over its pictures; of both heads where there is a cascade. */
export interface Losses {
  readonly class: number;
  readonly box: number;
  readonly landmark: number;
  readonly total: number;
}

/** For the first and the second heads, how many anchors of each image [n, 3] take part in which loss. */
interface Counts {
  readonly first: Tensor<'u32'>;
  readonly second: Tensor<'u32'>;
}

/** The loss of a configuration's family: the published checkpoints' or the report's. */
export function defaultLoss({ pyramid }: Configuration): LossOptions {
  return pyramid === 'published' ? PUBLISHED_LOSS : REPORT_LOSS;
}

/**
 * Forward, loss, backward and update of one network. Everything is encoded for the device and nothing read from it; the
 * losses come back as a tensor, to be read when it suits the caller.
 *
 * ```ts
 * using trainer = new Trainer(model.network);
 * const losses = trainer.accumulate({ x, targets });
 * trainer.step(0.001);
 * console.log(await trainer.read(losses));
 * ```
 */
export class Trainer implements Disposable {
  readonly network: Network;
  readonly optimiser: Sgd;
  readonly #loss: LossOptions;
  readonly #cascadeLoss: LossOptions;
  readonly #frozenStatistics: boolean;
  readonly #tape: Tape;
  /** What `accumulate` encodes, by the shapes of its parts; the note tells which parameters have a gradient. */
  readonly #plans: Plans<readonly boolean[]>;
  readonly #anchors: AnchorCache;

  /** Takes the parameters that are not frozen at this time. */
  constructor(network: Network, options: TrainerOptions = {}) {
    checkOptions('new Trainer', options, {
      loss: 'object',
      cascadeLoss: 'object',
      frozenStatistics: 'boolean',
      offsetRate: 'number',
      momentum: 'number',
      weightDecay: 'number',
      clipNorm: 'number',
      bucketBytes: 'number',
      allReduce: 'function',
    });
    const { loss, cascadeLoss, frozenStatistics = false, offsetRate = 0.1, ...sgd } = options;
    const { gpu } = network.parameters;
    this.network = network;
    this.#loss = loss ?? defaultLoss(network.configuration);
    this.#cascadeLoss = cascadeLoss ?? REPORT_CASCADE_LOSS;
    this.#frozenStatistics = frozenStatistics;
    const parameters: SgdParameter[] = [...network.parameters.learning()].map(({ name, tensor }) => ({
      name,
      value: tensor,
      ...(name.includes('.offset.') ? { rateMultiplier: offsetRate } : {}),
    }));
    this.optimiser = new Sgd(gpu, parameters, sgd);
    this.#tape = new Tape(gpu);
    this.#plans = new Plans(gpu, KEPT_PLANS);
    this.#anchors = new AnchorCache(gpu, network.configuration.levels);
    for (const { value } of parameters) this.#tape.watch(value);
    this.resume();
  }

  /** Back into training after inference has been asked of the network. */
  resume(): void {
    this.#plans.clear();
    this.network.train(true, { frozenStatistics: this.#frozenStatistics });
  }

  /**
   * Adds the gradients of a step: of one batch, or of the parts of one that does not fit the device at once. Parts are
   * normalised together, so that their sum is the whole's, but for batch norms, which see one part at a time. For a cascade
   * that takes another forward pass of each part. Answers [4]: class, box, landmark and total loss, owned by the caller.
   */
  accumulate(step: TrainingBatch | readonly TrainingBatch[]): Tensor {
    const parts = 'x' in step ? [step] : step;
    const given = parts.flatMap(tensorsOf);
    for (const { x, targets } of parts) targetSizes('accumulate', this.#anchorsOf(x), targets);
    const planned = {
      inputs: given.map(({ shape, dtype, label }, i) => ({ shape: i % 5 === 0 ? shape : roomy(shape), dtype, label })),
      fill: (inputs: readonly Tensor[]) => {
        for (const [i, input] of inputs.entries()) copyInto(given[i]!, input);
      },
      compute: (inputs: readonly Tensor[]) => {
        const losses = this.#accumulate(parts.map((_, part) => batchOf(inputs.slice(5 * part, 5 * part + 5))));
        return { outputs: [losses], note: [...this.optimiser.accumulated] };
      },
    };
    const key = `${this.network.training} ${planned.inputs.map(({ shape, dtype }) => `${shape.join('×')} ${dtype}`).join(', ')}`;
    // A plan begins with empty buckets; who looks at single results wants them computed one by one.
    const plain = checking() || this.optimiser.accumulated.includes(true);
    const before = [...this.optimiser.accumulated];
    try {
      const { outputs, note } = plain ? this.#plans.direct(planned) : this.#plans.run(key, planned);
      this.optimiser.setAccumulated(note);
      return outputs[0]!;
    } catch (error) {
      // Of a part that was begun, nothing counts as added.
      this.optimiser.setAccumulated(before, before.includes(true));
      throw error;
    }
  }

  #accumulate(parts: readonly TrainingBatch[]): Tensor {
    return scope(() => {
      const over = parts.length > 1 ? this.#count(parts) : undefined;
      const losses = parts.map((batch) =>
        scope(() => {
          const { total, parts: three } = this.#tape.record(() => scope(() => this.#losses(batch, over)));
          this.#tape.backward(total);
          this.optimiser.accumulate(({ value }) => this.#tape.gradient(value));
          this.#tape.release();
          return concat([three, reshape(total, [1])], 0);
        }),
      );
      return losses.reduce((sum, part) => add(sum, part));
    });
  }

  /** What was accumulated for a parameter since the last step, or in the last one: the trainer's own. */
  gradient(parameter: Tensor): Tensor | undefined {
    return this.optimiser.gradient(parameter);
  }

  /** Updates the parameters with what was accumulated. */
  step(learningRate: number): void {
    this.optimiser.step(learningRate);
  }

  /** Reads the losses of a step, and frees them. */
  async read(losses: Tensor): Promise<Losses> {
    const [classLoss = NaN, box = NaN, landmark = NaN, total = NaN] = await losses.read();
    losses.dispose();
    return { class: classLoss, box, landmark, total };
  }

  /** Frees the optimiser and leaves the network in inference; the network lives on. */
  dispose(): void {
    this.#plans.dispose();
    this.#tape.dispose();
    this.optimiser.dispose();
    this.#anchors.dispose();
    try {
      this.network.train(false);
    } catch (error) {
      // Disposal ends what has failed, too: on a lost device there is nothing to prepare, and the next use is told.
      if (!(error instanceof DeviceLostError)) throw error;
    }
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #losses({ x, targets }: TrainingBatch, over: Counts | undefined): { readonly total: Tensor; readonly parts: Tensor } {
    const { variances } = this.network.configuration;
    const anchors = this.#anchorsOf(x);
    const { first, second, refined } = this.network.forward(x, anchors);
    const own = multiboxLoss(first, anchors, targets, { ...this.#loss, variances }, over?.first);
    if (!second || !refined) return { total: own.total, parts: own.parts };
    const cascade = multiboxLoss(second, refined, targets, { ...this.#cascadeLoss, variances }, over?.second);
    return { total: add(own.total, cascade.total), parts: add(own.parts, cascade.parts) };
  }

  /** What all parts of a step take part with. */
  #count(parts: readonly TrainingBatch[]): Counts {
    const { network } = this;
    const { gpu } = network.parameters;
    const { variances, cascade } = network.configuration;
    const images = parts.reduce((sum, { x }) => sum + (x.shape[0] ?? 0), 0);
    const [first, second] = [1, 2].map(() =>
      Tensor.empty(gpu, [images, 3], { dtype: 'u32', label: 'counts of a step' }),
    );
    let row = 0;
    for (const { x, targets } of parts) {
      const anchors = this.#anchorsOf(x);
      countAnchors(anchors, targets, { ...this.#loss, variances }, { counts: first!, first: row });
      if (cascade) {
        scope(() => {
          const { refined } = network.still(() => network.forward(x, anchors));
          countAnchors(refined!, targets, { ...this.#cascadeLoss, variances }, { counts: second!, first: row });
        });
      }
      row += x.shape[0] ?? 0;
    }
    return { first: first!, second: second! };
  }

  #anchorsOf({ shape: [, height = 0, width = 0] }: Tensor): Tensor<'f32'> {
    return this.#anchors.of(width, height);
  }
}
