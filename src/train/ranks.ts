/**
 * Processes that train one network together, seen from one of them. Each computes its part of every step; what they exchange,
 * they exchange by these calls, which all of them make in the same order. Nothing here knows what carries it.
 */
export interface Ranks {
  /** Which of them this is, from 0. */
  readonly rank: number;
  /** How many they are, 1 or more. */
  readonly size: number;
  /**
   * Piece p of `bytes` goes to rank p; answers the own piece of every rank, in their order. Piece p reaches from `bounds[p]` to
   * `bounds[p + 1]`, the same bounds in every rank.
   */
  exchange(bytes: Uint8Array, bounds: readonly number[]): Promise<readonly Uint8Array[]>;
  /** Answers what every rank gave, in their order; their lengths may differ. */
  gather(bytes: Uint8Array): Promise<readonly Uint8Array[]>;
  /** Answers what rank 0 gave; what others give is not looked at. */
  broadcast(bytes: Uint8Array): Promise<Uint8Array>;
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** The numbers in some bytes, which need not begin where numbers may. */
const numbersOf = (bytes: Uint8Array): Float32Array<ArrayBuffer> => new Float32Array(bytes.slice().buffer);

/** The numbers of every rank, in their order. */
export async function gatherNumbers(ranks: Ranks, values: Float32Array): Promise<Float32Array<ArrayBuffer>[]> {
  return (await ranks.gather(bytesOf(values))).map(numbersOf);
}

/** The counts of every rank, one after another in their order. */
export async function gatherCounts(ranks: Ranks, counts: Uint32Array): Promise<Uint32Array<ArrayBuffer>> {
  const all = (await ranks.gather(bytesOf(counts))).map((bytes) => new Uint32Array(bytes.slice().buffer));
  const joined = new Uint32Array(all.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of all) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** True where one rank or more says so. */
export async function anyRank(ranks: Ranks | undefined, here: boolean): Promise<boolean> {
  if (!ranks) return here;
  return (await ranks.gather(Uint8Array.of(here ? 1 : 0))).some(([said]) => said === 1);
}

/** What rank 0 computes, in all of them, as JSON carries it; the others wait for it. */
export async function fromFirst<T>(ranks: Ranks | undefined, compute: () => Promise<T>): Promise<T> {
  if (!ranks) return compute();
  const own = ranks.rank === 0 ? JSON.stringify(await compute()) : '';
  return JSON.parse(new TextDecoder().decode(await ranks.broadcast(new TextEncoder().encode(own)))) as T;
}

/**
 * Ranks that hold other bytes than rank 0 does; none where all hold the same. Compared by SHA-256, so that large
 * pieces cost no traffic.
 */
export async function ranksThatDiffer(ranks: Ranks, bytes: Uint8Array): Promise<number[]> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>));
  const [first, ...others] = await ranks.gather(digest);
  return others.flatMap((other, i) => (other.every((byte, k) => byte === first![k]) ? [] : [i + 1]));
}

/**
 * The sum of arrays of one length over ranks, and over rounds of them, always in the order round by round and rank by rank:
 * `((a₀ + b₀) + a₁) + b₁` for two ranks and two rounds. That is how one process adds up the parts of a step, so that the bits
 * are its. Each rank sums one piece of the array, and each number travels once to be summed and once back.
 */
export class OrderedSum {
  readonly #ranks: Ranks;
  /** In bytes. */
  readonly #bounds: readonly number[];
  #sum: Float32Array<ArrayBuffer> | undefined;

  /** `length`: numbers of the array. */
  constructor(ranks: Ranks, length: number) {
    this.#ranks = ranks;
    this.#bounds = Array.from({ length: ranks.size + 1 }, (_, p) => 4 * Math.floor((length * p) / ranks.size));
  }

  /** Adds the arrays of all ranks, of which `values` is this one's. */
  async add(values: Float32Array): Promise<void> {
    for (const bytes of await this.#ranks.exchange(bytesOf(values), this.#bounds)) {
      const piece = numbersOf(bytes);
      const sum = this.#sum;
      if (!sum) this.#sum = piece;
      // A sum of two float32 in double precision, rounded: what float32 addition gives.
      else for (let i = 0; i < piece.length; i++) sum[i]! += piece[i]!;
    }
  }

  /** The whole sum, in every rank. */
  async end(): Promise<Float32Array<ArrayBuffer>> {
    const whole = new Uint8Array(this.#bounds[this.#ranks.size]!);
    const pieces = await this.#ranks.gather(bytesOf(this.#sum!));
    for (const [p, piece] of pieces.entries()) whole.set(piece, this.#bounds[p]);
    return new Float32Array(whole.buffer);
  }
}
