import { checkOptions, checkTensors } from '../gpu/arguments.js';
import { ArgumentError, WeightsError } from '../gpu/errors.js';
import type { Gpu } from '../gpu/gpu.js';
import { flatGrid } from '../gpu/grid.js';
import { sum } from '../ops/sum.js';
import { keep, scope } from '../tensor/scope.js';
import { formatShape, sameShape } from '../tensor/shape.js';
import { Tensor } from '../tensor/tensor.js';
import type { StateDict, StateTensor } from '../weights/state.js';
import { BLOCK, GradientBuckets, type Named, type Place } from './buckets.js';

/** What an optimiser changes, and how it differs from the rest. */
export interface SgdParameter extends Named {
  /** Times the learning rate; 1 by default. */
  readonly rateMultiplier?: number;
  /** Times the weight decay; 1 by default, 0 for none. */
  readonly decayMultiplier?: number;
}

export interface SgdOptions {
  /** From 0 up to, not including, 1; 0.9 by default. */
  readonly momentum?: number;
  /** 5e-4 by default. */
  readonly weightDecay?: number;
  /** The greatest norm of all gradients together; longer ones are scaled down to it. None by default. */
  readonly clipNorm?: number;
  /** Bytes of a bucket at most; the device's binding size by default. */
  readonly bucketBytes?: number;
}

/** Elements of which one workgroup sums the squares. */
const SUMMED = 16384;

/**
 * Stochastic gradient descent with momentum and weight decay, as torch.optim.SGD does it: `m ← momentum·m + g + decay·p`,
 * `p ← p − rate·m`. The values move into flat buckets when it is made, and one kernel per bucket updates all of them;
 * nothing is read from the device. A parameter without a gradient in a step is left untouched, decay included. A step
 * whose gradient holds NaN or infinity (or a norm over 1.8e19) changes nothing at all.
 *
 * ```ts
 * optimiser.accumulate((parameter) => tape.gradient(parameter.value));
 * optimiser.step(0.001);
 * ```
 */
export class Sgd implements Disposable {
  readonly #gpu: Gpu;
  readonly #parameters: readonly SgdParameter[];
  readonly #momentum: number;
  readonly #weightDecay: number;
  readonly #clipNorm: number;
  readonly #gradients: GradientBuckets;
  readonly #moments: readonly Tensor<'f32'>[];
  readonly #values: readonly Tensor<'f32'>[];
  /** Which parameter each block of 64 elements belongs to. */
  readonly #parameterOf: readonly Tensor<'u32'>[];
  /** Multipliers of every parameter, and whether it has a gradient. */
  readonly #table: Tensor<'f32'>;
  readonly #norm: Tensor<'f32'>;
  readonly #factor: Tensor<'f32'>;
  #inTable: readonly boolean[];
  #accumulated = false;

