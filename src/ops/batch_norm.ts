import { defineOp } from '../autograd/op.js';
import { checkOptions, checkTensors } from '../gpu/arguments.js';
import { ArgumentError, ShapeError } from '../gpu/errors.js';
import type { Gpu } from '../gpu/gpu.js';
import { flatGrid } from '../gpu/grid.js';
import { scope } from '../tensor/scope.js';
import { formatShape } from '../tensor/shape.js';
import { Tensor } from '../tensor/tensor.js';
import { checkSameShape } from './add.js';
import { channelLanes, contiguous } from './layout.js';
import { checkSlope, rectifierGradient } from './relu.js';

/** Scale, shift and running statistics of a batch norm, each [c]. */
export interface BatchNormParameters {
  readonly gamma: Tensor;
  readonly beta: Tensor;
  readonly runningMean: Tensor;
  readonly runningVar: Tensor;
  /** Added to the variance; 1e-5 by default. */
  readonly eps?: number;
}

export interface BatchNormOptions extends BatchNormParameters {
  /** True: normalise by the batch and move the running statistics, in place. False, the default: by the running ones. */
  readonly training?: boolean;
  /** The batch's share in the new running statistics, as PyTorch means it; 0.1 by default. */
  readonly momentum?: number;
  /** Of the shape of `x`, added behind the norm in the same kernel. */
  readonly residual?: Tensor;
  /** A rectifier behind all that, in the same kernel: 0 for ReLU, more for a leaky one. Absent: none. */
  readonly slope?: number;
}

/** Types of the parameters. */
const PARAMETERS = {
  gamma: 'tensor!',
  beta: 'tensor!',
  runningMean: 'tensor!',
  runningVar: 'tensor!',
  eps: 'number',
} as const;

const EPSILON = 1e-5;

/** Rows that a chunk has at least. */
const MIN_CHUNK = 32;
/** Invocations over all chunks and lanes that keep a device busy: a few dozen times its lanes. */
const CHUNKS_CPU = 512;
const CHUNKS_GPU = 131072;

/**
 * Rows of one invocation where each element is normalised on its own: what a channel needs is read once for all of them. On
 * a CPU every load and division counts (1.5 times as fast as one row); a GPU wants many invocations more.
 */
function rowsEach(gpu: Gpu): number {
  return gpu.isFallback ? 16 : 4;
}

type Inputs = Record<'x' | 'gamma' | 'beta' | 'runningMean' | 'runningVar', Tensor>;

function chunksOf(gpu: Gpu, rows: number, lanes: number): { readonly chunk: number; readonly chunks: number } {
  const wanted = gpu.isFallback ? CHUNKS_CPU : CHUNKS_GPU;
  const chunk = Math.max(MIN_CHUNK, Math.ceil((rows * lanes) / wanted));
  return { chunk, chunks: Math.ceil(rows / chunk) };
}

/** How the chunks of a channel are joined: by one invocation on a CPU, whose barriers are dear, else by a tree of them. */
function joining(gpu: Gpu, channels: number) {
  const SHARES = gpu.isFallback ? 1 : 64;
  return { constants: { SHARES }, grid: flatGrid(channels * SHARES, 64) };
}

/** Mean and 1 / standard deviation [c] of the batch; moves the running statistics. */
function batchStatistics(x: Tensor, inputs: Inputs, eps: number, momentum: number): { mean: Tensor; inverse: Tensor } {
  const { gpu } = x;
  const channels = inputs.gamma.size;
  const rows = x.size / channels;
  const { vectors, lanes } = channelLanes(channels);
  const { chunk, chunks } = chunksOf(gpu, rows, lanes);
  const [partialMean, partialM2] = ['mean', 'squares'].map((label) =>
    Tensor.empty(gpu, [chunks, channels], { label: `${label} of chunks` }),
  ) as [Tensor, Tensor];
  gpu.run('batch_norm_partials', {
    params: { rows, channels: lanes, chunk, count: chunks * lanes },
    buffers: { x: x.buffer, mean: partialMean.buffer, m2: partialM2.buffer },
    conditions: { vectors },
    grid: flatGrid(chunks * lanes, 64),
  });
  const mean = Tensor.empty(gpu, [channels], { label: 'batch mean' });
  const inverse = Tensor.empty(gpu, [channels], { label: 'inverse deviation' });
  gpu.run('batch_norm_statistics', {
    params: { rows, channels, chunk, eps, momentum },
    buffers: {
      partial_mean: partialMean.buffer,
      partial_m2: partialM2.buffer,
      mean: mean.buffer,
      inverse: inverse.buffer,
      running_mean: inputs.runningMean.buffer,
      running_var: inputs.runningVar.buffer,
    },
    ...joining(gpu, channels),
  });
  return { mean, inverse };
}

