import { batchNorm, foldBatchNorm } from '../ops/batch_norm.js';
import { cast } from '../ops/cast.js';
import { concat } from '../ops/concat.js';
import { keepsWinogradWeight } from '../ops/conv/forward.js';
import { winogradWeight } from '../ops/conv/winograd.js';
import { conv2d, conv2dWith } from '../ops/conv2d.js';
import { deformConv2d } from '../ops/deform_conv2d.js';
import { slice } from '../ops/slice.js';
import { keep, scope } from '../tensor/scope.js';
import { Tensor } from '../tensor/tensor.js';
import type { Parameter, ParameterList } from './parameter.js';

/** Batch norm's epsilon, of every network here (PyTorch's default). */
const EPSILON = 1e-5;

/** A batch's share in the running statistics, of every network here (PyTorch's default). */
export const STATISTICS_MOMENTUM = 0.1;

/** What a ConvBn is made of. Padding is half the kernel, so that stride 1 keeps the size. */
export interface ConvBnOptions {
  /** Dotted names of the convolution and of the batch norm. */
  readonly conv: string;
  readonly norm: string;
  readonly in: number;
  readonly out: number;
  readonly kernel: number;
  readonly stride?: number;
  readonly depthwise?: boolean;
  /**
   * Dotted name of the convolution that places the taps: the layer is a deformable one, of stride 1, not depthwise. Its
   * name holds `.offset`, by which training and initialisation know it.
   */
  readonly offset?: string;
}

/** The convolution, with bias, of a deformable one's input to (y, x) for each of its taps. */
interface Offset {
  readonly weight: Parameter;
  readonly bias: Parameter;
}

/** What follows the batch norm, fused into the same kernel. */
export interface ConvBnEpilogue {
  /** Added before the activation; of the output's shape. */
  readonly residual?: Tensor;
  /** Absent: no activation. 0: ReLU. Otherwise a leaky ReLU. */
  readonly slope?: number;
  /** Where to write: a channel view of a concatenation. Only where `writesInto`; else the concatenation copies. */
  readonly into?: Tensor;
}

/**
 * Convolution without bias and batch norm: the one building block of every backbone, pyramid and context module. Deformable
 * where the options name an `offset` (Dai et al. 2017, torchvision's conventions, one offset group).
 */
export class ConvBn {
  readonly #options: ConvBnOptions;
  readonly #weight: Parameter;
  readonly #offset: Offset | undefined;
  readonly #gamma: Parameter;
  readonly #beta: Parameter;
  readonly #mean: Parameter;
  readonly #variance: Parameter;
  #folded: { readonly scale: Tensor; readonly shift: Tensor } | undefined;
  /** What Winograd's way multiplies with, for inference, where the device takes that way. */
  #values: Tensor | undefined;

  constructor(parameters: ParameterList, options: ConvBnOptions) {
    const { conv, norm, kernel, in: cin, out, depthwise, offset } = options;
    this.#options = options;
    const precision = offset === undefined ? parameters.precision : 'f32';
    this.#weight = parameters.weight(`${conv}.weight`, [kernel, kernel, depthwise ? 1 : cin, out], precision);
    if (offset !== undefined) {
      const values = 2 * kernel * kernel;
      this.#offset = {
        weight: parameters.weight(`${offset}.weight`, [kernel, kernel, cin, values]),
        bias: parameters.weight(`${offset}.bias`, [values]),
      };
    }
    this.#gamma = parameters.weight(`${norm}.weight`, [out]);
    this.#beta = parameters.weight(`${norm}.bias`, [out]);
    this.#mean = parameters.statistic(`${norm}.running_mean`, [out]);
    this.#variance = parameters.statistic(`${norm}.running_var`, [out]);
  }

  /**
   * True: `forward` normalises by the batch, moves the running statistics and can be differentiated. False, the default:
   * one kernel by the folded running statistics (three steps where it is deformable).
   */
  training = false;
  /** In training: normalise by the running statistics and leave them as they are. */
  frozenStatistics = false;
  /** In training: the batch's share in the running statistics; 0 leaves them as they are. */
  momentum = STATISTICS_MOMENTUM;

  /** True where `forward` can write into a part of a wider tensor. */
  get writesInto(): boolean {
    return !this.training && !this.#offset;
  }

  /**
   * Turns the batch norm into a scale and a shift of the convolution's epilogue, and the weights into what their kernel
   * takes; to be called after each load.
   */
  fold(): void {
    this.dispose();
    // The kernel of a deformable one has no such epilogue.
    if (this.#offset) return;
    const { scale, shift } = foldBatchNorm({
      gamma: this.#gamma.tensor,
      beta: this.#beta.tensor,
      runningMean: this.#mean.tensor,
      runningVar: this.#variance.tensor,
      eps: EPSILON,
    });
    this.#folded = { scale: keep(scale), shift: keep(shift) };
    const { stride = 1, depthwise } = this.#options;
    const { tensor } = this.#weight;
    if (stride === 1 && !depthwise && keepsWinogradWeight(tensor)) this.#values = keep(winogradWeight(tensor));
  }

  /** `x` [n, h, w, in] → [n, ceil(h / stride), ceil(w / stride), out]. */
  forward(x: Tensor, epilogue: ConvBnEpilogue = {}): Tensor {
    const { kernel, stride = 1, depthwise, in: cin } = this.#options;
    const window = { stride, padding: (kernel - 1) / 2, ...(depthwise ? { groups: cin } : {}) };
    if (!this.training && !this.#offset)
      return conv2dWith(undefined, x, this.#weight.tensor, { ...window, ...this.#folded, ...epilogue }, this.#values);
    // Deformable ones compute in f32.
    if (x.dtype === 'f16') return scope(() => cast(this.forward(cast(x, 'f32'), epilogue), 'f16'));
    const { residual, slope } = epilogue;
    using filtered = this.#offset ? this.#deformed(x, this.#offset) : conv2d(x, this.#weight.tensor, window);
    return batchNorm(filtered, {
      gamma: this.#gamma.tensor,
      beta: this.#beta.tensor,
      runningMean: this.#mean.tensor,
      runningVar: this.#variance.tensor,
      training: this.training && !this.frozenStatistics,
      momentum: this.momentum,
      eps: EPSILON,
      ...(residual && { residual }),
      ...(slope !== undefined && { slope }),
    });
  }

  /** The deformable convolution, differentiable, by the parameters as they are now. */
  #deformed(x: Tensor, { weight, bias }: Offset): Tensor {
    const padding = (this.#options.kernel - 1) / 2;
    return scope(() => {
      // Two numbers a tap are no multiple of 4, which fast convolutions need: zeros fill up, and go again.
      const values = bias.tensor.size;
      const missing = -values & 3;
      const filled = (parameter: Tensor) => {
        const shape = [...parameter.shape.slice(0, -1), missing];
        return missing === 0 ? parameter : concat([parameter, Tensor.zeros(parameter.gpu, shape)], shape.length - 1);
      };
      const placed = conv2d(x, filled(weight.tensor), { padding, bias: filled(bias.tensor) });
      const offset = missing === 0 ? placed : slice(placed, { axis: 3, start: 0, count: values });
      return deformConv2d(x, offset, this.#weight.tensor, { padding });
    });
  }

  /** Frees what `fold` made. */
  dispose(): void {
    this.#values?.dispose();
    this.#values = undefined;
    this.#folded?.scale.dispose();
    this.#folded?.shift.dispose();
    this.#folded = undefined;
  }
}
