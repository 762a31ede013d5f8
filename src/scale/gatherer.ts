/** How many are gathered, and for how long. */
export interface Gathering {
  /** A group of so many is full. */
  readonly most: number;
  /** Milliseconds that the first of a group waits for others. */
  readonly wait: number;
}

interface Waiting<T> {
  readonly item: T;
  readonly since: number;
}

/**
 * Gathers what can be searched together, by a key: a group is ready when it is full, or when its first has waited long enough. Of
 * several that are ready, the one whose first came first is taken, so that none waits for ever. Times are in milliseconds of any
 * one clock.
 */
export class Gatherer<T> {
  readonly #most: number;
  readonly #wait: number;
  readonly #groups = new Map<string, Waiting<T>[]>();

  constructor({ most, wait }: Gathering) {
    this.#most = most;
    this.#wait = wait;
  }

  add(key: string, item: T, now: number): void {
    const group = this.#groups.get(key);
    if (group) group.push({ item, since: now });
    else this.#groups.set(key, [{ item, since: now }]);
  }

  /** Takes an item out again; false where it is not here any more. */
  remove(item: T): boolean {
    for (const [key, group] of this.#groups) {
      const place = group.findIndex((waiting) => waiting.item === item);
      if (place < 0) continue;
      group.splice(place, 1);
      if (group.length === 0) this.#groups.delete(key);
      return true;
    }
    return false;
  }

  /** The next group, in the order in which its items came; or the milliseconds until one is ready; undefined where nothing waits. */
  take(now: number): readonly T[] | number | undefined {
    let ready: string | undefined;
    let first = Infinity;
    let soonest: number | undefined;
    for (const [key, group] of this.#groups) {
      const { since } = group[0]!;
      const left = group.length >= this.#most ? 0 : Math.max(0, since + this.#wait - now);
      soonest = Math.min(soonest ?? Infinity, left);
      if (left > 0 || since >= first) continue;
      first = since;
      ready = key;
    }
    if (ready === undefined) return soonest;
    const group = this.#groups.get(ready)!;
    const taken = group.splice(0, this.#most);
    if (group.length === 0) this.#groups.delete(ready);
    return taken.map(({ item }) => item);
  }
}
