import type { Gpu } from '../src/gpu/gpu.js';

/** One thing to time. */
export interface Row {
  readonly name: string;
  /** Floating-point operations of one run, where they bound it. */
  readonly flops?: number | ((gpu: Gpu) => number);
  /** Bytes that one run must at least read and write, where they bound it. */
  readonly bytes?: number;
  /** Why this device cannot run the row; undefined where it can. */
  readonly unfit?: (gpu: Gpu) => string | undefined;
  /** Needs so much time or memory that an adapter on the CPU runs it only where it is named in full. */
  readonly heavy?: (gpu: Gpu) => boolean;
  /** Runs that are timed, where time does not decide. */
  readonly samples?: number;
  /** Makes the inputs; answers what is timed (encoding, or a whole detection) and how to free it. */
  readonly prepare: (gpu: Gpu) => Timed | Promise<Timed>;
}

/** What a row times. */
export interface Timed {
  /**
   * Answers the milliseconds that it measured itself, or something else, or a promise of either: then the wall clock counts.
   * What answers no promise only encodes: the time it takes is the host's.
   */
  readonly run: () => unknown;
  /** Throws when the result is wrong: a fast wrong kernel is no result. */
  readonly check?: () => void | Promise<void>;
  readonly dispose: () => void;
}

/** Times of one row, in milliseconds. */
export interface Result {
  readonly name: string;
  readonly median: number;
  readonly p10: number;
  readonly p90: number;
  readonly gflops: number | undefined;
  readonly gbytes: number | undefined;
  readonly peakBytes: number;
  /** The greatest that the device held for tensors: in use, kept for reuse, and given up but not yet done with. */
  readonly peakDeviceBytes: number;
  /** Buffers and bind groups that the last run made: none, where all that it needs was kept. */
  readonly buffersMade: number;
  readonly bindGroupsMade: number;
  /** Where a run only encodes: median of the milliseconds before the host is done and waits for the device. */
  readonly hostMs?: number;
  /** Of `median`, the part that the host takes. */
  readonly hostShare?: number;
}

const MIN_SAMPLES = 5;
const MAX_SAMPLES = 30;
const BUDGET_MS = 3000;
/** A row whose runs take longer than this is run only as often as a median needs. */
const LONG_MS = 10_000;
const LONG_SAMPLES = 3;

/** Checks, warms up and times one row: wall clock from encoding to the end of the work, until samples or time suffice. */
export async function measure(gpu: Gpu, row: Row): Promise<Result> {
  // What other rows left for reuse is not this row's memory.
  gpu.trim();
  const timed = await row.prepare(gpu);
  try {
    const host: number[] = [];
    const once = async (): Promise<number> => {
      const start = performance.now();
      const running = timed.run();
      if (!(running instanceof Promise) && typeof running !== 'number') {
        gpu.flush();
        host.push(performance.now() - start);
      }
      const own: unknown = await running;
      await gpu.finish();
      return typeof own === 'number' ? own : performance.now() - start;
    };
    const first = await once();
    const least = row.samples ?? (first > LONG_MS ? LONG_SAMPLES : MIN_SAMPLES);
    const most = row.samples ?? MAX_SAMPLES;
    const flops = typeof row.flops === 'function' ? row.flops(gpu) : row.flops;
    await timed.check?.();
    // What the check held is not the row's.
    gpu.resetPeakMemory();
    host.length = 0;
    const samples: number[] = [];
    const begin = performance.now();
    let before = gpu.counters();
    while (samples.length < least || (samples.length < most && performance.now() - begin < BUDGET_MS)) {
      before = gpu.counters();
      samples.push(await once());
    }
    const after = gpu.counters();
    const { peakBytes, peakDeviceBytes } = gpu.memory();
    const quantile = (q: number, of = samples): number =>
      [...of].sort((a, b) => a - b)[Math.round(q * (of.length - 1))]!;
    const median = quantile(0.5);
    const hostMs = host.length > 0 ? quantile(0.5, host) : undefined;
    return {
      name: row.name,
      median,
      p10: quantile(0.1),
      p90: quantile(0.9),
      gflops: flops === undefined ? undefined : flops / median / 1e6,
      gbytes: row.bytes === undefined ? undefined : row.bytes / median / 1e6,
      peakBytes,
      peakDeviceBytes,
      buffersMade: after.buffers - before.buffers,
      bindGroupsMade: after.bindGroups - before.bindGroups,
      ...(hostMs === undefined ? {} : { hostMs, hostShare: hostMs / median }),
    };
  } finally {
    timed.dispose();
  }
}