  /** @throws ArgumentError for options or multipliers out of their range, and for a name or a tensor given twice. */
  constructor(gpu: Gpu, parameters: readonly SgdParameter[], options: SgdOptions = {}) {
    checkOptions('Sgd', { gpu, parameters }, { gpu: 'object!', parameters: 'array!' });
    checkOptions('Sgd', options, {
      momentum: 'number',
      weightDecay: 'number',
      clipNorm: 'number',
      bucketBytes: 'number',
    });
    const { momentum = 0.9, weightDecay = 5e-4, clipNorm = 0, bucketBytes } = options;
    check('momentum', momentum, momentum >= 0 && momentum < 1, 'from 0 up to, not including, 1');
    check('weightDecay', weightDecay, weightDecay >= 0, 'of 0 or more');
    check('clipNorm', clipNorm, options.clipNorm === undefined || clipNorm > 0, 'above 0');
    const seen = new Set<string | number>();
    for (const { name, value, rateMultiplier = 1, decayMultiplier = 1 } of parameters) {
      checkTensors('Sgd', { [`value of ${name}`]: value });
      check(`rateMultiplier of ${name}`, rateMultiplier, rateMultiplier >= 0, 'of 0 or more');
      check(`decayMultiplier of ${name}`, decayMultiplier, decayMultiplier >= 0, 'of 0 or more');
      if (seen.has(name) || seen.has(value.id)) {
        throw new ArgumentError({
          operation: 'Sgd',
          expected: 'every parameter once',
          got: `${name} twice`,
          remedy: 'List each parameter once, under a name of its own.',
        });
      }
      seen.add(name).add(value.id);
    }

    this.#gpu = gpu;
    this.#parameters = parameters;
    this.#momentum = momentum;
    this.#weightDecay = weightDecay;
    this.#clipNorm = clipNorm;
    this.#gradients = new GradientBuckets(gpu, parameters, bucketBytes);
    const { layout } = this.#gradients;
    this.#moments = layout.zeros('momentum');
    this.#values = layout.zeros('values');
    const owners = layout.lengths.map((length) => new Uint32Array(length / BLOCK));
    for (const [index, { bucket, start, size }] of layout.places.entries()) {
      owners[bucket]!.fill(index, start / BLOCK, Math.ceil((start + size) / BLOCK));
      parameters[index]!.value.moveInto(this.#values[bucket]!, start);
    }
    this.#parameterOf = owners.map((owner) => keep(Tensor.from(gpu, owner, [owner.length], 'parameters of blocks')));
    this.#table = keep(Tensor.zeros(gpu, [parameters.length, 4], { label: 'multipliers' }));
    this.#inTable = parameters.map(() => false);
    this.#norm = keep(Tensor.zeros(gpu, [], { label: 'norm of the gradient' }));
    this.#factor = keep(Tensor.zeros(gpu, [], { label: 'factor that clips' }));
  }

  /**
   * Adds `scale` times the gradients of one part of a step. For the mean over k parts, call it k times with 1/k.
   * `gradientOf` answers undefined for a parameter without a gradient, as a tape does for one that it does not watch.
   */
  accumulate(gradientOf: (parameter: SgdParameter) => Tensor | undefined, scale = 1): void {
    for (const [index, parameter] of this.#parameters.entries()) {
      const gradient = gradientOf(parameter);
      if (gradient) this.#gradients.add(index, gradient, scale);
    }
    this.#accumulated = true;
  }

  /**
   * Where gradients may be written, by the ids of the parameters' tensors, before `accumulate` is given them, unscaled: those
   * that are the first of a step.
   */
  places(): Map<number, Tensor> {
    return this.#gradients.places();
  }

  /**
   * What is accumulated of all parameters, in flat tensors, the same layout in every process: the optimiser's own. What is
   * written there between the last `accumulate` and `step` is what the step takes.
   */
  get buckets(): readonly Tensor<'f32'>[] {
    return this.#gradients.tensors;
  }

  /** Which parameters have something accumulated since the last step; none of them before the first `accumulate`. */
  get accumulated(): readonly boolean[] {
    return this.#gradients.added;
  }

  /** Takes it that gradients of these were accumulated, by commands that a plan encoded; `ready`: that a step may follow. */
  setAccumulated(added: readonly boolean[], ready = true): void {
    this.#gradients.setAdded(added);
    this.#accumulated = ready;
  }

  /**
   * Updates all parameters with what was accumulated since the last step, at this learning rate.
   * @throws ArgumentError without an `accumulate` before it, and for a rate that is negative or no number.
   */
  step(learningRate: number): void {
    check('learningRate', learningRate, learningRate >= 0, 'of 0 or more');
    if (!this.#accumulated) {
      throw new ArgumentError({
        operation: 'Sgd.step',
        expected: 'gradients',
        got: 'none since the last step',
        remedy: 'Call accumulate() first.',
      });
    }
    this.#accumulated = false;
    this.#tell(this.#gradients.end());
    scope(() => {
      this.#measure();
    });
    for (const [bucket, gradient] of this.#gradients.tensors.entries()) {
      const count4 = gradient.size / 4;
      this.#gpu.run('sgd', {
        params: { count4, momentum: this.#momentum, decay: this.#weightDecay, rate: learningRate },
        buffers: {
          gradient: gradient.buffer,
          parameter_of: this.#parameterOf[bucket]!.buffer,
          table: this.#table.buffer,
          factor: this.#factor.buffer,
          moments: this.#moments[bucket]!.buffer,
          values: this.#values[bucket]!.buffer,
        },
        grid: flatGrid(count4, 64),
      });
    }
  }

