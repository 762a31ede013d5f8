import { Tensor } from '../tensor/tensor.js';

/** Digits of a key and its place, a byte each. */
const DIGITS = 8;

/** Keys of a workgroup where several share a row. */
const PART = 4096;

/** Workgroups share rows from so many keys on, on GPUs: on a CPU the dispatches that it takes cost more than they save. */
const SHARED_FROM = 4 * PART;

/**
 * The `k` greatest of each row of `keys` [rows, count] that are not 0, ties by the lower index, in any order. `chosen`
 * [rows, count, 2]: keys and their indices; `counts` [rows]: how many there are. `begin` writes how many more than k are wanted
 * of each row: into the first cut of [rows, 10, 4], its third number. To be called in a scope.
 */
export function chooseGreatest(
  keys: Tensor<'u32'>,
  rows: number,
  k: number,
  begin?: (cuts: Tensor<'u32'>) => void,
): { readonly chosen: Tensor<'u32'>; readonly counts: Tensor<'u32'> } {
  const { gpu } = keys;
  const count = keys.size / rows;
  const shared = !gpu.isFallback && count >= SHARED_FROM;
  const zeros = (...shape: number[]) => Tensor.zeros(gpu, shape, { dtype: 'u32', label: 'selection' });
  const [totals, cuts, counts] = [zeros(rows, DIGITS, 256), zeros(rows, DIGITS + 2, 4), zeros(rows)];
  const chosen = Tensor.empty(gpu, [rows, count, 2], { dtype: 'u32', label: 'selection' });
  begin?.(cuts);
  for (let last = shared ? 0 : DIGITS; last <= DIGITS; last++) {
    gpu.run('select_top_k', {
      params: { count, k, last },
      buffers: {
        keys: keys.buffer,
        totals: totals.buffer,
        cuts: cuts.buffer,
        counts: counts.buffer,
        chosen: chosen.buffer,
      },
      grid: [shared ? Math.ceil(count / PART) : 1, rows, 1],
    });
  }
  return { chosen, counts };
}
