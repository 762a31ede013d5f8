import type { Pipeline } from './pipelines.js';

/** Dispatches whose parameters one buffer holds. */
export const SLOTS = 256;
/** Bytes of one dispatch's parameters: what every device accepts as the step of a dynamic offset. */
const STRIDE = 256;

const UNIFORM = 0x40 | 0x08; // UNIFORM | COPY_DST

/** The parameters of up to 256 dispatches, packed on the host and uploaded together. */
export class Parameters {
  readonly buffer: GPUBuffer;
  readonly #view = new DataView(new ArrayBuffer(SLOTS * STRIDE));
  #used = 0;

  constructor(device: GPUDevice, label: string) {
    this.buffer = device.createBuffer({ size: SLOTS * STRIDE, usage: UNIFORM, label });
  }

  get full(): boolean {
    return this.#used === SLOTS;
  }

  /** Packs one dispatch's parameters; answers their offset. */
  add({ fields }: Pipeline, params: object): number {
    const offset = this.#used++ * STRIDE;
    const values = params as Readonly<Record<string, number>>;
    for (let i = 0; i < fields.length; i++) {
      const [name, type] = fields[i]!;
      const at = offset + 4 * i;
      if (type === 'f32') this.#view.setFloat32(at, values[name]!, true);
      else if (type === 'i32') this.#view.setInt32(at, values[name]!, true);
      else this.#view.setUint32(at, values[name]!, true);
    }
    return offset;
  }

  /** Copies what was packed to the device, behind everything that was submitted. */
  upload(queue: GPUQueue): void {
    if (this.#used > 0) queue.writeBuffer(this.buffer, 0, this.#view.buffer, 0, this.#used * STRIDE);
  }

  /** Forgets what was packed, to be packed anew. */
  clear(): void {
    this.#used = 0;
  }
}
