import { checkTensors } from '../gpu/arguments.js';
import { ArgumentError, ShapeError } from '../gpu/errors.js';
import { flatGrid } from '../gpu/grid.js';
import { formatShape } from '../tensor/shape.js';
import { Tensor } from '../tensor/tensor.js';

/**
 * The `k` greatest of `values` [count], or of each row of `values` [n, count], in descending order, ties by the lower
 * index; NaN ranks below everything. Exact: radix select, then rank counting (k² comparisons a row).
 * @throws ShapeError, or ArgumentError when k is not 0 to count.
 */
export function topK(values: Tensor, k: number): { readonly values: Tensor<'f32'>; readonly indices: Tensor<'u32'> } {
  checkTensors('topK', { values });
  const count = values.shape.at(-1);
  const rows = values.shape.length === 2 ? values.shape[0]! : 1;
  if (count === undefined || values.shape.length > 2) {
    throw new ShapeError({
      operation: 'topK',
      expected: 'values [count] or [n, count]',
      got: formatShape(values.shape),
      remedy: 'Reshape the tensor.',
    });
  }
  if (!Number.isInteger(k) || k < 0 || k > count) {
    throw new ArgumentError({
      operation: 'topK',
      expected: `k to be 0 to ${count}`,
      got: String(k),
      remedy: 'Ask for at most as many as there are.',
    });
  }
  const { gpu } = values;
  const shape = [...values.shape.slice(0, -1), k];
  const sorted = Tensor.empty(gpu, shape, { label: 'top values' });
  const indices = Tensor.empty(gpu, shape, { dtype: 'u32', label: 'top indices' });
  if (rows * k > 0) {
    using chosen = chooseGreatest(values, rows, k);
    gpu.run('sort_values', {
      params: { count, k },
      buffers: {
        values: values.buffer,
        keys: chosen.keys.buffer,
        chosen: chosen.chosen.buffer,
        sorted: sorted.buffer,
        indices: indices.buffer,
      },
      grid: [Math.ceil(k / 64), rows, 1],
    });
  }
  return { values: sorted, indices };
}

/** Sortable keys of values, and the k greatest of each row in ascending order of index. */
export function chooseGreatest(
  values: Tensor,
  rows: number,
  k: number,
): Disposable & { readonly keys: Tensor; readonly chosen: Tensor; readonly counts: Tensor } {
  const { gpu } = values;
  const count = values.size / rows;
  const temporary = (shape: readonly number[]) => Tensor.empty(gpu, shape, { dtype: 'u32', label: 'top-k' });
  const [keys, chosen, counts] = [temporary([rows, count]), temporary([rows, k]), temporary([rows])];
  gpu.run('float_keys', {
    params: { total: rows * count },
    buffers: { values: values.buffer, keys: keys.buffer },
    grid: flatGrid(rows * count, 64),
  });
  gpu.run('select_top_k', {
    params: { count, k },
    buffers: { keys: keys.buffer, chosen: chosen.buffer, counts: counts.buffer },
    grid: [rows, 1, 1],
  });
  return {
    keys,
    chosen,
    counts,
    [Symbol.dispose]() {
      for (const tensor of [keys, chosen, counts]) tensor.dispose();
    },
  };
}
