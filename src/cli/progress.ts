import { formatSeconds } from '../train/metrics.js';

const BAR = 24;
/** Milliseconds between two drawings of the line, and between two lines where nothing can be written over. */
const REDRAW = 100;
const LINES = 10_000;

/** How far work on pictures is. */
export interface Standing {
  readonly total: number;
  readonly done: number;
  /** Of those done, how many an earlier process did. */
  readonly kept: number;
  /** Seconds of this process. */
  readonly seconds: number;
}

/** How far, how fast and how long yet; rate and time left are of what this process did. */
export function progressText({ total, done, kept, seconds }: Standing): string {
  const count = (n: number): string => n.toLocaleString('en');
  const far = `${count(done)}/${count(total)}${kept > 0 ? ` (${count(kept)} kept)` : ''}`;
  const rate = (done - kept) / seconds;
  if (!(rate > 0 && rate < Infinity)) return far;
  return `${far}  ${rate.toFixed(1)} pictures/s  ${formatSeconds((total - done) / rate)} left`;
}

/** A line on stderr that is written over as work goes on; where stderr is no terminal, a new one every ten seconds. */
export class Progress {
  readonly #total: number;
  readonly #shown: boolean;
  readonly #terminal = process.stderr.isTTY;
  readonly #start = performance.now();
  #done = 0;
  #kept = 0;
  #drawn = this.#start;

  /** `total`: pictures to come; `quiet` shows nothing. */
  constructor(total: number, quiet: boolean) {
    this.#total = total;
    this.#shown = !quiet && total > 1;
  }

  /** `kept` of these `count` pictures an earlier process did. */
  advance(count: number, kept = 0): void {
    this.#done += count;
    this.#kept += kept;
    const now = performance.now();
    if (!this.#shown || now - this.#drawn < (this.#terminal ? REDRAW : LINES)) return;
    this.#drawn = now;
    const [total, done] = [this.#total, this.#done];
    const text = progressText({ total, done, kept: this.#kept, seconds: (now - this.#start) / 1000 });
    const filled = Math.round((BAR * done) / total);
    const bar = '█'.repeat(filled) + '░'.repeat(BAR - filled);
    process.stderr.write(this.#terminal ? `\r${bar} ${text} \x1b[K` : `${text}\n`);
  }

  /** Takes the line away. */
  end(): void {
    if (this.#shown && this.#terminal) process.stderr.write('\r\x1b[K');
  }
}
