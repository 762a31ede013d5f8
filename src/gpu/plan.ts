import { BEING_ENCODED, type Block, type BufferPool, type DeviceBuffer } from './buffers.js';
import type { Commands, DispatchList } from './commands.js';
import type { Grid } from './grid.js';
import { Parameters } from './parameters.js';
import type { Bound, Pipeline, Pipelines } from './pipelines.js';

/** What a plan is made with. */
export interface PlanHost {
  readonly device: GPUDevice;
  readonly pool: BufferPool;
  readonly pipelines: Pipelines;
  readonly commands: Commands;
}

/** A command that is no dispatch, before dispatch number `at`. */
interface Between {
  readonly at: number;
  readonly encode: (commands: Commands) => void;
}

/**
 * What a computation encodes, recorded once: pipelines, bind groups, parameters and grids, to be encoded again without
 * running the computation. Its intermediate buffers lie in the pool between two uses, for whoever needs memory meanwhile:
 * each use writes all of them anew. `reserve` finds out whether all that it names is still there.
 */
export class Plan {
  /** Allocated by the caller, filled before each use. */
  readonly inputs: readonly DeviceBuffer[];
  readonly #host: PlanHost;
  /** Held by the computation when it began: weights, tables. With what `generation` each had. */
  readonly #outside = new Map<Block, number>();
  /** Allocated by the computation, inputs and outputs included. */
  readonly #inside = new Set<Block>();
  readonly #params: Parameters[] = [];
  readonly #pipelines: Pipeline[] = [];
  readonly #groups: GPUBindGroup[] = [];
  readonly #offsets: number[] = [];
  readonly #grids: number[] = [];
  readonly #flops: number[] = [];
  readonly #between: Between[] = [];
  #list: DispatchList | undefined;
  #uploaded = false;
  #peakBytes = 0;
  #scratch: DeviceBuffer[] = [];
  #reserved: DeviceBuffer[] = [];

  constructor(host: PlanHost, inputs: readonly DeviceBuffer[]) {
    this.#host = host;
    this.inputs = inputs;
    for (const buffer of inputs) this.adopt(buffer);
  }

  /** Takes part in the recording: a buffer that was just allocated for it. */
  adopt({ block }: DeviceBuffer): void {
    this.#inside.add(block);
  }

  /** Records a dispatch. */
  dispatch(pipeline: Pipeline, params: object, bound: Bound, grid: Grid, flops: number): void {
    let last = this.#params.at(-1);
    if (!last || last.full) {
      this.#params.push((last = new Parameters(this.#host.device, `parameters of a plan, ${this.#params.length}`)));
    }
    this.#groups.push(this.#host.pipelines.makeBindGroup(pipeline, last.buffer, bound));
    for (const name in bound) {
      const buffer = bound[name];
      if (buffer) this.#name(buffer.block);
    }
    this.#pipelines.push(pipeline);
    this.#offsets.push(last.add(pipeline, params));
    this.#grids.push(...grid);
    this.#flops.push(flops);
  }

  clear(buffer: DeviceBuffer): void {
    this.#name(buffer.block);
    this.#between.push({
      at: this.#pipelines.length,
      encode: (commands) => {
        commands.clear(buffer);
      },
    });
  }

  copy(from: DeviceBuffer, to: DeviceBuffer, bytes: number): void {
    this.#name(from.block);
    this.#name(to.block);
    this.#between.push({
      at: this.#pipelines.length,
      encode: (commands) => {
        commands.copy(from, to, bytes);
      },
    });
  }

  /** Ends the recording. `peakBytes`: what the computation had in use at its worst moment, over what there was before. */
  end(peakBytes: number): void {
    this.#peakBytes = peakBytes;
    this.#list = {
      pipelines: this.#pipelines,
      groups: this.#groups,
      offsets: Uint32Array.from(this.#offsets),
      grids: Uint32Array.from(this.#grids),
      flops: Float64Array.from(this.#flops),
    };
    const inputs = new Set(this.inputs.map(({ block }) => block));
    for (const block of this.#inside) {
      block.plans++;
      const { id, gpu, capacity } = block;
      if (!inputs.has(block)) this.#scratch.push({ id, gpu, capacity, block, offset: 0, bytes: 0 });
    }
    this.#mark(this.#host.commands.submission);
  }

  /** Gives up a recording that failed. */
  abandon(): void {
    this.#mark(this.#host.commands.submission);
    this.#destroyParams();
  }

  /**
   * Takes the plan's buffers out of the pool for one use. False where one of them is in use or gone, or where something
   * that the computation found there has passed to another holder: then it must be recorded anew.
   */
  reserve(): boolean {
    for (const [block, generation] of this.#outside) {
      if (!block.held || block.generation !== generation) return false;
    }
    if (!this.#host.pool.reserve([...this.inputs, ...this.#scratch])) return false;
    this.#reserved = this.#scratch;
    return true;
  }

  /** Encodes all that was recorded. */
  encode(): void {
    const { commands, pool, device } = this.#host;
    this.#mark(BEING_ENCODED);
    try {
      if (!this.#uploaded) for (const params of this.#params) params.upload(device.queue);
      this.#uploaded = true;
      const list = this.#list!;
      let next = 0;
      for (const { at, encode } of this.#between) {
        commands.dispatchAll(list, next, at);
        encode(commands);
        next = at;
      }
      commands.dispatchAll(list, next, this.#pipelines.length);
      pool.reached(this.#peakBytes);
    } finally {
      this.#mark(commands.submission);
    }
  }

  /** Gives what `reserve` took back to the pool; the inputs are the caller's to give back. */
  release(): void {
    for (const buffer of this.#reserved) this.#host.pool.release(buffer);
    this.#reserved = [];
  }

  dispose(): void {
    for (const block of this.#inside) block.plans--;
    this.#inside.clear();
    this.#host.commands.flush();
    this.#destroyParams();
  }

  #name(block: Block): void {
    block.usedAt = BEING_ENCODED;
    if (!this.#inside.has(block)) this.#outside.set(block, block.generation);
  }

  #mark(usedAt: number): void {
    for (const block of this.#inside) block.usedAt = usedAt;
    for (const block of this.#outside.keys()) block.usedAt = usedAt;
  }

  #destroyParams(): void {
    for (const { buffer } of this.#params) buffer.destroy();
  }
}
