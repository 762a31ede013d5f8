import { type AcquireOptions, BufferPool, type DeviceBuffer, largestTensor, type MemoryReport } from './buffers.js';
import { Checks } from './checks.js';
import type { Choice, Choices } from './choices.js';
import { Commands } from './commands.js';
import { checkDevice, computesOnCpu } from './device.js';
import type { DeviceLostError } from './errors.js';
import { AdapterError, ArgumentError } from './errors.js';
import { checkGrid, type Grid } from './grid.js';
import {
  type KernelBuffers,
  type KernelConditions,
  type KernelConstants,
  type KernelName,
  type KernelParams,
  READS_HALF,
  WRITES_HALF,
} from './linker.js';
import { type Bound, Pipelines, type Variant } from './pipelines.js';
import { Plan } from './plan.js';
import type { KernelTiming } from './profile.js';
import { Readback } from './readback.js';
import { waitingFor } from './waiting.js';
import { flopsOf } from './work.js';

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
  /** Buffers made for tensors, not those kept. */
  readonly buffers: number;
  /** Bind groups made, not those kept. */
  readonly bindGroups: number;
}

/** What `gpu.rehearse` found out. */
export interface Rehearsal {
  /** Bytes of tensors at the worst moment, as asked for. */
  readonly peakBytes: number;
  /** What the device would hold for them. */
  readonly deviceBytes: number;
  /** Of the largest tensor. */
  readonly largestBytes: number;
  /** The kernels that would run, for `gpu.prepare`. */
  readonly variants: readonly Variant[];
  /** The computations that have several ways, by their names: what `tune` measures. */
  readonly choices: ReadonlyMap<string, Choice>;
}

const CAPTURED = 0x01 | 0x02 | 0x10; // COPY_SRC | COPY_DST | RENDER_ATTACHMENT

