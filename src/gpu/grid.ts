import { LimitError } from './errors.js';

/** Workgroups in x, y and z. */
export type Grid = readonly [number, number, number];

/**
 * The grid of a one-dimensional kernel: `count` invocations in workgroups of `size`, folded into rows where one
 * dimension cannot hold them. The kernel finds its place with `shared/grid.wgsl`; surplus invocations must return.
 */
export function flatGrid(count: number, size: number, maxPerDimension = 65_535): Grid {
  const groups = Math.max(1, Math.ceil(count / size));
  if (groups <= maxPerDimension) return [groups, 1, 1];
  const rows = Math.ceil(groups / maxPerDimension);
  return [Math.ceil(groups / rows), rows, 1];
}

/** Throws a LimitError if a grid has a dimension that no device accepts. */
export function checkGrid(operation: string, grid: Grid, maxPerDimension: number): void {
  for (const size of grid) {
    if (!Number.isInteger(size) || size < 0 || size > maxPerDimension) {
      throw new LimitError({
        operation,
        expected: `0 to ${maxPerDimension} workgroups in each dimension`,
        got: `a grid of ${grid.join('×')}`,
        remedy: 'Use a smaller batch or a smaller input.',
      });
    }
  }
}
