import type { Gpu } from '../../src/gpu/gpu.js';
import type { KernelName } from '../../src/gpu/linker.js';
import { leastSeconds, type Peaks } from './peaks.js';
import { type Dispatched, workOf } from './work.js';

/** One kernel at one shape: all dispatches of a run that do the same. */
export interface Point {
  readonly kernel: KernelName;
  readonly shape: string;
  /** Dispatches of a run. */
  readonly count: number;
  /** Of one dispatch. */
  readonly flops: number;
  readonly bytes: number;
  readonly seconds: number;
  /** Floating-point operations for each byte. */
  readonly intensity: number;
  /** What the adapter would need at least, over what it took. Over 1 where caches held what the last kernel wrote. */
  readonly share: number;
}

/** Each dispatch runs in a row until it takes so long, or so often. */
const LEAST_NS = 200_000;
const MOST_RUNS = 64;

/** All that `run` gives to the device, in order. */
async function trace(gpu: Gpu, run: () => unknown): Promise<Dispatched[]> {
  const list: Dispatched[] = [];
  const encode = gpu.run.bind(gpu);
  gpu.run = (name, dispatch) => {
    if (!gpu.busy && !dispatch.grid.includes(0)) {
      const { params, buffers, conditions = {}, constants = {} } = dispatch;
      list.push({ name, params, buffers, conditions, constants });
    }
    encode(name, dispatch);
  };
  try {
    await run();
  } finally {
    // The method of the class shows again.
    delete (gpu as Partial<Gpu>).run;
  }
  return list;
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!;

/**
 * Times each dispatch of `run` by the device's own clock, in its place among the others: the median of `rounds`, short ones
 * many times in a row. `run` encodes the same each time; its first call must not be a plan's replay.
 */
export async function measurePoints(gpu: Gpu, peaks: Peaks, run: () => unknown, rounds: number): Promise<Point[]> {
  const traced = await trace(gpu, run);
  const works = traced.map(workOf);
  // The second is recorded where there are plans.
  await run();
  const times = async (runsOf?: (index: number) => number): Promise<number[]> => {
    const timings = await gpu.profile(async () => {
      await run();
    }, runsOf);
    const same = timings.length === traced.length && timings.every(({ kernel }, i) => kernel === traced[i]!.name);
    if (!same)
      throw new Error(`${timings.length} dispatches are timed, not the ${traced.length} that were seen before`);
    return timings.map(({ nanoseconds }) => nanoseconds);
  };
  const rough = await times();
  const runs = rough.map((ns) => Math.max(1, Math.min(MOST_RUNS, Math.ceil(LEAST_NS / Math.max(1, ns)))));
  const all: number[][] = [];
  for (let round = 0; round < rounds; round++) all.push(await times((index) => runs[index]!));
  const groups = new Map<string, number[]>();
  for (const [i, { name }] of traced.entries()) {
    const key = `${name} ${works[i]!.shape} ${works[i]!.bytes}`;
    groups.set(key, [...(groups.get(key) ?? []), i]);
  }
  return [...groups.values()].map((indices) => {
    const { flops, bytes, shape } = works[indices[0]!]!;
    const seconds = median(all.flatMap((round) => indices.map((i) => round[i]!))) / 1e9;
    return {
      kernel: traced[indices[0]!]!.name,
      shape,
      count: indices.length,
      flops,
      bytes,
      seconds,
      intensity: flops / bytes,
      share: leastSeconds(peaks, flops, bytes) / seconds,
    };
  });
}