/** The running statistics as mean and 1 / standard deviation [c]. */
function runningStatistics({ runningMean, runningVar }: Inputs, eps: number): { mean: Tensor; inverse: Tensor } {
  const inverse = Tensor.empty(runningVar.gpu, runningVar.shape, { label: 'inverse deviation' });
  runningVar.gpu.run('batch_norm_inverse', {
    params: { channels: runningVar.size, eps },
    buffers: { variance: runningVar.buffer, inverse: inverse.buffer },
    grid: flatGrid(runningVar.size, 64),
  });
  return { mean: runningMean, inverse };
}

interface NormState {
  readonly training: boolean;
  readonly momentum: number;
  readonly eps: number;
  readonly slope: number | undefined;
}

const normalising = defineOp<Inputs & { residual: Tensor | undefined }, NormState>({
  name: 'batchNorm',
  forward(inputs, { training, momentum, eps, slope }) {
    const { gamma, beta, residual } = inputs;
    const x = contiguous(inputs.x);
    const { mean, inverse } = training ? batchStatistics(x, inputs, eps, momentum) : runningStatistics(inputs, eps);
    const { vectors, lanes } = channelLanes(gamma.size);
    const rows = x.size / gamma.size;
    const ROWS = rowsEach(x.gpu);
    const y = Tensor.empty(x.gpu, x.shape, { label: 'batchNorm' });
    x.gpu.run('batch_norm', {
      params: { rows, channels: lanes, slope: slope ?? 1 },
      buffers: {
        x: x.buffer,
        mean: mean.buffer,
        inverse: inverse.buffer,
        gamma: gamma.buffer,
        beta: beta.buffer,
        ...(residual && { residual: contiguous(residual).buffer }),
        y: y.buffer,
      },
      conditions: { vectors, added: residual !== undefined, activation: slope !== undefined },
      constants: { ROWS },
      grid: flatGrid(Math.ceil(rows / ROWS) * lanes, 64),
    });
    return { output: y, saved: { x, mean, inverse, gamma, beta, y: slope !== undefined && residual ? y : undefined } };
  },
  backward(gradient, { saved, options: { training, slope }, needs, places }) {
    const [x, mean, inverse, gamma] = [saved['x']!, saved['mean']!, saved['inverse']!, saved['gamma']!];
    const { gpu } = x;
    const channels = gamma.size;
    const rows = x.size / channels;
    const { vectors, lanes } = channelLanes(channels);
    const { chunk, chunks } = chunksOf(gpu, rows, lanes);
    const activation = slope !== undefined;
    // What nothing was added to is computed again: that takes less than a third input of the passes over all elements.
    const y = saved['y'];
    const rectifier = { activation, computed: activation && !y };
    const beta = saved['beta']!.buffer;
    // With given statistics the input's gradient needs no sums.
    const summed = training || needs.gamma === true || needs.beta === true ? chunks : 0;
    const [sum, product] = ['sums', 'products'].map((label) =>
      Tensor.empty(gpu, [Math.max(summed, 1), channels], { label: `${label} of chunks` }),
    ) as [Tensor, Tensor];
    if (summed > 0) {
      gpu.run('batch_norm_backward_partials', {
        params: { rows, channels: lanes, chunk, count: chunks * lanes, slope: slope ?? 1 },
        buffers: {
          x: x.buffer,
          grad_y: gradient.buffer,
          mean: mean.buffer,
          inverse: inverse.buffer,
          ...(y && { y: y.buffer }),
          ...(rectifier.computed && { gamma: gamma.buffer, beta }),
          sum: sum.buffer,
          product: product.buffer,
        },
        conditions: { vectors, ...rectifier },
        grid: flatGrid(chunks * lanes, 64),
      });
    }
    const gradGamma = places.gamma ?? Tensor.empty(gpu, [channels], { label: 'gradient of gamma' });
    const gradBeta = places.beta ?? Tensor.empty(gpu, [channels], { label: 'gradient of beta' });
    const coefficients = Tensor.empty(gpu, [4, channels], { label: 'coefficients of batchNorm' });
    gpu.run('batch_norm_backward_affine', {
      params: { chunks: summed, channels, share: training ? 1 / rows : 0 },
      buffers: {
        sum: sum.buffer,
        product: product.buffer,
        mean: mean.buffer,
        inverse: inverse.buffer,
        gamma: gamma.buffer,
        grad_gamma: gradGamma.buffer,
        grad_beta: gradBeta.buffer,
        coefficients: coefficients.buffer,
      },
      ...joining(gpu, channels),
    });
    const affine = { gamma: needs.gamma ? gradGamma : undefined, beta: needs.beta ? gradBeta : undefined };
    if (!needs.x) {
      const residual = needs.residual
        ? slope === undefined
          ? gradient
          : rectifierGradient(y!, gradient, slope)
        : undefined;
      return { residual, ...affine };
    }
    const gradX = Tensor.empty(gpu, x.shape, { label: 'gradient of batchNorm' });
    const added = needs.residual === true && activation;
    const gradResidual = added ? Tensor.empty(gpu, x.shape, { label: 'gradient of a residual' }) : undefined;
    const ROWS = rowsEach(gpu);
    gpu.run('batch_norm_backward_input', {
      params: { rows, channels: lanes, slope: slope ?? 1 },
      buffers: {
        x: x.buffer,
        grad_y: gradient.buffer,
        coefficients: coefficients.buffer,
        ...(y && { y: y.buffer }),
        ...(rectifier.computed && { beta }),
        grad_x: gradX.buffer,
        ...(gradResidual && { grad_residual: gradResidual.buffer }),
      },
      conditions: { vectors, ...rectifier, added },
      constants: { ROWS },
      grid: flatGrid(Math.ceil(rows / ROWS) * lanes, 64),
    });
    return { x: gradX, residual: gradResidual ?? (needs.residual ? gradient : undefined), ...affine };
  },
});

