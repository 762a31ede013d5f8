import { LimitError } from './errors.js';

/** One buffer of the device, which tensors hold one after another. */
export interface Block {
  readonly id: number;
  /** Undefined only inside a rehearsal, where nothing is allocated. */
  readonly gpu: GPUBuffer | undefined;
  readonly capacity: number;
  /** Changes whenever it passes to another holder: who remembers it can tell whether it is still theirs. */
  generation: number;
  held: boolean;
  destroyed: boolean;
  /** The number of the submission whose commands name it last. */
  usedAt: number;
  /** When it was given back last, on the pool's own clock. */
  freedAt: number;
  /** How many plans write it anew whenever they are run. */
  plans: number;
  /** What remembers this buffer, and must forget it before it is destroyed. */
  readonly forget: Set<() => void>;
}

/**
 * A piece of device memory that a tensor holds. Identity is `id`: a recycled buffer keeps its own. Parts of a buffer have its id,
 * and are told apart by `offset` and `capacity`.
 */
export interface DeviceBuffer {
  readonly id: number;
  /** Bytes that the holder asked for, rounded up to 16 so that every kernel may read whole vec4s. */
  readonly bytes: number;
  readonly gpu: GPUBuffer | undefined;
  /** Bytes of `gpu` before the first one: 0, but for a part of another buffer. */
  readonly offset: number;
  readonly capacity: number;
  readonly block: Block;
  /** Its elements are float16: kernels that read or write it are linked for that. */
  readonly half?: boolean | undefined;
}

/** What `gpu.memory()` answers. */
export interface MemoryReport {
  /** Buffers in use by tensors now, and their bytes as asked for. */
  readonly buffers: number;
  readonly bytes: number;
  /** The greatest `bytes` since the device was opened or the peak was set back. */
  readonly peakBytes: number;
  /** Bytes kept for reuse, not in use by anything. */
  readonly pooledBytes: number;
  /** What the device really holds for tensors: in use, kept for reuse, and given up but not yet done with. */
  readonly deviceBytes: number;
  /** The greatest `deviceBytes` since the device was opened or the peak was set back. */
  readonly peakDeviceBytes: number;
}

/** How a buffer is wanted. */
export interface AcquireOptions {
  /** One that no command names which is still to be submitted: it can be written at once. */
  readonly fresh?: boolean;
  /** For a plan, which may share the buffers of others. */
  readonly planned?: boolean;
  /** For elements of float16. */
  readonly half?: boolean;
}

/** `usedAt` of a block that commands name which are being put together: in no submission yet, and not to be destroyed. */
export const BEING_ENCODED = Infinity;

const USAGE = 0x80 | 0x04 | 0x08; // STORAGE | COPY_SRC | COPY_DST

/** Up to so many bytes in use and kept together, nothing is destroyed to make room. */
const FLOOR = 256 * 2 ** 20;
/** In use and kept together, as a multiple of what was in use at most lately. */
const SURPLUS = 1.25;
/** "Lately": this period and the one before, in milliseconds. */
const PERIOD = 10_000;
/** A kept buffer serves where it has at most so many times the bytes that are asked for. */
const ROOMY = 2;

/**
 * The capacity of the size class that holds `bytes`: powers of two cut into 32 steps, so that at most a 32nd is wasted
 * while sizes that differ a little (the next picture, the last batch) still share buffers.
 */
export function sizeClass(bytes: number): number {
  if (bytes <= 256) return 256;
  const step = 2 ** Math.max(5, Math.floor(Math.log2(bytes - 1)) - 5);
  return Math.ceil(bytes / step) * step;
}

/**
 * Recycles buffers: a tensor gets the smallest free one that fits, of several the one made first, so that the same
 * allocations get the same buffers in every step, and find the bind groups of the step before. Not public: tensors are
 * how memory is held. Without `create` it only counts.
 */
export class BufferPool {
  readonly #limit: number;
  readonly #create: ((descriptor: GPUBufferDescriptor) => GPUBuffer) | undefined;
  readonly #submission: () => number;
  readonly #submit: () => void;
  readonly #now: () => number;
  /** By capacity, then by id. */
  #free: Block[] = [];
  /** Destroyed, with the last submission that may still use them. */
  #leaving: { readonly after: number; readonly capacity: number }[] = [];
  #nextId: number;
  #made = 0;
  #clock = 0;
  #buffers = 0;
  #bytes = 0;
  #peak = 0;
  #largest = 0;
  /** Capacities: of what is in use, kept, and leaving. */
  #held = 0;
  #pooled = 0;
  #left = 0;
  #done = 0;
  #devicePeak = 0;
  /** The greatest `#held` of this period and the one before. */
  #needed = 0;
  #neededBefore = 0;
  #period: number;

