import type { Checks } from './checks.js';
import type { KernelName } from './linker.js';

/** One kernel's share of a profile. */
export interface KernelTiming {
  readonly kernel: KernelName;
  readonly nanoseconds: number;
}

/** Dispatches that one query set times: two timestamps each, of the 4,096 that a set may have. */
const SET = 2048;
const MAP_READ = 0x01 | 0x08; // MAP_READ | COPY_DST
const RESOLVE = 0x200 | 0x04; // QUERY_RESOLVE | COPY_SRC

/** Timestamps of dispatches, in as many query sets as it takes. */
export class Profile {
  /** How often the dispatch of the pass that was opened last runs in a row. */
  runs = 1;
  readonly #device: GPUDevice;
  readonly #runsOf: (index: number) => number;
  readonly #timed: { readonly kernel: KernelName; readonly runs: number }[] = [];
  readonly #sets: GPUQuerySet[] = [];

  constructor(device: GPUDevice, runsOf: (index: number) => number = () => 1) {
    this.#device = device;
    this.#runsOf = runsOf;
  }

  /** What a pass of one dispatch must be opened with to be timed. */
  next(kernel: KernelName): GPUComputePassDescriptor {
    const index = this.#timed.length;
    this.runs = this.#runsOf(index);
    this.#timed.push({ kernel, runs: this.runs });
    const at = (index % SET) * 2;
    if (at === 0) this.#sets.push(this.#device.createQuerySet({ type: 'timestamp', count: SET * 2 }));
    const timestampWrites = {
      querySet: this.#sets.at(-1)!,
      beginningOfPassWriteIndex: at,
      endOfPassWriteIndex: at + 1,
    };
    return { label: kernel, timestampWrites };
  }

  /** Reads the times, in order. `submit` takes what an encoder was told. */
  async read(checks: Checks, submit: (encode: (encoder: GPUCommandEncoder) => void) => void): Promise<KernelTiming[]> {
    const count = this.#timed.length;
    const size = Math.max(1, this.#sets.length) * SET * 16;
    const resolved = this.#device.createBuffer({ size, usage: RESOLVE, label: 'timestamps' });
    const staging = this.#device.createBuffer({ size, usage: MAP_READ, label: 'timestamps read-back' });
    try {
      submit((encoder) => {
        for (const [i, set] of this.#sets.entries()) {
          encoder.resolveQuerySet(set, 0, Math.min(SET, count - i * SET) * 2, resolved, i * SET * 16);
        }
        encoder.copyBufferToBuffer(resolved, 0, staging, 0, size);
      });
      await checks.settle(staging.mapAsync(0x01));
      const times = new BigInt64Array(staging.getMappedRange());
      return this.#timed.map(({ kernel, runs }, i) => ({
        kernel,
        nanoseconds: Number(times[2 * i + 1]! - times[2 * i]!) / runs,
      }));
    } finally {
      resolved.destroy();
      staging.destroy();
    }
  }

  dispose(): void {
    for (const set of this.#sets) set.destroy();
  }
}
