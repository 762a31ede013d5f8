import { BufferPool, type DeviceBuffer, type MemoryReport, RehearsalPool } from './buffers.js';
import { computesOnCpu } from './device.js';
import type { RetinaFaceError } from './errors.js';
import { ArgumentError, DeviceLostError, KernelError, OutOfMemoryError } from './errors.js';
import { checkGrid, type Grid } from './grid.js';
import { kernels } from './kernel_table.js';
import {
  type Kernel,
  type KernelBuffers,
  type KernelConditions,
  type KernelConstants,
  type KernelName,
  type KernelParams,
  linkKernel,
} from './linker.js';
import { waitFor } from './waiting.js';

/** Everything one dispatch of a kernel needs. */
export interface Dispatch<N extends KernelName> {
  readonly params: KernelParams<N>;
  readonly buffers: KernelBuffers<N, DeviceBuffer>;
  readonly conditions?: KernelConditions<N>;
  readonly constants?: KernelConstants<N>;
  /** Workgroups in x, y, z; a grid with a zero runs nothing. */
  readonly grid: Grid;
}

/** How often the host talked to the device since it was opened. */
export interface Counters {
  readonly dispatches: number;
  readonly submissions: number;
  readonly reads: number;
  readonly pipelines: number;
  /** Bind groups made, not those kept. */
  readonly bindGroups: number;
}

/** One kernel's share of a profile. */
export interface KernelTiming {
  readonly kernel: KernelName;
  readonly nanoseconds: number;
}

interface Pipeline {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  readonly bindGroups: Map<string, GPUBindGroup>;
  /** Active storage bindings, in order of their numbers. */
  readonly bindings: readonly { readonly name: string; readonly binding: number; readonly writes: boolean }[];
}

const PARAMS_CHUNK = 256 * 256;
const POOL_CAP = 1 << 30;
const MAX_BIND_GROUPS = 8192;
const MAP_READ = 0x01 | 0x08; // MAP_READ | COPY_DST
const UNIFORM = 0x40 | 0x08; // UNIFORM | COPY_DST

/**
 * All that this library keeps for one `GPUDevice`: compiled kernels, recycled memory, the commands not yet submitted.
 * `Gpu.of(device)` always answers the same object for the same device. It never destroys a device: whoever opened it does.
 */
export class Gpu {
  static readonly #known = new WeakMap<GPUDevice, Gpu>();

  readonly device: GPUDevice;
  readonly limits: GPUSupportedLimits;
  readonly info: GPUAdapterInfo;
  /** True where the adapter computes on the CPU (lavapipe, SwiftShader). */
  readonly isFallback: boolean;
  /** Lanes of a subgroup where the device has subgroups and their size is fixed. */
  readonly subgroupSize: number | undefined;
  /** Settles when the device is lost, whoever lost it. */
  readonly lost: Promise<DeviceLostError>;

  readonly #pool: BufferPool;
  readonly #pipelines = new Map<string, Pipeline>();
  readonly #staging = new Map<number, GPUBuffer[]>();
  #rehearsal: RehearsalPool | undefined;
  #encoder: GPUCommandEncoder | undefined;
  #pass: GPUComputePassEncoder | undefined;
  #paramChunks: GPUBuffer[] = [];
  readonly #paramBytes: ArrayBuffer[] = [];
  #paramSlots = 0;
  #bindGroupCount = 0;
  #bindGroupsMade = 0;
  #profile: { readonly kernels: KernelName[]; readonly capacity: number; readonly set: GPUQuerySet } | undefined;
  #failure: RetinaFaceError | undefined;
  #lossError: DeviceLostError | undefined;
  #checks: Promise<void>[] = [];
  #dispatches = 0;
  #submissions = 0;
  #reads = 0;

  /** The one `Gpu` of a device, made at the first call. */
  static of(device: GPUDevice): Gpu {
    let gpu = Gpu.#known.get(device);
    if (!gpu) Gpu.#known.set(device, (gpu = new Gpu(device)));
    return gpu;
  }

