import { hostname } from 'node:os';
import { RetinaFaceError } from '../gpu/errors.js';
import type { Ranks } from '../train/ranks.js';
import { optionalPackage } from './optional.js';

/** MPI is asked for, and cannot be had. */
export class MpiError extends RetinaFaceError {
  override readonly name = 'MpiError';
}

/** One after the other, where a loader looks for Open MPI; all versions from 1.10 to 5 have the first name. */
const LIBRARIES = ['libmpi.so.40', 'libmpi.so', 'libmpi.dylib'];

/** What `MPI_Init_thread` is asked for: calls from several threads, one at a time. */
const MPI_THREAD_SERIALIZED = 2;

/** Bytes that one call carries at most: MPI counts in 32 bits. */
const MOST = 2 ** 30;

/** Milliseconds between two looks at whether a long wait is over. */
const LOOK = 5;

/** Addresses of what MPI calls handles, as Open MPI has them: of objects in the library. */
interface Handles {
  readonly world: unknown;
  readonly byte: unknown;
}

type Call = (...args: readonly unknown[]) => number;

/** A function of the library, also in a thread of its own. */
interface Native extends Call {
  readonly async: (...args: readonly unknown[]) => void;
}

type Functions = Record<
  | 'MPI_Init_thread'
  | 'MPI_Comm_rank'
  | 'MPI_Comm_size'
  | 'MPI_Alltoallv'
  | 'MPI_Allgather'
  | 'MPI_Allgatherv'
  | 'MPI_Bcast'
  | 'MPI_Ibarrier'
  | 'MPI_Test'
  | 'MPI_Finalize'
  | 'MPI_Abort',
  Native
>;

const POINTER = 'void *';
const SIGNATURES: Readonly<Record<keyof Functions, readonly string[]>> = {
  MPI_Init_thread: [POINTER, POINTER, 'int', POINTER],
  MPI_Comm_rank: [POINTER, POINTER],
  MPI_Comm_size: [POINTER, POINTER],
  MPI_Alltoallv: Array.from({ length: 9 }, () => POINTER),
  MPI_Allgather: [POINTER, 'int', POINTER, POINTER, 'int', POINTER, POINTER],
  MPI_Allgatherv: [POINTER, 'int', POINTER, POINTER, POINTER, POINTER, POINTER, POINTER],
  MPI_Bcast: [POINTER, 'int', POINTER, 'int', POINTER],
  MPI_Ibarrier: [POINTER, POINTER],
  MPI_Test: [POINTER, POINTER, POINTER],
  MPI_Finalize: [],
  MPI_Abort: [POINTER, 'int'],
};

/**
 * How many processes `mpirun` of Open MPI started this one among; 1 where it did not, or where another MPI did.
 */
export function startedRanks(environment: NodeJS.ProcessEnv = process.env): number {
  const size = Number(environment['OMPI_COMM_WORLD_SIZE'] ?? 1);
  return Number.isInteger(size) && size > 1 ? size : 1;
}

/** Processes that `mpirun` started together, through Open MPI's library. Each call waits in a thread; the event loop stays free. */
export class MpiRanks implements Ranks {
  readonly rank: number;
  readonly size: number;
  /** Of those on this machine which, and how many they are. */
  readonly localRank: number;
  readonly localSize: number;
  /** `rank 1 of 2 on node7`. */
  readonly name: string;
  readonly #mpi: Functions;
  readonly #handles: Handles;
  /** Calls wait for those before them: one thread at a time is inside MPI. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(mpi: Functions, handles: Handles) {
    this.#mpi = mpi;
    this.#handles = handles;
    const number = new Int32Array(1);
    mpi.MPI_Comm_rank(handles.world, number);
    this.rank = number[0]!;
    mpi.MPI_Comm_size(handles.world, number);
    this.size = number[0]!;
    this.localRank = Number(process.env['OMPI_COMM_WORLD_LOCAL_RANK'] ?? 0);
    this.localSize = Number(process.env['OMPI_COMM_WORLD_LOCAL_SIZE'] ?? 1);
    this.name = `rank ${this.rank} of ${this.size} on ${hostname()}`;
  }

  /**
   * Joins the processes that `mpirun` started with this one; once in a process.
   * @throws MissingPackageError without the package koffi, MpiError without Open MPI's library or where it cannot be used.
   */
  static async join(operation: string): Promise<MpiRanks> {
    const { default: koffi } = await optionalPackage('koffi', () => import('koffi'), operation);
    const problem = (got: string, remedy: string, cause?: unknown): MpiError =>
      new MpiError({
        operation,
        expected: "Open MPI's library, whose mpirun started this process",
        got,
        remedy,
        cause,
      });
    // Ranks that wait leave their core to others: to a software driver, most of all.
    process.env['OMPI_MCA_mpi_yield_when_idle'] ??= '1';
    let library;
    let failure: unknown;
    for (const name of LIBRARIES) {
      try {
        // Its plug-ins look for its symbols.
        library = koffi.load(name, { global: true });
        break;
      } catch (cause) {
        failure ??= cause;
      }
    }
    if (!library) {
      throw problem(
        failure instanceof Error ? failure.message : 'none',
        'Install it (Debian: `apt install openmpi-bin`), or name its folder in LD_LIBRARY_PATH.',
        failure,
      );
    }
    let mpi: Functions;
    let handles: Handles;
    try {
      const open = library;
      mpi = Object.fromEntries(
        Object.entries(SIGNATURES).map(([name, args]) => [name, open.func(name, 'int', [...args])]),
      ) as unknown as Functions;
      handles = { world: open.symbol('ompi_mpi_comm_world'), byte: open.symbol('ompi_mpi_byte') };
    } catch (cause) {
      throw problem(
        cause instanceof Error ? cause.message : String(cause),
        'Use the mpirun and the library of one Open MPI, 4 or 5: the symbols of another MPI are others.',
        cause,
      );
    }
    const provided = new Int32Array(1);
    const code = mpi.MPI_Init_thread(null, null, MPI_THREAD_SERIALIZED, provided);
    if (code !== 0 || provided[0]! < MPI_THREAD_SERIALIZED) {
      throw problem(
        code === 0 ? 'one that is used from one thread alone' : `error ${code} of MPI_Init_thread`,
        'Use an Open MPI that is built with threads, as all of the last years are.',
      );
    }
    const ranks = new MpiRanks(mpi, handles);
    if (ranks.size === startedRanks()) return ranks;
    throw problem(
      `one that knows of ${ranks.size} process, where OMPI_COMM_WORLD_SIZE says ${startedRanks()}`,
      'Start it with the mpirun that belongs to the library, or without that variable.',
    );
  }

