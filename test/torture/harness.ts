// What the themes of `npm run test:torture` share: how long, from which seed, and what was measured.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { CounterRandom, type Random } from '../../src/tensor/random.js';

/** `long`, or a share of the long form such as `0.1`; without it the short form. */
const form = process.env['RETINAFACE_TORTURE'] ?? 'short';

/** Where all draws start from; `RETINAFACE_TORTURE_SEED` repeats a run that failed, or makes another. */
export const seed = Number(process.env['RETINAFACE_TORTURE_SEED'] ?? 1);

/** How often something is done, in the form that was asked for. */
export function times(short: number, long: number): number {
  if (form === 'short') return short;
  const share = form === 'long' ? 1 : Number(form);
  if (!(share > 0 && share <= 1)) throw new RangeError(`RETINAFACE_TORTURE is '${form}': short, long or a share of 1`);
  return Math.max(1, Math.round(long * share));
}

/** The draws of one case of a theme: a function of the seed, the theme and the number alone, so that a case can be repeated. */
export function randomOfCase(theme: string, index: number): Random {
  return new CounterRandom([seed, ...Buffer.from(theme), index]);
}

let since = performance.now();

/** Prints what a theme measured, with the form and the seed that repeat it, the time it took and the most memory so far. */
export function figures(theme: string, numbers: Readonly<Record<string, number | string>>): void {
  const seconds = Math.round((performance.now() - since) / 1000);
  since = performance.now();
  // In KiB, on every platform.
  const peak = Math.round(process.resourceUsage().maxRSS / 1024);
  const all = { ...numbers, seconds, 'MiB of memory at most': peak };
  const text = Object.entries(all).map(([name, value]) => `${name} ${round(value)}`);
  console.log(`${theme} (${form}, seed ${seed}): ${text.join(', ')}`);
}

function round(value: number | string): string {
  if (typeof value === 'string') return value;
  return Number.isInteger(value) ? value.toLocaleString('en') : value.toPrecision(4);
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const MEBIBYTE = 2 ** 20;

/** Bytes by what holds them. */
type Bytes = Readonly<Record<string, number>>;

/** What this process holds, after what is garbage is gone: all of it, and of that the objects and arrays of JavaScript. */
function processBytes(): Bytes {
  collect();
  collect();
  const { rss, heapUsed, external } = process.memoryUsage();
  return { process: rss, JavaScript: heapUsed + external };
}

/**
 * Memory over a long loop. It grows at first, while caches, pools and the heaps of the allocators fill; from a third of the way
 * on it must not: the second third is compared with the last by the least of its samples, for what waits to be collected or
 * to be given back comes and goes.
 */
export class MemoryTrend {
  readonly #samples: { readonly at: number; readonly bytes: Bytes }[] = [];
  readonly #every: number;
  readonly #total: number;
  readonly #also: () => Bytes;

  /** `total`: rounds of the loop. `also`: what is measured beside the process. */
  constructor(total: number, samples = 30, also: () => Bytes = () => ({})) {
    this.#total = total;
    this.#every = Math.max(1, Math.floor(total / samples));
    this.#also = also;
  }

  /** To be called once a round, from 0. */
  note(round: number): void {
    if (round % this.#every === 0 || round === this.#total - 1) {
      this.#samples.push({ at: round / this.#total, bytes: { ...processBytes(), ...this.#also() } });
    }
  }

  /** Of each what it is at the end, and how much more than in the middle of the loop, in MiB. */
  get figures(): Readonly<Record<string, number>> {
    const result: Record<string, number> = {};
    for (const [name, bytes] of Object.entries(this.#samples.at(-1)?.bytes ?? {})) {
      result[`MiB of ${name} at the end`] = bytes / MEBIBYTE;
      const growth = this.growthOf(name);
      // A loop may be too short to tell.
      if (Number.isFinite(growth)) result[`MiB of ${name} grown since a third`] = growth / MEBIBYTE;
    }
    return result;
  }

  /** Bytes that the last third of the process's samples holds more than the second. */
  get growth(): number {
    return this.growthOf('process');
  }

  /** The same of something else that is measured. */
  growthOf(name: string): number {
    const least = (from: number, to: number): number =>
      Math.min(...this.#samples.filter(({ at }) => at >= from && at < to).map(({ bytes }) => bytes[name]!));
    return least(2 / 3, 1) - least(1 / 3, 2 / 3);
  }
}

/** Fails with the first of the faults that a theme met, each on lines of its own. */
export function assertNoFaults(faults: readonly string[]): void {
  if (faults.length === 0) return;
  const shown = faults.slice(0, 10).map((fault) => `- ${fault.slice(0, 1500)}`);
  // Not by a comparison, whose report would show all of them three times.
  throw new Error(`${faults.length} faults with seed ${seed}:\n${shown.join('\n')}`);
}
