import { defineOp } from '../autograd/op.js';
import { checkOptions, checkTensors } from '../gpu/arguments.js';
import { ShapeError } from '../gpu/errors.js';
import { flatGrid } from '../gpu/grid.js';
import { scope } from '../tensor/scope.js';
import { formatShape } from '../tensor/shape.js';
import { Tensor } from '../tensor/tensor.js';
import { contiguous } from './layout.js';
import { checkPerRow, checkReduction, normaliseWeights, type Reduction } from './reduction.js';
import { sumTimes } from './sum.js';

export interface NegativeLogLikelihoodOptions {
  /** A factor per row, of the labels' shape; 0 leaves a row out, whatever its logits. 1 by default. */
  readonly weights?: Tensor | undefined;
  /** `mean`, the default, divides by the sum of the weights; it is 0 where they sum to 0. */
  readonly reduction?: Reduction;
}

interface Inputs extends Record<string, Tensor | undefined> {
  readonly logits: Tensor;
  readonly labels: Tensor;
  readonly weights: Tensor | undefined;
}

const losses = defineOp<Inputs, { classes: number }>({
  name: 'negativeLogLikelihood',
  forward(inputs, { classes }) {
    const { gpu } = inputs.logits;
    const logits = contiguous(inputs.logits);
    const labels = contiguous(inputs.labels);
    const weights = inputs.weights && contiguous(inputs.weights);
    const y = Tensor.empty(gpu, labels.shape, { label: 'negativeLogLikelihood' });
    gpu.run('negative_log_likelihood', {
      params: { rows: y.size, classes },
      buffers: {
        logits: logits.buffer,
        labels: labels.buffer,
        ...(weights && { weights: weights.buffer }),
        y: y.buffer,
      },
      conditions: { weighted: weights !== undefined },
      grid: flatGrid(y.size, 64),
    });
    return { output: y, saved: { logits, labels, weights } };
  },
  backward(gradient, { saved, options: { classes }, needs }) {
    if (!needs.logits) return {};
    const [logits, labels, weights] = [saved['logits']!, saved['labels']!, saved['weights']];
    const gradLogits = Tensor.empty(gradient.gpu, logits.shape, { label: 'gradient of negativeLogLikelihood' });
    gradient.gpu.run('negative_log_likelihood_backward', {
      params: { rows: labels.size, classes },
      buffers: {
        logits: logits.buffer,
        labels: labels.buffer,
        ...(weights && { weights: weights.buffer }),
        grad_y: gradient.buffer,
        grad_logits: gradLogits.buffer,
      },
      conditions: { weighted: weights !== undefined },
      grid: flatGrid(labels.size, 64),
    });
    return { logits: gradLogits };
  },
});

/**
 * −w·ln softmax(logits)[label] over the last axis, from logits, without overflow and exact near 0: the report's class loss
 * (its §3.5). `logits` [..., classes], `labels` [...] u32, → a scalar [], or [...] with the reduction `none`.
 * A label of `classes` or more gives a loss of 0 and no gradient; weigh its row 0 to keep it out of the mean, too.
 * Only the logits have a gradient.
 * @throws ShapeError when the shapes do not fit; ArgumentError for options that there are not.
 */
export function negativeLogLikelihood(
  logits: Tensor,
  labels: Tensor<'u32'>,
  options: NegativeLogLikelihoodOptions = {},
): Tensor {
  checkOptions('negativeLogLikelihood', options, { weights: 'tensor', reduction: 'string' });
  const { weights, reduction = 'mean' } = options;
  checkReduction('negativeLogLikelihood', reduction);
  checkTensors('negativeLogLikelihood', { logits });
  checkTensors('negativeLogLikelihood', { labels }, 'u32');
  const classes = logits.shape.at(-1) ?? 0;
  if (classes === 0) {
    throw new ShapeError({
      operation: 'negativeLogLikelihood',
      expected: 'logits with a last axis of 1 or more',
      got: formatShape(logits.shape),
      remedy: 'Put the classes on the last axis.',
    });
  }
  const rows = logits.shape.slice(0, -1);
  checkPerRow('negativeLogLikelihood', 'labels', labels, rows);
  if (weights) checkPerRow('negativeLogLikelihood', 'weights', weights, rows);
  return scope(() => {
    const shares = reduction === 'mean' && weights ? normaliseWeights(weights) : weights;
    const each = losses({ logits, labels, weights: shares }, { classes });
    if (reduction === 'none') return each;
    return sumTimes(each, reduction === 'mean' && !weights ? 1 / Math.max(1, each.size) : 1);
  });
}