  /** `submission`: the number of the one that is being encoded. `submit` ends it, so that what it names can be destroyed. */
  constructor(options: {
    /** Bytes of the largest tensor. */
    readonly limit: number;
    readonly create?: (descriptor: GPUBufferDescriptor) => GPUBuffer;
    readonly submission?: () => number;
    readonly submit?: () => void;
    readonly now?: () => number;
  }) {
    this.#limit = options.limit;
    this.#create = options.create;
    this.#submission = options.submission ?? (() => 0);
    this.#submit = options.submit ?? (() => undefined);
    this.#now = options.now ?? (() => performance.now());
    // What is only counted is told apart by its sign.
    this.#nextId = options.create ? 1 : -1;
    this.#period = this.#now();
  }

  /** A buffer of at least `bytes`, whose contents are undefined. Throws a LimitError before allocating too much. */
  acquire(bytes: number, label: string, options: AcquireOptions = {}): DeviceBuffer {
    const asked = Math.max(16, Math.ceil(bytes / 16) * 16);
    checkBytes(this.#limit, asked, label);
    const capacity = Math.min(sizeClass(asked), this.#limit);
    const block = this.#take(capacity, options) ?? this.#takePlanned(capacity, options) ?? this.#make(capacity, label);
    this.#hold(block, asked);
    this.#largest = Math.max(this.#largest, asked);
    const { id, gpu, capacity: whole } = block;
    return { id, bytes: asked, gpu, offset: 0, capacity: whole, block, half: options.half };
  }

  /** Some bytes of another buffer, under its id. They are not released: the whole is. */
  part(whole: DeviceBuffer, offset: number, bytes: number): DeviceBuffer {
    const capacity = Math.min(whole.capacity - offset, Math.ceil(bytes / 256) * 256);
    return { ...whole, bytes, offset: whole.offset + offset, capacity };
  }

  release({ block, bytes }: DeviceBuffer): void {
    this.#buffers--;
    this.#bytes -= bytes;
    this.#held -= block.capacity;
    this.#pooled += block.capacity;
    block.held = false;
    block.freedAt = ++this.#clock;
    this.#free.splice(this.#place(block.capacity, block.id), 0, block);
  }

  /** Takes these very buffers, or none of them: false where one is in use or was destroyed. */
  reserve(buffers: readonly DeviceBuffer[]): boolean {
    if (buffers.some(({ block }) => block.held || block.destroyed)) return false;
    for (const { block, bytes } of buffers) {
      this.#free.splice(this.#place(block.capacity, block.id), 1);
      this.#pooled -= block.capacity;
      this.#hold(block, bytes);
    }
    return true;
  }

  /** Begins to measure; the function that it answers ends it with the greatest `bytes` meanwhile, over those at the start. */
  measure(): () => number {
    const [before, start] = [this.#peak, this.#bytes];
    this.#peak = start;
    return () => {
      const most = this.#peak - start;
      this.#peak = Math.max(this.#peak, before);
      return most;
    };
  }

  /** Counts `bytes` over what is in use as a peak that was reached. */
  reached(bytes: number): void {
    this.#peak = Math.max(this.#peak, this.#bytes + bytes);
  }

  /** Gives back what is kept beyond what was needed lately; to be called now and then. */
  tidy(): void {
    if (this.#now() - this.#period < PERIOD) return;
    this.#period = this.#now();
    this.#neededBefore = this.#needed;
    this.#needed = this.#held;
    this.#evict(0);
  }

  /** Gives all kept buffers back to the device, at once. */
  trim(): void {
    const all = this.#free;
    this.#free = [];
    for (const block of all) this.#destroy(block);
    this.#needed = this.#neededBefore = this.#held;
  }

  /** The device has done all submissions up to this one. */
  done(submission: number): void {
    this.#done = Math.max(this.#done, submission);
    if (this.#leaving.length === 0) return;
    this.#leaving = this.#leaving.filter(({ after, capacity }) => {
      if (after > submission) return true;
      this.#left -= capacity;
      return false;
    });
  }

  memory(): MemoryReport {
    return {
      buffers: this.#buffers,
      bytes: this.#bytes,
      peakBytes: this.#peak,
      pooledBytes: this.#pooled,
      deviceBytes: this.#held + this.#pooled + this.#left,
      peakDeviceBytes: this.#devicePeak,
    };
  }

  /** Buffers made so far. */
  get made(): number {
    return this.#made;
  }

  /** The largest single tensor so far. */
  get largestBytes(): number {
    return this.#largest;
  }

  resetPeak(): void {
    this.#peak = this.#bytes;
    this.#devicePeak = this.#held + this.#pooled + this.#left;
  }

  #hold(block: Block, bytes: number): void {
    block.held = true;
    block.generation++;
    this.#held += block.capacity;
    this.#needed = Math.max(this.#needed, this.#held);
    this.#buffers++;
    this.#bytes += bytes;
    this.#peak = Math.max(this.#peak, this.#bytes);
    this.#devicePeak = Math.max(this.#devicePeak, this.#held + this.#pooled + this.#left);
  }

  /** The first place among the free ones that is not before this capacity and id. */
  #place(capacity: number, id: number): number {
    let [low, high] = [0, this.#free.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const block = this.#free[middle]!;
      // Counted backwards in a rehearsal.
      const before = block.capacity < capacity || (block.capacity === capacity && Math.abs(block.id) < Math.abs(id));
      if (before) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #take(capacity: number, { fresh = false, planned = false }: AcquireOptions): Block | undefined {
    const pending = this.#submission();
    const serves = (block: Block): boolean => (planned || block.plans === 0) && !(fresh && block.usedAt === pending);
    return this.#takeFirst(capacity, serves);
  }

  /**
   * A buffer of a plan, which may have to be recorded anew for it, where there is as much memory as was needed lately: another number
   * of faces, another size of pictures must not take the surplus of the device beside all that lies there.
   */
  #takePlanned(capacity: number, options: AcquireOptions): Block | undefined {
    const needed = Math.max(FLOOR, this.#needed, this.#neededBefore);
    if (this.#held + this.#pooled + capacity <= needed) return undefined;
    return this.#take(capacity, { ...options, planned: true });
  }

  #takeFirst(capacity: number, serves: (block: Block) => boolean): Block | undefined {
    for (let at = this.#place(capacity, 0); at < this.#free.length; at++) {
      const block = this.#free[at]!;
      if (block.capacity > capacity * ROOMY) return undefined;
      if (!serves(block)) continue;
      this.#free.splice(at, 1);
      this.#pooled -= block.capacity;
      return block;
    }
    return undefined;
  }

  #make(capacity: number, label: string): Block {
    // Whatever fits, before anything is destroyed for it.
    if (this.#held + this.#pooled + capacity > this.#cap(capacity)) {
      const block = this.#takeFirst(capacity, () => true);
      if (block) return block;
    }
    this.#evict(capacity);
    const gpu = this.#create?.({ size: capacity, usage: USAGE, label });
    this.#made++;
    const id = this.#create ? this.#nextId++ : this.#nextId--;
    return {
      id,
      gpu,
      capacity,
      generation: 0,
      held: false,
      destroyed: false,
      usedAt: 0,
      freedAt: 0,
      plans: 0,
      forget: new Set(),
    };
  }

  /** What may be in use and kept together, with `more` in use. */
  #cap(more: number): number {
    return Math.max(FLOOR, SURPLUS * Math.max(this.#needed, this.#neededBefore, this.#held + more));
  }

  /**
   * Destroys kept buffers, the longest unused first, until `more` bytes have room. What a plan names must live while it is
   * recorded, and while it is encoded: that may take several submissions.
   */
  #evict(more: number): void {
    const excess = this.#held + this.#pooled + more - this.#cap(more);
    if (excess <= 0) return;
    const oldest = this.#free.filter((block) => block.usedAt !== BEING_ENCODED).sort((a, b) => a.freedAt - b.freedAt);
    const going = new Set<Block>();
    let room = 0;
    for (const block of oldest) {
      if (room >= excess) break;
      room += block.capacity;
      going.add(block);
    }
    // First, since destroying may submit, and a submission tidies up.
    this.#free = this.#free.filter((block) => !going.has(block));
    for (const block of going) this.#destroy(block);
  }

  #destroy(block: Block): void {
    this.#pooled -= block.capacity;
    block.destroyed = true;
    for (const forget of block.forget) forget();
    block.forget.clear();
    if (!block.gpu) return;
    // A command buffer that names a destroyed one is refused.
    if (block.usedAt >= this.#submission()) this.#submit();
    block.gpu.destroy();
    if (block.usedAt <= this.#done) return;
    this.#left += block.capacity;
    this.#leaving.push({ after: block.usedAt, capacity: block.capacity });
  }
}

/**
 * Bytes of the largest tensor: what one binding holds, which some devices give as 2³² − 1, in whole pieces of 256, as
 * buffers are made.
 */
export function largestTensor(limits: GPUSupportedLimits): number {
  return Math.floor(Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize) / 256) * 256;
}

function checkBytes(limit: number, bytes: number, label: string): void {
  if (bytes <= limit) return;
  throw new LimitError({
    operation: `allocate ${label}`,
    expected: `at most ${limit.toLocaleString('en')} bytes (this device's maxStorageBufferBindingSize)`,
    got: `${bytes.toLocaleString('en')} bytes`,
    remedy: 'Use a smaller batch, gradient accumulation or a smaller input.',
  });
}
