/** A line on stderr that is written over as work goes on; silent where stderr is no terminal. */
export class Progress {
  readonly #total: number;
  readonly #shown: boolean;
  readonly #start = performance.now();
  #done = 0;
  #drawn = 0;

  /** `total`: pictures to come; `quiet` shows nothing. */
  constructor(total: number, quiet: boolean) {
    this.#total = total;
    this.#shown = !quiet && process.stderr.isTTY && total > 1;
  }

  advance(count: number): void {
    this.#done += count;
    const now = performance.now();
    if (!this.#shown || (now - this.#drawn < 100 && this.#done < this.#total)) return;
    this.#drawn = now;
    const rate = (this.#done * 1000) / (now - this.#start);
    const left = Math.ceil((this.#total - this.#done) / rate);
    const filled = Math.round((24 * this.#done) / this.#total);
    const bar = '█'.repeat(filled) + '░'.repeat(24 - filled);
    process.stderr.write(`\r${bar} ${this.#done}/${this.#total}  ${rate.toFixed(1)} pictures/s  ${left} s left \x1b[K`);
  }

  /** Takes the line away. */
  end(): void {
    if (this.#shown) process.stderr.write('\r\x1b[K');
  }
}