  exchange(bytes: Uint8Array, bounds: readonly number[]): Promise<readonly Uint8Array[]> {
    const { byte, world } = this.#handles;
    const own = bounds[this.rank + 1]! - bounds[this.rank]!;
    const all = new Uint8Array(own * this.size);
    const given = Int32Array.from({ length: this.size }, (_, p) => bounds[p + 1]! - bounds[p]!);
    const starts = Int32Array.from(bounds.slice(0, -1));
    const taken = new Int32Array(this.size).fill(own);
    const places = Int32Array.from({ length: this.size }, (_, p) => p * own);
    return this.#inTurn(async () => {
      await this.#call('MPI_Alltoallv', bytes, given, starts, byte, all, taken, places, byte, world);
      return Array.from(places, (place) => all.subarray(place, place + own));
    });
  }

  gather(bytes: Uint8Array): Promise<readonly Uint8Array[]> {
    const { byte, world } = this.#handles;
    return this.#inTurn(async () => {
      const lengths = new Int32Array(this.size);
      await this.#call('MPI_Allgather', Int32Array.of(bytes.length), 4, byte, lengths, 4, byte, world);
      const places = new Int32Array(this.size);
      for (let p = 1; p < this.size; p++) places[p] = places[p - 1]! + lengths[p - 1]!;
      const all = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0));
      await this.#call('MPI_Allgatherv', bytes, bytes.length, byte, all, lengths, places, byte, world);
      return Array.from(places, (place, p) => all.subarray(place, place + lengths[p]!));
    });
  }

  broadcast(bytes: Uint8Array): Promise<Uint8Array> {
    const { byte, world } = this.#handles;
    return this.#inTurn(async () => {
      // Rank 0 may first have minutes of work, in which the others leave the cores alone.
      await this.#meet();
      const length = Float64Array.of(bytes.length);
      await this.#call('MPI_Bcast', length, 8, byte, 0, world);
      const all = this.rank === 0 ? bytes : new Uint8Array(length[0]!);
      for (let at = 0; at < all.length; at += MOST) {
        const part = all.subarray(at, at + MOST);
        await this.#call('MPI_Bcast', part, part.length, byte, 0, world);
      }
      return all;
    });
  }

  /** Leaves the others: all of them do, when all is done. */
  async end(): Promise<void> {
    await this.#inTurn(async () => {
      await this.#meet();
      this.#mpi.MPI_Finalize();
    });
  }

  /** Ends this process and all others at once; `mpirun` then ends with this exit code. */
  abort(code: number): never {
    this.#mpi.MPI_Abort(this.#handles.world, code);
    process.exit(code);
  }

  /** Waits for all ranks, and looks now and then. */
  async #meet(): Promise<void> {
    const request = new BigUint64Array(1);
    const done = new Int32Array(1);
    this.#mpi.MPI_Ibarrier(this.#handles.world, request);
    for (;;) {
      this.#mpi.MPI_Test(request, done, null);
      if (done[0] !== 0) return;
      await new Promise((resolve) => setTimeout(resolve, LOOK));
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** Calls MPI in a thread; what it reads and writes is held until then. Errors end the process inside, as MPI has it. */
  #call(name: keyof Functions, ...args: readonly unknown[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#mpi[name].async(...args, (error: unknown, code: number) => {
        if (!error && code === 0) resolve();
        else reject(error instanceof Error ? error : new Error(`${name} answered ${code}`));
      });
    });
  }
}
