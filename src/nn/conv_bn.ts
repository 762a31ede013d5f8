import { batchNorm, foldBatchNorm } from '../ops/batch_norm.js';
import { conv2d } from '../ops/conv2d.js';
import { keep } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import type { Parameter, ParameterList } from './parameter.js';

/** Batch norm's epsilon, of every network here (PyTorch's default). */
const EPSILON = 1e-5;

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
}

/** What follows the batch norm, fused into the same kernel. */
export interface ConvBnEpilogue {
  /** Added before the activation; of the output's shape. */
  readonly residual?: Tensor;
  /** Absent: no activation. 0: ReLU. Otherwise a leaky ReLU. */
  readonly slope?: number;
  /** Where to write: a channel view of a concatenation. Not in training, where the concatenation copies. */
  readonly into?: Tensor;
}

/** Convolution without bias and batch norm: the one building block of every backbone, pyramid and context module. */
export class ConvBn {
  readonly #options: ConvBnOptions;
  readonly #weight: Parameter;
  readonly #gamma: Parameter;
  readonly #beta: Parameter;
  readonly #mean: Parameter;
  readonly #variance: Parameter;
  #folded: { readonly scale: Tensor; readonly shift: Tensor } | undefined;

  constructor(parameters: ParameterList, options: ConvBnOptions) {
    const { conv, norm, kernel, in: cin, out, depthwise } = options;
    this.#options = options;
    this.#weight = parameters.weight(`${conv}.weight`, [kernel, kernel, depthwise ? 1 : cin, out]);
    this.#gamma = parameters.weight(`${norm}.weight`, [out]);
    this.#beta = parameters.weight(`${norm}.bias`, [out]);
    this.#mean = parameters.statistic(`${norm}.running_mean`, [out]);
    this.#variance = parameters.statistic(`${norm}.running_var`, [out]);
  }

  /**
   * True: `forward` normalises by the batch, moves the running statistics and can be differentiated. False, the default:
   * one kernel by the folded running statistics.
   */
  training = false;
  /** In training: normalise by the running statistics and leave them as they are. */
  frozenStatistics = false;

  /** Turns the batch norm into a scale and a shift of the convolution's epilogue; to be called after each load. */
  fold(): void {
    this.dispose();
    const { scale, shift } = foldBatchNorm({
      gamma: this.#gamma.tensor,
      beta: this.#beta.tensor,
      runningMean: this.#mean.tensor,
      runningVar: this.#variance.tensor,
      eps: EPSILON,
    });
    this.#folded = { scale: keep(scale), shift: keep(shift) };
  }

  /** `x` [n, h, w, in] → [n, ceil(h / stride), ceil(w / stride), out]. */
  forward(x: Tensor, epilogue: ConvBnEpilogue = {}): Tensor {
    const { kernel, stride = 1, depthwise, in: cin } = this.#options;
    const window = { stride, padding: (kernel - 1) / 2, ...(depthwise ? { groups: cin } : {}) };
    if (!this.training) return conv2d(x, this.#weight.tensor, { ...window, ...this.#folded, ...epilogue });
    const { residual, slope } = epilogue;
    using filtered = conv2d(x, this.#weight.tensor, window);
    return batchNorm(filtered, {
      gamma: this.#gamma.tensor,
      beta: this.#beta.tensor,
      runningMean: this.#mean.tensor,
      runningVar: this.#variance.tensor,
      training: !this.frozenStatistics,
      eps: EPSILON,
      ...(residual && { residual }),
      ...(slope !== undefined && { slope }),
    });
  }

  dispose(): void {
    this.#folded?.scale.dispose();
    this.#folded?.shift.dispose();
    this.#folded = undefined;
  }
}