  private constructor(device: GPUDevice) {
    this.device = device;
    this.limits = device.limits;
    this.info = device.adapterInfo;
    this.isFallback = computesOnCpu(this.info);
    const { subgroupMinSize = 0, subgroupMaxSize = 0 } = this.info;
    const fixed = subgroupMinSize === subgroupMaxSize && subgroupMinSize > 1;
    this.subgroupSize = device.features.has('subgroups') && fixed ? subgroupMinSize : undefined;
    this.#pool = new BufferPool({
      device,
      cap: POOL_CAP,
      create: (descriptor) =>
        this.#guard(`allocate ${descriptor.label ?? 'a buffer'}`, () => device.createBuffer(descriptor)),
      beforeDestroy: () => {
        this.#forgetBindGroups();
      },
    });
    this.lost = device.lost.then((info) => {
      this.#lossError = new DeviceLostError({
        operation: 'use the device',
        expected: 'a working GPU device',
        got: `a lost one (${info.reason}${info.message ? `: ${info.message}` : ''})`,
        remedy: 'Open a new device with requestDevice(), make a new model on it and load the weights again.',
      });
      return this.#lossError;
    });
  }

  /** Bytes that tensors of this device hold, now and at their peak, and what is kept for reuse. */
  memory(): MemoryReport {
    return this.#pool.memory();
  }

  /** Starts the peak of `memory()` anew from what is held now. */
  resetPeakMemory(): void {
    this.#pool.resetPeak();
  }

  /** Gives the memory kept for reuse back to the device. */
  trim(): void {
    this.#pool.trim();
    this.flush();
    this.#pool.sweep();
  }

  counters(): Counters {
    return {
      dispatches: this.#dispatches,
      submissions: this.#submissions,
      reads: this.#reads,
      pipelines: this.#pipelines.size,
      bindGroups: this.#bindGroupsMade,
    };
  }

  /** Memory of `bytes`, contents undefined. Not public: `Tensor` is how memory is held. */
  allocate(bytes: number, label: string): DeviceBuffer {
    this.#assertAlive();
    return (this.#rehearsal ?? this.#pool).acquire(bytes, label);
  }

  /** `bytes` of a buffer from `offset` on, a multiple of 256; what holds the whole keeps the part alive. Not public. */
  part(whole: DeviceBuffer, offset: number, bytes: number): DeviceBuffer {
    return this.#pool.part(whole, offset, bytes);
  }

  release(buffer: DeviceBuffer): void {
    if (buffer.gpu) this.#pool.release(buffer);
    else this.#rehearsal?.release(buffer);
  }

  /**
   * Runs `compute` without a device: every tensor is counted, none is made, no kernel runs. Answers what it would take.
   * @throws LimitError where a tensor of it would not fit this device.
   */
  rehearse(compute: () => void): { readonly peakBytes: number; readonly largestBytes: number } {
    const outer = this.#rehearsal;
    const rehearsal = (this.#rehearsal = new RehearsalPool(this.device));
    try {
      compute();
    } finally {
      this.#rehearsal = outer;
    }
    return rehearsal.report();
  }

  /** Copies data to the device. Commands encoded earlier see the old contents. */
  upload(buffer: DeviceBuffer, data: ArrayBufferView<ArrayBuffer>, byteOffset = 0): void {
    this.#assertAlive();
    if (!buffer.gpu) return;
    if (this.#commandsPending()) this.flush();
    const start = buffer.offset + byteOffset;
    const whole = data.byteLength & ~3;
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    if (whole > 0) this.device.queue.writeBuffer(buffer.gpu, start, bytes, 0, whole);
    if (whole < bytes.length) {
      // writeBuffer takes multiples of four bytes.
      const rest = new Uint8Array(4);
      rest.set(bytes.subarray(whole));
      this.device.queue.writeBuffer(buffer.gpu, start + whole, rest);
    }
  }

  /** Fills a buffer with zeros, in the order of the encoded commands. */
  clear(buffer: DeviceBuffer): void {
    this.#assertAlive();
    if (!buffer.gpu) return;
    this.#endPass();
    this.#openEncoder().clearBuffer(buffer.gpu, buffer.offset, buffer.bytes);
  }

  /** Copies the first `bytes` (a multiple of 4) of one buffer into another, in the order of the encoded commands. */
  copy(from: DeviceBuffer, to: DeviceBuffer, bytes: number): void {
    this.#assertAlive();
    if (!from.gpu || !to.gpu) return;
    this.#endPass();
    this.#openEncoder().copyBufferToBuffer(from.gpu, from.offset, to.gpu, to.offset, bytes);
  }

  /** Encodes one dispatch. It is submitted with those around it, at the next read or `flush()`. */
  run<N extends KernelName>(name: N, dispatch: Dispatch<N>): void {
    this.#assertAlive();
    checkGrid(name, dispatch.grid, this.limits.maxComputeWorkgroupsPerDimension);
    if (this.#rehearsal) return;
    if (dispatch.grid.includes(0)) return;
    const buffers = dispatch.buffers as Readonly<Record<string, DeviceBuffer | undefined>>;
    const pipeline = this.#pipeline(name, dispatch, buffers);
    const [chunk, offset] = this.#writeParams(name, dispatch.params);
    const bindGroup = this.#bindGroup(name, pipeline, chunk, buffers);
    const pass = this.#openPass(name);
    pass.setPipeline(pipeline.pipeline);
    pass.setBindGroup(0, bindGroup, [offset]);
    pass.dispatchWorkgroups(...dispatch.grid);
    if (this.#profile) this.#endPass();
    this.#dispatches++;
  }

  /** Submits what was encoded. Reads do this themselves; training steps call it once at their end. */
  flush(): void {
    this.#endPass();
    const encoder = this.#encoder;
    if (!encoder) return;
    this.#encoder = undefined;
    const used = this.#paramSlots * 256;
    for (let at = 0; at < used; at += PARAMS_CHUNK) {
      const chunk = at / PARAMS_CHUNK;
      this.device.queue.writeBuffer(
        this.#paramChunks[chunk]!,
        0,
        this.#paramBytes[chunk]!,
        0,
        Math.min(PARAMS_CHUNK, used - at),
      );
    }
    this.#paramSlots = 0;
    this.#guard('submit', () => {
      this.device.queue.submit([encoder.finish()]);
    });
    this.#submissions++;
    this.#pool.sweep();
  }

  /**
   * Reads `bytes` from the start of a buffer, after all that was encoded before: one submission, one wait.
   * @throws KernelError, OutOfMemoryError or DeviceLostError for what went wrong on the device since the last read.
   */
  async read(buffer: DeviceBuffer, bytes: number, byteOffset = 0): Promise<ArrayBuffer> {
    this.#assertAlive();
    if (!buffer.gpu) throw new TypeError('a rehearsal has nothing to read');
    const size = Math.ceil(bytes / 4) * 4;
    if (size === 0) return new ArrayBuffer(0);
    const capacity = 2 ** Math.ceil(Math.log2(Math.max(size, 256)));
    const staging =
      this.#staging.get(capacity)?.pop() ??
      this.device.createBuffer({ size: capacity, usage: MAP_READ, label: `read-back of ${capacity} bytes` });
    this.#endPass();
    this.#openEncoder().copyBufferToBuffer(buffer.gpu, buffer.offset + byteOffset, staging, 0, size);
    this.flush();
    this.#reads++;
    try {
      await waitFor(staging.mapAsync(0x01, 0, size), this.isFallback);
    } catch (cause) {
      staging.destroy();
      await this.#settleChecks();
      throw this.#lossError ?? this.#failure ?? cause;
    }
    const copy = staging.getMappedRange(0, size).slice(0, bytes);
    staging.unmap();
    const list = this.#staging.get(capacity);
    if (!list) this.#staging.set(capacity, [staging]);
    else if (list.length < 4) list.push(staging);
    else staging.destroy();
    await this.#settleChecks();
    this.#throwFailure();
    return copy;
  }

  /** Submits what was encoded and waits until the device has done it. */
  async finish(): Promise<void> {
    this.#assertAlive();
    this.flush();
    await waitFor(this.device.queue.onSubmittedWorkDone(), this.isFallback);
    await this.#settleChecks();
    this.#throwFailure();
  }

  /**
   * Measures each dispatch of `compute` with the device's own clock (feature `timestamp-query`).
   * Dawn rounds to 65,536 ns unless its toggle `timestamp_quantization` is off.
   */
  async profile(compute: () => void | Promise<void>, capacity = 2048): Promise<KernelTiming[]> {
    if (!this.device.features.has('timestamp-query')) {
      throw new ArgumentError({
        operation: 'profile',
        expected: "a device with the feature 'timestamp-query'",
        got: 'one without it',
        remedy: 'Open the device with requestDevice(), which asks for it where the adapter has it.',
      });
    }
    this.flush();
    const set = this.device.createQuerySet({ type: 'timestamp', count: capacity * 2 });
    const recorded: KernelName[] = [];
    this.#profile = { kernels: recorded, capacity, set };
    const resolved = this.device.createBuffer({ size: capacity * 16, usage: 0x200 | 0x04, label: 'timestamps' });
    const staging = this.device.createBuffer({ size: capacity * 16, usage: MAP_READ, label: 'timestamps read-back' });
    try {
      await compute();
      this.#endPass();
      const encoder = this.#openEncoder();
      encoder.resolveQuerySet(set, 0, recorded.length * 2, resolved, 0);
      encoder.copyBufferToBuffer(resolved, 0, staging, 0, recorded.length * 16);
      this.flush();
      await waitFor(staging.mapAsync(0x01), this.isFallback);
      const times = new BigInt64Array(staging.getMappedRange());
      return recorded.map((kernel, i) => ({ kernel, nanoseconds: Number(times[2 * i + 1]! - times[2 * i]!) }));
    } finally {
      this.#profile = undefined;
      set.destroy();
      resolved.destroy();
      staging.destroy();
    }
  }

  #forgetBindGroups(): void {
    for (const { bindGroups } of this.#pipelines.values()) bindGroups.clear();
    this.#bindGroupCount = 0;
  }

  #assertAlive(): void {
    if (this.#lossError) throw this.#lossError;
  }

  #commandsPending(): boolean {
    return this.#encoder !== undefined;
  }

  #openEncoder(): GPUCommandEncoder {
    return (this.#encoder ??= this.device.createCommandEncoder({ label: 'retinaface-webgpu' }));
  }

  #openPass(name: KernelName): GPUComputePassEncoder {
    const profile = this.#profile;
    if (profile && profile.kernels.length < profile.capacity) {
      const index = profile.kernels.push(name) - 1;
      this.#pass = this.#openEncoder().beginComputePass({
        label: name,
        timestampWrites: {
          querySet: profile.set,
          beginningOfPassWriteIndex: index * 2,
          endOfPassWriteIndex: index * 2 + 1,
        },
      });
    }
    return (this.#pass ??= this.#openEncoder().beginComputePass());
  }

  #endPass(): void {
    this.#pass?.end();
    this.#pass = undefined;
  }

  #pipeline<N extends KernelName>(
    name: N,
    dispatch: Dispatch<N>,
    buffers: Readonly<Record<string, DeviceBuffer | undefined>>,
  ): Pipeline {
    const conditions = (dispatch.conditions ?? {}) as Readonly<Record<string, boolean | undefined>>;
    const constants = (dispatch.constants ?? {}) as Readonly<Record<string, number>>;
    let key: string = name;
    for (const condition in conditions) if (conditions[condition]) key += `+${condition}`;
    for (const constant in constants) key += ` ${constant}=${constants[constant]!}`;
    return this.#pipelines.get(key) ?? this.#compile(key, name, conditions, constants, buffers);
  }

  #compile(
    key: string,
    name: KernelName,
    conditions: Readonly<Record<string, boolean | undefined>>,
    constants: Readonly<Record<string, number>>,
    buffers: Readonly<Record<string, DeviceBuffer | undefined>>,
  ): Pipeline {
    const kernel: Kernel = kernels[name];
    const kinds: Readonly<Record<string, string | undefined>> = kernel.constants;
    const split = (link: boolean): Record<string, number> =>
      Object.fromEntries(Object.entries(constants).filter(([constant]) => (kinds[constant] === 'link') === link));
    const on = Object.fromEntries(kernel.conditions.map((condition) => [condition, conditions[condition] === true]));
    const linked = linkKernel(name, on, split(true));
    const bindings = Object.entries<{ readonly binding: number; readonly access: string }>(kernel.bindings)
      .filter(([binding]) => buffers[binding] !== undefined)
      .map(([binding, { binding: number, access }]) => ({ name: binding, binding: number, writes: access !== 'read' }))
      .sort((a, b) => a.binding - b.binding);
    const layout = this.device.createBindGroupLayout({
      label: key,
      entries: [
        { binding: 0, visibility: 4, buffer: { type: 'uniform', hasDynamicOffset: true } },
        ...bindings.map(({ binding, writes }) => ({
          binding,
          visibility: 4,
          buffer: { type: writes ? ('storage' as const) : ('read-only-storage' as const) },
        })),
      ],
    });
    const module = this.device.createShaderModule({ label: key, code: linked.code });
    const pipeline = this.#guard(
      `compile ${key}`,
      () =>
        this.device.createComputePipeline({
          label: key,
          layout: this.device.createPipelineLayout({ label: key, bindGroupLayouts: [layout] }),
          compute: { module, entryPoint: 'main', constants: split(false) },
        }),
      async (error) => {
        const { messages } = await module.getCompilationInfo();
        const lines = messages
          .filter(({ type }) => type === 'error')
          .map(({ offset, message }) => `${linked.locate(offset)}: ${message}`);
        return new KernelError({
          operation: `compile ${key}`,
          expected: 'a kernel that this device accepts',
          got: lines.length > 0 ? lines.join('; ') : `${kernel.file}: ${error.message}`,
          remedy: 'Mend the kernel at that line, or choose a variant that this device supports.',
        });
      },
    );
    const made: Pipeline = { pipeline, layout, bindGroups: new Map(), bindings };
    this.#pipelines.set(key, made);
    return made;
  }

  #writeParams(name: KernelName, params: object): readonly [chunk: number, offset: number] {
    const slot = this.#paramSlots++;
    const chunk = Math.floor((slot * 256) / PARAMS_CHUNK);
    const offset = (slot * 256) % PARAMS_CHUNK;
    if (chunk === this.#paramChunks.length) {
      this.#paramChunks = [
        ...this.#paramChunks,
        this.device.createBuffer({ size: PARAMS_CHUNK, usage: UNIFORM, label: `parameters ${chunk}` }),
      ];
      this.#paramBytes.push(new ArrayBuffer(PARAMS_CHUNK));
    }
    const view = new DataView(this.#paramBytes[chunk]!, offset, 256);
    const values = params as Readonly<Record<string, number>>;
    let at = 0;
    for (const [field, type] of Object.entries<string>(kernels[name].params)) {
      const value = values[field]!;
      if (type === 'f32') view.setFloat32(at, value, true);
      else if (type === 'i32') view.setInt32(at, value, true);
      else view.setUint32(at, value, true);
      at += 4;
    }
    return [chunk, offset];
  }

  #bindGroup(
    name: KernelName,
    pipeline: Pipeline,
    chunk: number,
    buffers: Readonly<Record<string, DeviceBuffer | undefined>>,
  ): GPUBindGroup {
    let key = String(chunk);
    for (const binding of pipeline.bindings) {
      const buffer = buffers[binding.name];
      key += `,${buffer ? `${buffer.id}@${buffer.offset}+${buffer.capacity}` : 'none'}`;
    }
    const known = pipeline.bindGroups.get(key);
    if (known) return known;
    // WebGPU counts whole buffers: two parts of one are the same here.
    const written = new Set<GPUBuffer>();
    const seen = new Set<GPUBuffer>();
    const entries: GPUBindGroupEntry[] = [
      { binding: 0, resource: { buffer: this.#paramChunks[chunk]!, offset: 0, size: 256 } },
    ];
    for (const binding of pipeline.bindings) {
      const buffer = buffers[binding.name];
      if (!buffer?.gpu || written.has(buffer.gpu) || (binding.writes && seen.has(buffer.gpu))) {
        throw new ArgumentError({
          operation: name,
          expected: `a buffer of its own for \`${binding.name}\``,
          got: buffer?.gpu ? 'one that the same dispatch also writes' : 'none',
          remedy: 'Give each output of a kernel its own tensor.',
        });
      }
      seen.add(buffer.gpu);
      if (binding.writes) written.add(buffer.gpu);
      const size = Math.min(buffer.capacity, this.limits.maxStorageBufferBindingSize);
      entries.push({ binding: binding.binding, resource: { buffer: buffer.gpu, offset: buffer.offset, size } });
    }
    if (this.#bindGroupCount >= MAX_BIND_GROUPS) {
      this.#forgetBindGroups();
    }
    const made = this.device.createBindGroup({ label: name, layout: pipeline.layout, entries });
    pipeline.bindGroups.set(key, made);
    this.#bindGroupCount++;
    this.#bindGroupsMade++;
    return made;
  }

  /** Runs device calls inside error scopes; what they report is thrown by the next read. */
  #guard<T>(operation: string, call: () => T, explain?: (error: GPUError) => Promise<RetinaFaceError>): T {
    this.device.pushErrorScope('out-of-memory');
    this.device.pushErrorScope('validation');
    const result = call();
    const invalid = this.device.popErrorScope();
    const full = this.device.popErrorScope();
    const check = async (): Promise<void> => {
      const error = await invalid;
      if (error) {
        this.#failure ??= explain
          ? await explain(error)
          : new KernelError({
              operation,
              expected: 'commands that this device accepts',
              got: error.message,
              remedy: 'This is a fault of the library: please report it with this message.',
            });
      }
      const outOfMemory = await full;
      if (outOfMemory) {
        this.#failure ??= new OutOfMemoryError({
          operation,
          expected: 'enough device memory',
          got: outOfMemory.message,
          remedy: 'Use a smaller batch or a smaller input, or dispose of tensors that are no longer needed.',
        });
      }
    };
    // A lost device rejects or never answers; `lost` is what reports it then.
    this.#checks.push(check().catch(() => undefined));
    return result;
  }

  async #settleChecks(): Promise<void> {
    const checks = this.#checks;
    this.#checks = [];
    await waitFor(Promise.race([Promise.all(checks), this.lost]), this.isFallback);
  }

  #throwFailure(): void {
    const failure = this.#lossError ?? this.#failure;
    this.#failure = undefined;
    if (failure) throw failure;
  }
}