function checkParameters(operation: string, parameters: BatchNormParameters, channels: number): void {
  const { eps = EPSILON } = parameters;
  if (!(eps >= 0 && Number.isFinite(eps))) {
    throw new ArgumentError({
      operation,
      expected: 'an eps of 0 or more',
      got: String(eps),
      remedy: 'Leave it out for 1e-5.',
    });
  }
  for (const name of ['gamma', 'beta', 'runningMean', 'runningVar'] as const) {
    const { shape, contiguous: whole } = parameters[name];
    if (shape.length === 1 && shape[0] === channels && whole) continue;
    throw new ShapeError({
      operation,
      expected: `${name} [${channels}]`,
      got: formatShape(shape),
      remedy: 'Pass one value per channel (the last axis).',
    });
  }
}

/**
 * γ·(x − μ)/√(σ² + eps) + β for every channel of `x` (last axis), over all other axes. In training μ and σ² (biased) are
 * the batch's, and the running statistics move in place, the variance by the unbiased one, as in PyTorch. A residual and a
 * (leaky) ReLU behind it cost no pass of their own, forward or backward.
 * @throws ShapeError unless the parameters are [c], the residual has the shape of `x` and, in training, a channel has 2
 * values or more; ArgumentError for a negative slope or eps, and for options that there are not.
 */
export function batchNorm(x: Tensor, options: BatchNormOptions): Tensor {
  checkOptions('batchNorm', options, {
    ...PARAMETERS,
    training: 'boolean',
    momentum: 'number',
    residual: 'tensor',
    slope: 'number',
  });
  const { gamma, beta, runningMean, runningVar, training = false, momentum = 0.1, eps = EPSILON } = options;
  const { residual, slope } = options;
  checkTensors('batchNorm', { x });
  const channels = x.shape.at(-1) ?? 0;
  checkParameters('batchNorm', options, channels);
  if (training && x.size < 2 * channels) {
    throw new ShapeError({
      operation: 'batchNorm',
      expected: '2 values per channel or more in training',
      got: formatShape(x.shape),
      remedy: 'Use a larger batch: one value has no variance.',
    });
  }
  if (residual) checkSameShape('batchNorm', x.shape, residual.shape);
  if (slope !== undefined) checkSlope('batchNorm', slope);
  return normalising({ x, gamma, beta, runningMean, runningVar, residual }, { training, momentum, eps, slope });
}

/**
 * Batch norm with its running statistics as `y = x·scale + shift`, each [c], for the epilogue of a convolution.
 * @throws ShapeError unless all four parameters are [c]; ArgumentError for a negative eps, and for options that there are not.
 */
export function foldBatchNorm(parameters: BatchNormParameters): { readonly scale: Tensor; readonly shift: Tensor } {
  checkOptions('foldBatchNorm', parameters, PARAMETERS);
  const { gamma, beta, runningMean, runningVar, eps = EPSILON } = parameters;
  const channels = gamma.size;
  checkParameters('foldBatchNorm', parameters, channels);
  return scope(() => {
    const scale = Tensor.empty(gamma.gpu, [channels], { label: 'scale' });
    const shift = Tensor.empty(gamma.gpu, [channels], { label: 'shift' });
    gamma.gpu.run('batch_norm_fold', {
      params: { channels, eps },
      buffers: {
        gamma: gamma.buffer,
        beta: beta.buffer,
        mean: runningMean.buffer,
        variance: runningVar.buffer,
        scale: scale.buffer,
        shift: shift.buffer,
      },
      grid: flatGrid(channels, 64),
    });
    return { scale, shift };
  });
}
