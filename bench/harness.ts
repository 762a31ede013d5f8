import type { Gpu } from '../src/gpu/gpu.js';

/** One thing to time. */
export interface Row {
  readonly name: string;
  /** Floating-point operations of one run, where they bound it. */
  readonly flops?: number;
  /** Bytes that one run must at least read and write, where they bound it. */
  readonly bytes?: number;
  /** Makes the inputs; answers what is timed (encoding, or a whole detection) and how to free it. */
  readonly prepare: (gpu: Gpu) => Timed | Promise<Timed>;
}

/** What a row times. */
export interface Timed {
  readonly run: () => void | Promise<void>;
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
}

const MIN_SAMPLES = 5;
const MAX_SAMPLES = 30;
const BUDGET_MS = 3000;

/** Checks, warms up and times one row: wall clock from encoding to the end of the work, until samples or time suffice. */
export async function measure(gpu: Gpu, row: Row): Promise<Result> {
  const timed = await row.prepare(gpu);
  try {
    gpu.resetPeakMemory();
    const once = async (): Promise<number> => {
      const start = performance.now();
      await timed.run();
      await gpu.finish();
      return performance.now() - start;
    };
    await once();
    await timed.check?.();
    const samples: number[] = [];
    const begin = performance.now();
    while (samples.length < MIN_SAMPLES || (samples.length < MAX_SAMPLES && performance.now() - begin < BUDGET_MS)) {
      samples.push(await once());
    }
    samples.sort((a, b) => a - b);
    const quantile = (q: number): number => samples[Math.round(q * (samples.length - 1))]!;
    const median = quantile(0.5);
    return {
      name: row.name,
      median,
      p10: quantile(0.1),
      p90: quantile(0.9),
      gflops: row.flops === undefined ? undefined : row.flops / median / 1e6,
      gbytes: row.bytes === undefined ? undefined : row.bytes / median / 1e6,
      peakBytes: gpu.memory().peakBytes,
    };
  } finally {
    timed.dispose();
  }
}
