import { LimitError } from './errors.js';

/**
 * A piece of device memory that a tensor holds. Identity is `id`: a recycled buffer keeps its own. Parts of a buffer have its id,
 * and are told apart by `offset` and `capacity`.
 */
export interface DeviceBuffer {
  readonly id: number;
  /** Bytes that the holder asked for, rounded up to 16 so that every kernel may read whole vec4s. */
  readonly bytes: number;
  /** Undefined only inside a rehearsal, where nothing is allocated. */
  readonly gpu: GPUBuffer | undefined;
  /** Bytes of `gpu` before the first one: 0, but for a part of another buffer. */
  readonly offset: number;
  readonly capacity: number;
}

/** What `gpu.memory()` answers. */
export interface MemoryReport {
  /** Buffers in use by tensors now, and their bytes as asked for. */
  readonly buffers: number;
  readonly bytes: number;
  /** The greatest `bytes` since the device was opened or `resetPeak()` was called. */
  readonly peakBytes: number;
  /** Bytes kept for reuse, not in use by anything. */
  readonly pooledBytes: number;
}

const USAGE = 0x80 | 0x04 | 0x08; // STORAGE | COPY_SRC | COPY_DST

/**
 * The capacity of the size class that holds `bytes`: powers of two cut into eight steps, so that at most an eighth is
 * wasted while sizes that differ a little (the next picture, the last batch) still share buffers.
 */
export function sizeClass(bytes: number): number {
  if (bytes <= 256) return 256;
  const step = 2 ** Math.max(5, Math.floor(Math.log2(bytes - 1)) - 3);
  return Math.ceil(bytes / step) * step;
}

/** Recycles buffers by size class. Not public: tensors are how memory is held. */
export class BufferPool {
  readonly #device: GPUDevice;
  readonly #free = new Map<number, DeviceBuffer[]>();
  readonly #cap: number;
  readonly #create: (descriptor: GPUBufferDescriptor) => GPUBuffer;
  readonly #beforeDestroy: () => void;
  #doomed: GPUBuffer[] = [];
  #nextId = 1;
  #buffers = 0;
  #bytes = 0;
  #peak = 0;
  #pooled = 0;

  /** `cap`: bytes kept at most for reuse. `beforeDestroy` runs when buffers are about to be destroyed. */
  constructor(options: {
    readonly device: GPUDevice;
    readonly cap: number;
    readonly create: (descriptor: GPUBufferDescriptor) => GPUBuffer;
    readonly beforeDestroy: () => void;
  }) {
    this.#device = options.device;
    this.#cap = options.cap;
    this.#create = options.create;
    this.#beforeDestroy = options.beforeDestroy;
  }

  /** A buffer of at least `bytes`, whose contents are undefined. Throws a LimitError before allocating too much. */
  acquire(bytes: number, label: string): DeviceBuffer {
    const asked = Math.max(16, Math.ceil(bytes / 16) * 16);
    checkBytes(this.#device, asked, label);
    const capacity = Math.min(sizeClass(asked), this.#device.limits.maxBufferSize);
    let buffer = this.#free.get(capacity)?.pop();
    if (buffer) this.#pooled -= capacity;
    else {
      const gpu = this.#create({ size: capacity, usage: USAGE, label });
      buffer = { id: this.#nextId++, bytes: asked, gpu, offset: 0, capacity };
    }
    this.#buffers++;
    this.#bytes += asked;
    this.#peak = Math.max(this.#peak, this.#bytes);
    return { ...buffer, bytes: asked };
  }

  /** Some bytes of another buffer, under its id. They are not released: the whole is. */
  part(whole: DeviceBuffer, offset: number, bytes: number): DeviceBuffer {
    const capacity = Math.min(whole.capacity - offset, Math.ceil(bytes / 256) * 256);
    return { id: whole.id, bytes, gpu: whole.gpu, offset: whole.offset + offset, capacity };
  }

  release(buffer: DeviceBuffer): void {
    this.#buffers--;
    this.#bytes -= buffer.bytes;
    if (this.#pooled + buffer.capacity > this.#cap) {
      if (buffer.gpu) this.#doomed.push(buffer.gpu);
      return;
    }
    this.#pooled += buffer.capacity;
    const list = this.#free.get(buffer.capacity);
    if (!list) this.#free.set(buffer.capacity, [buffer]);
    else {
      // In order of ids, the least one last: whatever the order of releases, the same allocations get the same buffers in
      // every step, and find the bind groups of the step before.
      let at = list.length;
      while (at > 0 && list[at - 1]!.id < buffer.id) at--;
      list.splice(at, 0, buffer);
    }
  }

  /** Destroys what was released over the cap; to be called right after a submission, when no open command names it. */
  sweep(): void {
    if (this.#doomed.length === 0) return;
    this.#beforeDestroy();
    for (const buffer of this.#doomed) buffer.destroy();
    this.#doomed = [];
  }

  /** Gives all kept buffers back to the device at the next sweep. */
  trim(): void {
    for (const list of this.#free.values()) for (const { gpu } of list) if (gpu) this.#doomed.push(gpu);
    this.#free.clear();
    this.#pooled = 0;
  }

  memory(): MemoryReport {
    return { buffers: this.#buffers, bytes: this.#bytes, peakBytes: this.#peak, pooledBytes: this.#pooled };
  }

  resetPeak(): void {
    this.#peak = this.#bytes;
  }
}

/** Counts what a computation would allocate, without a byte of it. */
export class RehearsalPool {
  readonly #device: GPUDevice;
  #bytes = 0;
  #peak = 0;
  #largest = 0;
  #nextId = -1;

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  acquire(bytes: number, label: string): DeviceBuffer {
    const asked = Math.max(16, Math.ceil(bytes / 16) * 16);
    checkBytes(this.#device, asked, label);
    this.#bytes += asked;
    this.#peak = Math.max(this.#peak, this.#bytes);
    this.#largest = Math.max(this.#largest, asked);
    return { id: this.#nextId--, bytes: asked, gpu: undefined, offset: 0, capacity: asked };
  }

  release(buffer: DeviceBuffer): void {
    this.#bytes -= buffer.bytes;
  }

  /** Bytes in use at the worst moment, and of the largest single tensor. */
  report(): { readonly peakBytes: number; readonly largestBytes: number } {
    return { peakBytes: this.#peak, largestBytes: this.#largest };
  }
}

function checkBytes(device: GPUDevice, bytes: number, label: string): void {
  const limit = Math.min(device.limits.maxStorageBufferBindingSize, device.limits.maxBufferSize);
  if (bytes <= limit) return;
  throw new LimitError({
    operation: `allocate ${label}`,
    expected: `at most ${limit.toLocaleString('en')} bytes (this device's maxStorageBufferBindingSize)`,
    got: `${bytes.toLocaleString('en')} bytes`,
    remedy: 'Use a smaller batch, gradient accumulation or a smaller input.',
  });
}
