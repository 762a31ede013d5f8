/**
 * A mean over about the last `span` values: exponential, and corrected for its beginning, so that it starts at the first
 * value instead of at zero. What is no number, or infinite, is left out.
 */
export class Smoothed {
  readonly #keep: number;
  #sum = 0;
  #weight = 0;

  /** `span`: values after which an older one counts for 1/e² of its share. */
  constructor(span: number) {
    this.#keep = 1 - 2 / (span + 1);
  }

  add(value: number): void {
    if (!Number.isFinite(value)) return;
    this.#sum = this.#keep * this.#sum + value;
    this.#weight = this.#keep * this.#weight + 1;
  }

  /** NaN before the first value. */
  get value(): number {
    return this.#sum / this.#weight;
  }
}

/** The smoothed curve through `values`, as long as they are; NaN until the first number. */
export function smooth(values: readonly number[], span: number): number[] {
  const smoothed = new Smoothed(span);
  return values.map((value) => {
    smoothed.add(value);
    return smoothed.value;
  });
}

/** How fast work goes, over the last pieces of it. Times are seconds of any clock that does not go back. */
export class Speed {
  readonly #pieces: { readonly count: number; readonly seconds: number }[] = [];
  readonly #window: number;
  #since: number;

  /** `now`: when work begins. `window`: how many pieces count. */
  constructor(now: number, window = 50) {
    this.#since = now;
    this.#window = window;
  }

  /** Leaves the time since the last piece out: something else was done, as an evaluation. */
  resume(now: number): void {
    this.#since = now;
  }

  /** A piece of `count` (pictures) is done. */
  add(count: number, now: number): void {
    this.#pieces.push({ count, seconds: now - this.#since });
    if (this.#pieces.length > this.#window) this.#pieces.shift();
    this.#since = now;
  }

  /** Per second; NaN before the first piece. */
  get rate(): number {
    const [count, seconds] = this.#pieces.reduce<[number, number]>(
      ([counts, times], piece) => [counts + piece.count, times + piece.seconds],
      [0, 0],
    );
    return count / seconds;
  }

  /** Seconds that `count` more will take; NaN before the first piece. */
  left(count: number): number {
    return count / this.rate;
  }
}

/** A time in its two largest units: `42 s`, `3 min 05 s`, `2 h 07 min`, `4 d 03 h`; `?` for what is not known yet. */
export function formatSeconds(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?';
  const whole = Math.max(0, Math.round(seconds));
  const two = (value: number): string => String(value).padStart(2, '0');
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${two(whole % 60)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${two(minutes % 60)} min`;
  return `${Math.floor(hours / 24)} d ${two(hours % 24)} h`;
}
