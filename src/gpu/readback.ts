import type { Checks } from './checks.js';

/** Buffers of one size that wait for the next read. */
const KEPT = 4;
const MAP_READ = 0x01 | 0x08; // MAP_READ | COPY_DST

/** Buffers that the host can map, through which all reads go. */
export class Readback {
  readonly #device: GPUDevice;
  readonly #checks: Checks;
  readonly #kept = new Map<number, GPUBuffer[]>();

  constructor(device: GPUDevice, checks: Checks) {
    this.#device = device;
    this.#checks = checks;
  }

  /** Reads the `bytes` that `submit` copies, padded to a multiple of 4, into the buffer that it is given. */
  async read(bytes: number, submit: (into: GPUBuffer, size: number) => void): Promise<ArrayBuffer> {
    const size = Math.ceil(bytes / 4) * 4;
    const capacity = 2 ** Math.ceil(Math.log2(Math.max(size, 256)));
    const staging = this.#take(capacity);
    try {
      submit(staging, size);
      await this.#checks.settle(staging.mapAsync(0x01, 0, size));
    } catch (error) {
      staging.destroy();
      throw error;
    }
    const copy = staging.getMappedRange(0, size).slice(0, bytes);
    staging.unmap();
    this.#keep(staging);
    return copy;
  }

  trim(): void {
    for (const list of this.#kept.values()) for (const buffer of list) buffer.destroy();
    this.#kept.clear();
  }

  #take(capacity: number): GPUBuffer {
    const kept = this.#kept.get(capacity)?.pop();
    const label = `read-back of ${capacity} bytes`;
    return kept ?? this.#device.createBuffer({ size: capacity, usage: MAP_READ, label });
  }

  #keep(buffer: GPUBuffer): void {
    const list = this.#kept.get(buffer.size) ?? [];
    this.#kept.set(buffer.size, list);
    if (list.length < KEPT) list.push(buffer);
    else buffer.destroy();
  }
}
