import { defineOp } from '../autograd/op.js';
import { checkOptions, checkTensors } from '../gpu/arguments.js';
import { ArgumentError } from '../gpu/errors.js';
import { flatGrid } from '../gpu/grid.js';
import { scope } from '../tensor/scope.js';
import { Tensor } from '../tensor/tensor.js';
import { checkSameShape } from './add.js';
import { contiguous } from './layout.js';
import { checkPerRow, checkReduction, normaliseWeights, type Reduction } from './reduction.js';
import { sumTimes } from './sum.js';

export interface SmoothL1Options {
  /** Where the parabola passes into the line; more than 0, 1 by default. */
  readonly beta?: number;
  /** `mean`, the default, is over all elements, weighted by their rows' weights; it is 0 where they sum to 0. */
  readonly reduction?: Reduction;
  /** A factor per row, of x's shape without its last axis; 0 leaves a row out, whatever it holds. 1 by default. */
  readonly weights?: Tensor | undefined;
}

interface Inputs extends Record<string, Tensor | undefined> {
  readonly x: Tensor;
  readonly target: Tensor;
  readonly weights: Tensor | undefined;
}

/** Answers the losses by element (`elements`) or summed over the last axis. */
const losses = defineOp<Inputs, { beta: number; width: number; elements: boolean }>({
  name: 'smoothL1',
  forward(inputs, { beta, width, elements }) {
    const { gpu } = inputs.x;
    const x = contiguous(inputs.x);
    const target = contiguous(inputs.target);
    const weights = inputs.weights && contiguous(inputs.weights);
    const rows = x.size / width;
    const y = Tensor.empty(gpu, elements ? x.shape : [rows], { label: 'smoothL1' });
    gpu.run('smooth_l1', {
      params: { rows, width, beta },
      buffers: {
        x: x.buffer,
        target_x: target.buffer,
        ...(weights && { weights: weights.buffer }),
        y: y.buffer,
      },
      conditions: { weighted: weights !== undefined, elements },
      grid: flatGrid(rows, 64),
    });
    return { output: y, saved: { x, target, weights } };
  },
  backward(gradient, { saved, options: { beta, width, elements }, needs }) {
    const [x, target, weights] = [saved['x']!, saved['target']!, saved['weights']];
    const slope = (scale: number): Tensor => {
      const gradX = Tensor.empty(gradient.gpu, x.shape, { label: 'gradient of smoothL1' });
      gradient.gpu.run('smooth_l1_backward', {
        params: { rows: x.size / width, width, beta, scale },
        buffers: {
          x: x.buffer,
          target_x: target.buffer,
          ...(weights && { weights: weights.buffer }),
          grad_y: gradient.buffer,
          grad_x: gradX.buffer,
        },
        conditions: { weighted: weights !== undefined, elements },
        grid: flatGrid(x.size / width, 64),
      });
      return gradX;
    };
    return { x: needs.x ? slope(1) : undefined, target: needs.target ? slope(-1) : undefined };
  },
});

/** Throws an ArgumentError unless β is a number of more than 0. */
export function checkBeta(beta: number): void {
  if (beta > 0 && Number.isFinite(beta)) return;
  throw new ArgumentError({
    operation: 'smoothL1',
    expected: 'a beta of more than 0',
    got: String(beta),
    remedy: 'Pass the distance at which the parabola becomes a line.',
  });
}

/**
 * w·(d²/2β where d = |x − target| < β, else d − β/2), as in Fast R-CNN (Girshick 2015) and the report's §3.5, where β = 1.
 * `x` and `target`: one shape; → a scalar [], or that shape with the reduction `none`. The weights have no gradient.
 * @throws ShapeError when the shapes do not fit; ArgumentError unless β is more than 0, and for options that there are not.
 */
export function smoothL1(x: Tensor, target: Tensor, options: SmoothL1Options = {}): Tensor {
  checkOptions('smoothL1', options, { beta: 'number', reduction: 'string', weights: 'tensor' });
  const { beta = 1, reduction = 'mean', weights } = options;
  checkReduction('smoothL1', reduction);
  checkTensors('smoothL1', { x, target });
  checkSameShape('smoothL1', x.shape, target.shape);
  if (weights) checkPerRow('smoothL1', 'weights', weights, x.shape.slice(0, -1));
  checkBeta(beta);
  // Without weights each element is a row of its own: as parallel as it can be, and the rows need no last axis.
  const width = weights ? Math.max(1, x.shape.at(-1) ?? 1) : 1;
  return scope(() => {
    const mean = reduction === 'mean';
    const shares = mean && weights ? normaliseWeights(weights) : weights;
    const each = losses({ x, target, weights: shares }, { beta, width, elements: reduction === 'none' });
    if (reduction === 'none') return each;
    return sumTimes(each, mean ? 1 / (weights ? width : Math.max(1, x.size)) : 1);
  });
}
