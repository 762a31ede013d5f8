import { type OptionKinds } from '../gpu/arguments.js';
import { ArgumentError, ShapeError } from '../gpu/errors.js';
import { flatGrid, type Grid } from '../gpu/grid.js';
import { contiguous } from '../ops/layout.js';
import { scope } from '../tensor/scope.js';
import { formatShape, sameShape } from '../tensor/shape.js';
import { Tensor } from '../tensor/tensor.js';
import { chooseGreatest } from './choose.js';

export interface HardNegativeOptions {
  /** Negatives per positive, 0 or more: 3 in the report, 7 in the published code. */
  readonly negativeRatio: number;
  /** Negatives of an image without positives; a whole number. 0 leaves such images out, as the published code does. */
  readonly minimumNegatives: number;
}

/** Types of the options. */
export const HARD_NEGATIVE_OPTIONS: OptionKinds<HardNegativeOptions> = {
  negativeRatio: 'number!',
  minimumNegatives: 'number!',
};

/** Throws an ArgumentError for a ratio or a minimum out of range. */
export function checkHardNegativeOptions({ negativeRatio, minimumNegatives }: HardNegativeOptions): void {
  const whole = Number.isInteger(minimumNegatives) && minimumNegatives >= 0 && minimumNegatives < 2 ** 32;
  if (negativeRatio >= 0 && Number.isFinite(negativeRatio) && whole) return;
  throw new ArgumentError({
    operation: 'selectHardNegatives',
    expected: 'a ratio of 0 or more and a whole minimum of 0 or more',
    got: `${negativeRatio} and ${minimumNegatives}`,
    remedy: 'The report takes 3 negatives per positive.',
  });
}

/**
 * Online hard example mining (report §3.5): of each image the positives and, among the candidates, the
 * ⌊ratio·positives⌋ of the greatest loss, ties by the lower index, all where there are fewer. Exact, all on the GPU.
 * `losses` [n, A] of 0 or more, `labels` [n, A]: 1 positive, 0 candidate, anything else neither; → [n, A], 1 or 0.
 * @throws ShapeError for other shapes; ArgumentError for options out of range.
 */
export function selectHardNegatives(
  losses: Tensor,
  labels: Tensor<'u32'>,
  options: HardNegativeOptions,
): Tensor<'f32'> {
  const [images = 0, anchors = 0] = losses.shape;
  if (losses.shape.length !== 2 || !sameShape(losses.shape, labels.shape)) {
    throw new ShapeError({
      operation: 'selectHardNegatives',
      expected: 'losses [n, A] and labels [n, A]',
      got: `${formatShape(losses.shape)} and ${formatShape(labels.shape)}`,
      remedy: 'Pass one loss and one label per anchor of each image.',
    });
  }
  checkHardNegativeOptions(options);
  return scope(() => {
    const { gpu } = losses;
    const selected = Tensor.empty(gpu, losses.shape, { label: 'selected anchors' });
    if (selected.size === 0) return selected;
    const keys = Tensor.empty(gpu, losses.shape, { dtype: 'u32', label: 'loss keys' });
    const positives = Tensor.zeros(gpu, [images], { dtype: 'u32', label: 'positives' });
    const perAnchor: Grid = [Math.ceil(anchors / 256), images, 1];
    gpu.run('hard_negative_keys', {
      params: { anchors },
      buffers: {
        losses: contiguous(losses).buffer,
        labels: contiguous(labels).buffer,
        keys: keys.buffer,
        selected: selected.buffer,
        positives: positives.buffer,
      },
      grid: perAnchor,
    });
    const { chosen, counts } = chooseGreatest(keys, images, 0, (cuts) => {
      gpu.run('hard_negative_counts', {
        params: { images, anchors, ratio: options.negativeRatio, minimum: options.minimumNegatives },
        buffers: { positives: positives.buffer, cuts: cuts.buffer },
        grid: flatGrid(images, 64),
      });
    });
    gpu.run('hard_negatives', {
      params: { anchors },
      buffers: { chosen: chosen.buffer, counts: counts.buffer, selected: selected.buffer },
      grid: perAnchor,
    });
    return selected;
  });
}