/** Memory kept for reuse goes back to the device after so many milliseconds without a submission, and without waiting for one. */
const IDLE = 10_000;

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
  /** Bytes of the largest tensor that a kernel of this device can be given. */
  readonly largestTensor: number;
  /** Settles when the device is lost, whoever lost it. */
  readonly lost: Promise<DeviceLostError>;
  /** Milliseconds after which memory kept for reuse goes back to the device where nothing was submitted or waited for meanwhile. */
  idleAfter = IDLE;
  /** Ways that were measured to be fastest on this device, in place of the rules; none unless `tune` found them. */
  choices: Choices = new Map();
  readonly #checks: Checks;
  readonly #pipelines: Pipelines;
  readonly #commands: Commands;
  readonly #pool: BufferPool;
  readonly #readback: Readback;
  #rehearsal:
    { readonly pool: BufferPool; readonly variants: Variant[]; readonly choices: Map<string, Choice> } | undefined;
  #recording: Plan | undefined;
  #askedForChoices = false;
  /** Textures whose copies are not yet submitted. */
  #captured: GPUTexture[] = [];
  #reads = 0;
  #lastUse = 0;
  /** Reads and others that wait for the device. */
  #waiting = 0;
  #idleTimer: ReturnType<typeof setTimeout> | undefined;

  /** The one `Gpu` of a device, made at the first call; a `Gpu` is its own. */
  static of(device: GPUDevice | Gpu): Gpu {
    if (device instanceof Gpu) return device;
    let gpu = Gpu.#known.get(device);
    if (!gpu) Gpu.#known.set(checkDevice(device), (gpu = new Gpu(device)));
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
    this.largestTensor = largestTensor(device.limits);
    this.#checks = new Checks(device, waitingFor(device, { onCpu: this.isFallback }));
    this.lost = this.#checks.lost;
    this.#pipelines = new Pipelines(device, this.#checks, this.largestTensor);
    this.#commands = new Commands(device, this.#checks, this.#pipelines);
    this.#readback = new Readback(device, this.#checks);
    this.#pool = new BufferPool({
      limit: this.largestTensor,
      create: (descriptor) =>
        this.#checks.guard(`allocate ${descriptor.label ?? 'a buffer'}`, () => device.createBuffer(descriptor)),
      submission: () => this.#commands.submission,
      submit: () => {
        this.flush();
      },
    });
    this.#commands.onSubmit = () => {
      this.#lastUse = performance.now();
      for (const texture of this.#captured.splice(0)) texture.destroy();
      this.#pool.tidy();
      this.#awaitIdleness();
    };
  }

  /** Bytes that tensors of this device hold, now and at their peak, and what the device holds for them and for reuse. */
  memory(): MemoryReport {
    return this.#pool.memory();
  }

  /** Starts the peaks of `memory()` anew from what is held now. */
  resetPeakMemory(): void {
    this.#pool.resetPeak();
  }

  /** Gives the memory kept for reuse back to the device, at once. It also goes back after a while without use. */
  trim(): void {
    this.flush();
    this.#pool.trim();
    this.#readback.trim();
    // Dawn gives the memory of destroyed buffers back once it saw a later submission done, and looks only when it is called: an idle
    // process would keep all of it. A lost device has nothing to give back.
    const submission = this.#commands.submission - 1;
    this.device.queue.submit([]);
    this.device.queue.onSubmittedWorkDone().then(
      () => {
        this.#pool.done(submission);
      },
      () => undefined,
    );
  }

  counters(): Counters {
    return {
      dispatches: this.#commands.dispatches,
      submissions: this.#commands.submission - 1,
      reads: this.#reads,
      pipelines: this.#pipelines.size,
      buffers: this.#pool.made,
      bindGroups: this.#pipelines.bindGroupsMade,
    };
  }

  /** Throws an AdapterError for anything but `f32`, and `f16` on a device that has it. */
  checkPrecision(precision: string): void {
    if (precision === 'f32' || (precision === 'f16' && this.device.features.has('shader-f16'))) return;
    throw new AdapterError({
      operation: `compute in ${precision}`,
      expected: "f32, or f16 on a device with the feature 'shader-f16'",
      got: precision === 'f16' ? 'one without it' : precision,
      remedy: 'Use f32, or open the device with requestDevice().',
    });
  }

  /** Memory of `bytes`, contents undefined. Not public: `Tensor` is how memory is held. */
  allocate(bytes: number, label: string, options?: AcquireOptions): DeviceBuffer {
    this.#checks.assertAlive();
    if (options?.half) this.checkPrecision('f16');
    if (this.#rehearsal) return this.#rehearsal.pool.acquire(bytes, label, options);
    if (!this.#recording) return this.#pool.acquire(bytes, label, options);
    const buffer = this.#pool.acquire(bytes, label, { ...options, planned: true });
    this.#recording.adopt(buffer);
    return buffer;
  }

  /** `bytes` of a buffer from `offset` on, a multiple of 256; what holds the whole keeps the part alive. Not public. */
  part(whole: DeviceBuffer, offset: number, bytes: number): DeviceBuffer {
    return this.#pool.part(whole, offset, bytes);
  }

  release(buffer: DeviceBuffer): void {
    if (buffer.gpu) this.#pool.release(buffer);
    else this.#rehearsal?.pool.release(buffer);
  }

  /**
   * Runs `compute` without a device: every tensor is counted, none is made, no kernel runs. Answers what it would take.
   * @throws LimitError where a tensor of it would not fit this device.
   */
  rehearse(compute: () => void): Rehearsal {
    const outer = this.#rehearsal;
    const variants: Variant[] = [];
    const pool = new BufferPool({ limit: this.largestTensor });
    const choices = new Map<string, Choice>();
    this.#rehearsal = { pool, variants, choices };
    try {
      compute();
    } finally {
      this.#rehearsal = outer;
    }
    const { peakBytes, peakDeviceBytes } = pool.memory();
    return { peakBytes, deviceBytes: peakDeviceBytes, largestBytes: pool.largestBytes, variants, choices };
  }

  /** Whether `choose` can answer anything, or is wanted to know: else a computation need not be named. */
  get choosing(): boolean {
    return this.choices.size > 0 || this.#rehearsal !== undefined;
  }

  /** The way that was chosen for a computation, or undefined for the rule. */
  choose(choice: Choice): string | undefined {
    const known = this.#rehearsal?.choices;
    if (known && !known.has(choice.key)) known.set(choice.key, choice);
    return this.choices.get(choice.key);
  }

  /** Puts kept choices in force: the first call does, unless there are others; whatever is set later stays. */
  useKeptChoices(kept: () => Choices): void {
    if (this.#askedForChoices) return;
    this.#askedForChoices = true;
    if (this.choices.size === 0) this.choices = kept();
  }

  /** True where what is called now only counts, or is part of a plan: no plan can be made or used inside. */
  get busy(): boolean {
    return this.#rehearsal !== undefined || this.#recording !== undefined;
  }

  /** Compiles the kernels that a rehearsal found, side by side, so that their first use need not. */
  async prepare({ variants }: Rehearsal): Promise<void> {
    this.#checks.assertAlive();
    await this.#pipelines.prepare(variants);
  }

  /**
   * Records what `compute` encodes as a plan, without encoding it: the plan's `encode` does. `inputs` are buffers that the
   * caller fills before each use; whatever else changes between uses must lie in tensors that live outside. Not public:
   * `Plans` keeps plans.
   */
  record(inputs: readonly DeviceBuffer[], compute: () => void): Plan {
    this.#checks.assertAlive();
    if (this.busy) throw new TypeError('a plan inside a rehearsal or a plan');
    const [device, pool, pipelines, commands] = [this.device, this.#pool, this.#pipelines, this.#commands];
    const plan = (this.#recording = new Plan({ device, pool, pipelines, commands }, inputs));
    const measured = pool.measure();
    try {
      compute();
    } catch (error) {
      this.#recording = undefined;
      measured();
      plan.abandon();
      throw error;
    }
    this.#recording = undefined;
    plan.end(measured());
    return plan;
  }

  /**
   * Copies data to the device. Commands encoded earlier see the old contents.
   * @throws ArgumentError inside a plan, which would repeat the same data for ever.
   */
  upload(buffer: DeviceBuffer, data: ArrayBufferView<ArrayBuffer>, byteOffset = 0): void {
    this.#checks.assertAlive();
    if (!buffer.gpu) return;
    if (this.#recording) {
      throw new ArgumentError({
        operation: 'upload inside a plan',
        expected: 'what a plan computes to depend on its inputs alone',
        got: 'data of the host',
        remedy: 'Write it into an input of the plan, or into a tensor that is made before.',
      });
    }
    if (this.#commands.names(buffer.block)) this.flush();
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

  /**
   * Copies what a page shows at this moment into a buffer, packed RGBA, without alpha multiplied in; rows of `stride` pixels,
   * a multiple of 64.
   * @throws what `copyExternalImageToTexture` throws for a source that it does not take.
   */
  capture(
    source: GPUCopyExternalImageSource,
    { width, height, stride }: { readonly width: number; readonly height: number; readonly stride: number },
    into: DeviceBuffer,
  ): void {
    this.#checks.assertAlive();
    if (!into.gpu) return;
    const texture = this.#checks.guard('capture a picture', () =>
      this.device.createTexture({ label: 'picture', size: [width, height], format: 'rgba8unorm', usage: CAPTURED }),
    );
    try {
      this.#checks.guard('capture a picture', () => {
        this.device.queue.copyExternalImageToTexture({ source }, { texture }, [width, height]);
      });
    } catch (error) {
      texture.destroy();
      throw error;
    }
    this.#commands.copyTexture(texture, into, [width, height], stride * 4);
    this.#captured.push(texture);
  }

  /** Fills a buffer with zeros, in the order of the encoded commands. */
  clear(buffer: DeviceBuffer): void {
    this.#checks.assertAlive();
    if (buffer.gpu) (this.#recording ?? this.#commands).clear(buffer);
  }

  /** Copies the first `bytes` (a multiple of 4) of one buffer into another, in the order of the encoded commands. */
  copy(from: DeviceBuffer, to: DeviceBuffer, bytes: number): void {
    this.#checks.assertAlive();
    if (from.gpu && to.gpu) (this.#recording ?? this.#commands).copy(from, to, bytes);
  }

  /** Encodes one dispatch. It is submitted with those around it: at the next read or `flush()`, or when they are many. */
  run<N extends KernelName>(name: N, dispatch: Dispatch<NoInfer<N>>): void {
    this.#checks.assertAlive();
    const { grid, params, conditions = {}, constants = {} } = dispatch;
    checkGrid(name, grid, this.limits.maxComputeWorkgroupsPerDimension);
    if (grid.includes(0)) return;
    const bound = dispatch.buffers as Bound;
    let half = 0;
    for (const binding in bound) if (bound[binding]?.half) half |= binding === 'y' ? WRITES_HALF : READS_HALF;
    const variant = { name, conditions, constants, half };
    if (this.#rehearsal) {
      this.#rehearsal.variants.push(variant);
      return;
    }
    const pipeline = this.#pipelines.of(variant);
    (this.#recording ?? this.#commands).dispatch(pipeline, params, bound, grid, flopsOf(name, params));
  }

  /** Submits what was encoded. Reads do this themselves; training steps call it once at their end. */
  flush(): void {
    this.#commands.flush();
  }

  /**
   * Reads `bytes` from the start of a buffer, after all that was encoded before: one wait.
   * @throws KernelError, OutOfMemoryError or DeviceLostError for what went wrong on the device since the last read.
   */
  async read(buffer: DeviceBuffer, bytes: number, byteOffset = 0): Promise<ArrayBuffer> {
    this.#checks.assertAlive();
    const { gpu } = buffer;
    if (!gpu || this.#recording) throw new TypeError('a rehearsal or a plan has nothing to read');
    if (bytes === 0) return new ArrayBuffer(0);
    let submission = 0;
    const copy = await this.#inUse(
      this.#readback.read(bytes, (into, size) => {
        this.#commands.encode((encoder) => {
          encoder.copyBufferToBuffer(gpu, buffer.offset + byteOffset, into, 0, size);
        });
        submission = this.#commands.submission;
        this.flush();
        this.#reads++;
      }),
    );
    this.#pool.done(submission);
    return copy;
  }

  /** Submits what was encoded and waits until the device has done it. */
  async finish(): Promise<void> {
    this.#checks.assertAlive();
    this.flush();
    const submission = this.#commands.submission - 1;
    await this.#inUse(this.#checks.settle(this.device.queue.onSubmittedWorkDone()));
    this.#pool.done(submission);
  }

  /**
   * Measures each dispatch of `compute` with the device's own clock (feature `timestamp-query`).
   * Dawn rounds to 65,536 ns unless its toggle `timestamp_quantization` is off. `runsOf`: how often in a row each dispatch
   * runs, counted from 0, 1 by default: the time is that of one run. What adds to memory adds as often.
   */
  async profile(compute: () => void | Promise<void>, runsOf?: (index: number) => number): Promise<KernelTiming[]> {
    if (!this.device.features.has('timestamp-query')) {
      throw new ArgumentError({
        operation: 'profile',
        expected: "a device with the feature 'timestamp-query'",
        got: 'one without it',
        remedy: 'Open the device with requestDevice(), which asks for it where the adapter has it.',
      });
    }
    // What is seldom asked for is loaded when it is.
    const { Profile } = await import('./profile.js');
    this.flush();
    const profile = (this.#commands.profile = new Profile(this.device, runsOf));
    try {
      await compute();
      this.#commands.profile = undefined;
      return await profile.read(this.#checks, (encode) => {
        this.#commands.encode(encode);
        this.flush();
      });
    } finally {
      this.#commands.profile = undefined;
      profile.dispose();
    }
  }

  /** Waits for the device, which is in use for as long: a submission may take a slow one longer than idleness does. */
  async #inUse<T>(waiting: Promise<T>): Promise<T> {
    this.#waiting++;
    try {
      return await waiting;
    } finally {
      this.#waiting--;
      this.#lastUse = performance.now();
    }
  }

  /** Trims after a while without use. The timer keeps no process alive. */
  #awaitIdleness(): void {
    if (this.#idleTimer !== undefined) return;
    const timer = setTimeout(() => {
      this.#idleTimer = undefined;
      if (this.#waiting === 0 && performance.now() - this.#lastUse >= this.idleAfter) this.trim();
      else this.#awaitIdleness();
    }, this.idleAfter);
    this.#idleTimer = timer;
    // A browser's timers are numbers.
    if (typeof timer === 'object') timer.unref();
  }
}
