import type { Gpu } from '../gpu/gpu.js';
import { flatGrid } from '../gpu/grid.js';
import { STATISTICS_MOMENTUM } from '../nn/conv_bn.js';
import type { Parameter, ParameterList } from '../nn/parameter.js';
import { keep } from '../tensor/scope.js';
import { Tensor } from '../tensor/tensor.js';
import { BucketLayout } from './buckets.js';

/** Statistics of one kind, one after another. */
interface Flat {
  /** The running ones; inside a step those of the last batch. */
  readonly values: Tensor<'f32'>;
  readonly before: Tensor<'f32'>;
}

/**
 * The running statistics of all batch norms of a network, moved into flat tensors, for ranks: these hand round the statistics
 * of their batches, and each moves its running ones by all of them.
 */
export class RunningStatistics implements Disposable {
  readonly #gpu: Gpu;
  /** Means and variances: no kernel may write two parts of one tensor. */
  readonly #flats: readonly Flat[];

  constructor(parameters: ParameterList) {
    const statistics = [...parameters].filter(({ trainable }) => !trainable);
    const isVariance = ({ name }: Parameter): boolean => name.endsWith('.running_var');
    this.#gpu = parameters.gpu;
    this.#flats = [
      this.#flatten(
        statistics.filter((statistic) => !isVariance(statistic)),
        'running means',
      ),
      this.#flatten(statistics.filter(isVariance), 'running variances'),
    ];
  }

  /** What norms see of a batch, after a pass that moves them all the way to it: means, and variances. */
  get tensors(): readonly Tensor<'f32'>[] {
    return this.#flats.map(({ values }) => values);
  }

  /** Remembers the running statistics; `moved` or `restore` ends the step. */
  begin(): void {
    for (const { values, before } of this.#flats) this.#gpu.copy(values.buffer, before.buffer, values.size * 4);
  }

  /** Zeros: what a pass that moves them all the way to its batch must find. */
  clear(): void {
    for (const { values } of this.#flats) this.#gpu.clear(values.buffer);
  }

  /** The running statistics as `begin` found them. */
  restore(): void {
    for (const { values, before } of this.#flats) this.#gpu.copy(before.buffer, values.buffer, values.size * 4);
  }

  /** The running statistics as `begin` found them, moved by those of some batches, each as `tensors` has them, in order. */
  moved(batches: readonly Float32Array[]): void {
    let start = 0;
    for (const { values, before } of this.#flats) {
      const { size } = values;
      const all = new Float32Array(batches.length * size);
      for (const [k, batch] of batches.entries()) all.set(batch.subarray(start, start + size), k * size);
      using given = Tensor.from(this.#gpu, all, [batches.length, size], 'statistics of batches');
      this.#gpu.run('batch_norm_move', {
        params: { count: size, batches: batches.length, momentum: STATISTICS_MOMENTUM },
        buffers: { batches: given.buffer, before: before.buffer, running: values.buffer },
        grid: flatGrid(size, 64),
      });
      start += size;
    }
  }

  /** Frees what it holds; the statistics live on with the network. */
  dispose(): void {
    for (const { values, before } of this.#flats) {
      values.dispose();
      before.dispose();
    }
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #flatten(statistics: readonly Parameter[], label: string): Flat {
    const named = statistics.map(({ name, tensor }) => ({ name, value: tensor as Tensor<'f32'> }));
    const { lengths, places } = new BucketLayout(this.#gpu, named, Infinity);
    const [length = 0] = lengths;
    const values = keep(Tensor.zeros(this.#gpu, [length], { label }));
    const before = keep(Tensor.zeros(this.#gpu, [length], { label: `${label} before a step` }));
    for (const [index, { start }] of places.entries()) statistics[index]!.tensor.moveInto(values, start);
    return { values, before };
  }
}