  /** What was accumulated for a parameter: the optimiser's own, until the next `accumulate` or, after a step, the next one. */
  gradient(value: Tensor): Tensor<'f32'> | undefined {
    return this.#gradients.gradient(this.#parameters.findIndex((parameter) => parameter.value === value));
  }

  /** The norm of the last step's gradient before clipping, a scalar []: the optimiser's own, replaced by the next step. */
  gradientNorm(): Tensor<'f32'> {
    return this.#norm;
  }

  /** The momentum of every parameter, in its stored shape, as it is at the time of the call. */
  async state(): Promise<StateDict> {
    const moments = await Promise.all(this.#moments.map((tensor) => tensor.read()));
    const entries = this.#parameters.map(({ name, value: { shape } }, index): [string, StateTensor] => {
      const { bucket, start, size } = this.#place(index);
      return [name, { shape, data: moments[bucket]!.slice(start, start + size) }];
    });
    return new Map(entries);
  }

  /**
   * Puts back what `state` answered.
   * @throws WeightsError, before anything changes, where a parameter is missing, unknown or of another shape.
   */
  load(state: StateDict): void {
    const known = new Set(this.#parameters.map(({ name }) => name));
    const problem = (expected: string, got: string): WeightsError =>
      new WeightsError({
        operation: 'load the state of the optimiser',
        expected,
        got,
        remedy: 'Resume with the configuration that the checkpoint was written with.',
      });
    for (const name of state.keys()) {
      if (!known.has(name)) throw problem('the momentum of parameters of this network', `one of ${name}`);
    }
    const moments = this.#moments.map(({ size }) => new Float32Array(size));
    for (const [index, { name, value }] of this.#parameters.entries()) {
      const saved = state.get(name);
      if (!saved || !sameShape(saved.shape, value.shape) || saved.data.length !== value.size) {
        throw problem(
          `a momentum of shape ${formatShape(value.shape)} for ${name}`,
          saved ? formatShape(saved.shape) : 'none',
        );
      }
      const { bucket, start } = this.#place(index);
      moments[bucket]!.set(saved.data, start);
    }
    for (const [bucket, tensor] of this.#moments.entries()) tensor.write(moments[bucket]!);
  }

  /** Frees what the optimiser holds; the parameters live on. */
  dispose(): void {
    this.#gradients.dispose();
    const owned = [...this.#moments, ...this.#values, ...this.#parameterOf, this.#table, this.#norm, this.#factor];
    for (const tensor of owned) tensor.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #place(index: number): Place {
    return this.#gradients.layout.places[index]!;
  }

  /** Tells the device which parameters have a gradient, where that changed. */
  #tell(present: readonly boolean[]): void {
    if (present.every((has, index) => has === this.#inTable[index])) return;
    const rows = this.#parameters.flatMap(({ rateMultiplier = 1, decayMultiplier = 1 }, index) => [
      rateMultiplier,
      decayMultiplier,
      present[index] ? 1 : 0,
      0,
    ]);
    this.#table.write(Float32Array.from(rows));
    this.#inTable = present;
  }

  /** Computes the norm of all gradients and the factor that clips them. */
  #measure(): void {
    const { lengths } = this.#gradients.layout;
    const blocks = lengths.map((length) => Math.ceil(length / SUMMED));
    const sums = Tensor.empty(this.#gpu, [blocks.reduce((total, count) => total + count, 0)], { label: 'squares' });
    let firstBlock = 0;
    for (const [bucket, count] of blocks.entries()) {
      this.#gpu.run('square_sums', {
        params: { count4: lengths[bucket]! / 4, first_block: firstBlock },
        buffers: { x: this.#gradients.tensors[bucket]!.buffer, y: sums.buffer },
        grid: flatGrid(count, 1),
      });
      firstBlock += count;
    }
    this.#gpu.run('gradient_norm', {
      params: { limit: this.#clipNorm },
      buffers: { x: sum(sums).buffer, norm: this.#norm.buffer, factor: this.#factor.buffer },
      grid: [1, 1, 1],
    });
  }
}

function check(name: string, value: number, inRange: boolean, expected: string): void {
  if (Number.isFinite(value) && inRange) return;
  throw new ArgumentError({
    operation: 'Sgd',
    expected: `a ${name} ${expected}`,
    got: String(value),
    remedy: 'Pass a number in that range.',
  });
}
