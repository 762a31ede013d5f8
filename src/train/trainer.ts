import { checking } from '../autograd/check_finite.js';
import { checkOptions, describe } from '../gpu/arguments.js';
import { Tape } from '../autograd/tape.js';
import { AnchorCache } from '../detect/anchor_cache.js';
import { type FaceTargets, targetSizes } from '../detect/match.js';
import { ArgumentError, DeviceLostError, DeviceMismatchError } from '../gpu/errors.js';
import { add } from '../ops/add.js';
import { concat } from '../ops/concat.js';
import { contiguous } from '../ops/layout.js';
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
import { Network } from '../retinaface/network.js';
import { copyRows } from '../tensor/copy_rows.js';
import { scope } from '../tensor/scope.js';
import { type PlanResult, Plans } from '../tensor/plans.js';
import type { Shape } from '../tensor/shape.js';
import { Tensor } from '../tensor/tensor.js';
import { gatherCounts, gatherNumbers, OrderedSum, type Ranks } from './ranks.js';
import { RunningStatistics } from './running_statistics.js';
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

/** How a network is taught. */
export interface TrainerOptions extends SgdOptions {
  /** How the heads are matched and weighed; by default the family's own. */
  readonly loss?: LossOptions;
  /** The same for the cascade's second heads. */
  readonly cascadeLoss?: LossOptions;
  /** Batch norms keep to their running statistics. */
  readonly frozenStatistics?: boolean;
  /** Times the learning rate, for the convolutions that place the taps of deformable ones; 0.1 by default. */
  readonly offsetRate?: number;
  /** The processes that train this network together, for `accumulateTogether`. */
  readonly ranks?: Ranks;
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

/** Bytes of gradients that are read, summed over ranks and written in one piece, while the next one is read. */
const PIECE = 16 * 2 ** 20;

/** Losses of a part: class, box, landmark and total. */
const LOSSES = 4;

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
  /** The processes that train this network together. */
  readonly ranks: Ranks | undefined;
  readonly #loss: LossOptions;
  readonly #cascadeLoss: LossOptions;
  readonly #frozenStatistics: boolean;
  readonly #tape: Tape;
  /** What `accumulate` encodes, by the shapes of its parts; the note tells which parameters have a gradient. */
  readonly #plans: Plans<readonly boolean[]>;
  readonly #anchors: AnchorCache;
  /** Where ranks hand round statistics of batches. */
  readonly #statistics: RunningStatistics | undefined;

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
      ranks: 'object',
      bucketBytes: 'number',
    });
    if (!(network instanceof Network)) {
      throw new ArgumentError({
        operation: 'new Trainer',
        expected: 'the network of a model',
        got: describe(network),
        remedy: 'Write new Trainer(model.network).',
      });
    }
    const { loss, cascadeLoss, frozenStatistics = false, offsetRate = 0.1, ranks, ...sgd } = options;
    const { gpu, precision } = network.parameters;
    if (precision !== 'f32') {
      throw new ArgumentError({
        operation: 'new Trainer',
        expected: 'a network of f32',
        got: `one of ${precision}`,
        remedy: 'Make the model without a precision.',
      });
    }
    this.network = network;
    this.#loss = loss ?? defaultLoss(network.configuration);
    this.#cascadeLoss = cascadeLoss ?? REPORT_CASCADE_LOSS;
    this.#frozenStatistics = frozenStatistics;
    const parameters: SgdParameter[] = [...network.parameters.learning()].map(({ name, tensor }) => ({
      name,
      value: tensor as Tensor<'f32'>,
      ...(name.includes('.offset.') ? { rateMultiplier: offsetRate } : {}),
    }));
    this.optimiser = new Sgd(gpu, parameters, sgd);
    this.#tape = new Tape(gpu);
    this.#plans = new Plans(gpu, ranks ? 2 * KEPT_PLANS : KEPT_PLANS);
    this.#anchors = new AnchorCache(gpu, network.configuration.levels);
    this.ranks = ranks;
    this.#statistics = ranks && !frozenStatistics ? new RunningStatistics(network.parameters) : undefined;
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
    const parts = Array.isArray(step) ? (step as readonly TrainingBatch[]) : [step as TrainingBatch];
    for (const part of parts) {
      checkOptions('accumulate', part, { x: 'tensor!', targets: 'object!' });
      targetSizes('accumulate', this.#anchorsOf(part.x), part.targets);
    }
    const before = [...this.optimiser.accumulated];
    try {
      const { outputs, note } = this.#planned('step', parts, [], (inputs) => [this.#accumulate(inputs)]);
      this.optimiser.setAccumulated(note);
      return outputs[0]!;
    } catch (error) {
      // Of a part that was begun, nothing counts as added.
      this.optimiser.setAccumulated(before, before.includes(true));
      throw error;
    }
  }

  /** What `compute` encodes for parts of these shapes, and for other tensors of theirs, kept as a plan. */
  #planned(
    name: string,
    parts: readonly TrainingBatch[],
    others: readonly Tensor[],
    compute: (parts: readonly TrainingBatch[], others: readonly Tensor[]) => readonly Tensor[],
  ): PlanResult<readonly boolean[]> {
    const targets = 5 * parts.length;
    const given = [...parts.flatMap(tensorsOf), ...others];
    const planned = {
      inputs: given.map(({ shape, dtype, label }, i) => ({
        shape: i % 5 === 0 || i >= targets ? shape : roomy(shape),
        dtype,
        label,
      })),
      fill: (inputs: readonly Tensor[]) => {
        for (const [i, input] of inputs.entries()) copyInto(given[i]!, input);
      },
      compute: (inputs: readonly Tensor[]) => {
        const batches = parts.map((_, part) => batchOf(inputs.slice(5 * part, 5 * part + 5)));
        const outputs = compute(batches, inputs.slice(targets));
        return { outputs, note: [...this.optimiser.accumulated] };
      },
    };
    const key = `${name} ${this.network.training} ${planned.inputs.map(({ shape, dtype }) => `${shape.join('×')} ${dtype}`).join(', ')}`;
    // A plan begins with empty buckets; who looks at single results wants them computed one by one.
    const plain = checking() || this.optimiser.accumulated.includes(true);
    return plain ? this.#plans.direct(planned) : this.#plans.run(key, planned);
  }

  #accumulate(parts: readonly TrainingBatch[]): Tensor {
    return scope(() => {
      const over = parts.length > 1 ? this.#count(parts) : undefined;
      return parts.map((batch) => this.#part(batch, over)).reduce((sum, part) => add(sum, part));
    });
  }

  /** Adds the gradients of one part of a step; answers its losses [4]. */
  #part(batch: TrainingBatch, over: Counts | undefined): Tensor {
    return scope(() => {
      const { total, parts: three } = this.#tape.record(() => scope(() => this.#losses(batch, over)));
      this.#tape.backward(total, this.optimiser.places());
      this.optimiser.accumulate(({ value }) => this.#tape.gradient(value));
      this.#tape.release();
      return concat([three, reshape(total, [1])], 0);
    });
  }

  /**
   * The same over all ranks that the trainer was made with: `parts` are this rank's of a step, number k of rank r being
   * number `k·size + r` of the whole, as many in each rank. Losses, gradients and running statistics are those of `accumulate`
   * with all parts in that order, to the bit; every rank answers the same losses. Sums are exchanged while the next part runs.
   * Without ranks it is `accumulate`.
   */
  async accumulateTogether(parts: readonly TrainingBatch[]): Promise<Tensor> {
    const { ranks } = this;
    if (!ranks) return this.accumulate(parts);
    for (const { x, targets } of parts) targetSizes('accumulateTogether', this.#anchorsOf(x), targets);
    const { gpu } = this.network.parameters;
    const statistics = this.#statistics;
    const { buckets } = this.optimiser;
    const pieces = buckets.flatMap((bucket) => {
      const bytes = bucket.size * 4;
      return Array.from({ length: Math.ceil(bytes / PIECE) }, (_, i) => {
        const [from, to] = [i * PIECE, Math.min(bytes, (i + 1) * PIECE)];
        return { bucket, from, bytes: to - from, sum: new OrderedSum(ranks, (to - from) / 4) };
      });
    });
    const before = [...this.optimiser.accumulated];
    const over = await this.#countTogether(ranks, parts);
    statistics?.begin();
    let added: readonly boolean[] = before;
    try {
      /** Losses, and statistics of the norms, of every part of the step. */
      const numbers: Float32Array[] = [];
      const exchange = async (
        own: Promise<Float32Array>,
        gradients: readonly Promise<ArrayBuffer>[],
      ): Promise<void> => {
        numbers.push(...(await gatherNumbers(ranks, await own)));
        for (const [i, { sum }] of pieces.entries()) await sum.add(new Float32Array(await gradients[i]!));
      };
      let exchanged = Promise.resolve();
      for (const part of parts) {
        this.optimiser.setAccumulated(before.map(() => false));
        const { outputs, note } = this.#partOf(part, over);
        added = note;
        const reads = [
          outputs[0]!.read(),
          ...pieces.map(({ bucket, from, bytes }) => gpu.read(bucket.buffer, bytes, from)),
        ];
        outputs[0]!.dispose();
        for (const read of reads) read.catch(() => undefined);
        // Of two parts at most is anything in memory.
        await exchanged;
        const [own, ...gradients] = reads as [Promise<Float32Array>, ...Promise<ArrayBuffer>[]];
        exchanged = exchange(own, gradients);
        exchanged.catch(() => undefined);
      }
      await exchanged;
      for (const { bucket, from, sum } of pieces) gpu.upload(bucket.buffer, await sum.end(), from);
      statistics?.moved(numbers.map((part) => part.subarray(LOSSES)));
      this.optimiser.setAccumulated(added);
      const losses = numbers.map((part) => part.slice(0, LOSSES));
      const total = losses.reduce((sum, part) => sum.map((value, i) => value + part[i]!));
      return Tensor.from(gpu, total, [LOSSES], 'losses');
    } catch (error) {
      this.optimiser.setAccumulated(before, before.includes(true));
      statistics?.restore();
      throw error;
    } finally {
      over.first.dispose();
      over.second.dispose();
    }
  }

  /** One part of this rank: its losses with what its norms saw behind them, and its gradients alone in the buckets. */
  #partOf(
    part: TrainingBatch,
    over: Counts,
  ): { readonly outputs: readonly Tensor[]; readonly note: readonly boolean[] } {
    const statistics = this.#statistics;
    return this.#planned('part', [part], [over.first, over.second], ([batch], others) => {
      const [first, second] = others as [Tensor<'u32'>, Tensor<'u32'>];
      const pass = (): Tensor => this.#part(batch!, { first, second });
      if (!statistics) return [pass()];
      statistics.clear();
      using losses = this.network.moving(1, pass);
      return [concat([losses, ...statistics.tensors], 0)];
    });
  }

  /** What all parts of a step of all ranks take part with. */
  async #countTogether(ranks: Ranks, parts: readonly TrainingBatch[]): Promise<Counts> {
    const { outputs } = this.#planned('count', parts, [], (inputs) => {
      const { first, second } = this.#count(inputs);
      return [first, second];
    });
    const heads = outputs as readonly Tensor<'u32'>[];
    try {
      const [first, second] = await Promise.all(heads.map((counts) => counts.read()));
      // One after the other: ranks exchange in one order.
      const all = [await gatherCounts(ranks, first!), await gatherCounts(ranks, second!)] as const;
      const [one, two] = all.map((counts) =>
        Tensor.from(this.network.parameters.gpu, counts, [counts.length / 3, 3], 'counts of a step'),
      );
      return { first: one!, second: two! };
    } finally {
      for (const counts of heads) counts.dispose();
    }
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
    this.#statistics?.dispose();
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
          const { refined } = network.moving(0, () => network.forward(x, anchors));
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
