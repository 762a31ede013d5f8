import type { Block, DeviceBuffer } from './buffers.js';
import type { Checks } from './checks.js';
import type { Grid } from './grid.js';
import { Parameters, SLOTS } from './parameters.js';
import type { Bound, Pipeline, Pipelines } from './pipelines.js';
import type { Profile } from './profile.js';

/**
 * A submission ends with the dispatch that takes it over either of these. Systems reset a GPU that is busy with one for
 * seconds: 100 GFLOP take an integrated one half a second at a tenth of its peak.
 */
const MOST_FLOPS = 100e9;
const MOST_DISPATCHES = SLOTS;

/** Dispatches as flat arrays, to be encoded without further work. */
export interface DispatchList {
  readonly pipelines: readonly Pipeline[];
  readonly groups: readonly GPUBindGroup[];
  /** Of the parameters. */
  readonly offsets: Uint32Array;
  /** Three numbers each. */
  readonly grids: Uint32Array;
  readonly flops: Float64Array;
}

/** What is encoded and not yet submitted. Submissions are numbered from 1. */
export class Commands {
  /** Told before and after each submission. */
  onSubmit: (() => void) | undefined;
  /** Every dispatch is timed by it, in a pass of its own. */
  profile: Profile | undefined;
  readonly #device: GPUDevice;
  readonly #checks: Checks;
  readonly #pipelines: Pipelines;
  readonly #params: Parameters;
  #submission = 1;
  #encoder: GPUCommandEncoder | undefined;
  #pass: GPUComputePassEncoder | undefined;
  #pending = 0;
  #flops = 0;
  #dispatches = 0;

  constructor(device: GPUDevice, checks: Checks, pipelines: Pipelines) {
    this.#device = device;
    this.#checks = checks;
    this.#pipelines = pipelines;
    this.#params = new Parameters(device, 'parameters');
  }

  /** The number of the submission that is being encoded; all before it were submitted. */
  get submission(): number {
    return this.#submission;
  }

  get dispatches(): number {
    return this.#dispatches;
  }

  /** True where commands that are not yet submitted name it. */
  names(block: Block): boolean {
    return block.usedAt >= this.#submission;
  }

  dispatch(pipeline: Pipeline, params: object, bound: Bound, grid: Grid, flops: number): void {
    // Before parameters are packed: a clash of buffers leaves nothing behind.
    const group = this.#pipelines.bindGroup(pipeline, this.#params.buffer, bound);
    if (this.#params.full) this.flush();
    const offset = this.#params.add(pipeline, params);
    for (const name in bound) {
      const buffer = bound[name];
      if (buffer) this.#use(buffer.block);
    }
    const pass = this.#openPass(pipeline);
    pass.setPipeline(pipeline.pipeline);
    pass.setBindGroup(0, group, [offset]);
    const runs = this.profile?.runs ?? 1;
    for (let run = 0; run < runs; run++) pass.dispatchWorkgroups(...grid);
    this.#count(flops * runs);
  }

  /** Encodes dispatches `from` to `to` of a list. */
  dispatchAll({ pipelines, groups, offsets, grids, flops }: DispatchList, from: number, to: number): void {
    let current: Pipeline | undefined;
    for (let i = from; i < to; i++) {
      const pipeline = pipelines[i]!;
      const pass = this.#pass && !this.profile ? this.#pass : this.#openPass(pipeline);
      if (pipeline !== current) pass.setPipeline((current = pipeline).pipeline);
      pass.setBindGroup(0, groups[i], offsets, i, 1);
      const runs = this.profile?.runs ?? 1;
      for (let run = 0; run < runs; run++) pass.dispatchWorkgroups(grids[3 * i]!, grids[3 * i + 1], grids[3 * i + 2]);
      this.#count(flops[i]! * runs);
      // The next one begins a pass.
      if (!this.#pass) current = undefined;
    }
  }

  /** Fills a buffer with zeros. */
  clear({ gpu, block, offset, bytes }: DeviceBuffer): void {
    this.#use(block);
    this.encode((encoder) => {
      encoder.clearBuffer(gpu!, offset, bytes);
    });
  }

  /** Copies the first `bytes` of one buffer into another. */
  copy(from: DeviceBuffer, to: DeviceBuffer, bytes: number): void {
    this.#use(from.block);
    this.#use(to.block);
    this.encode((encoder) => {
      encoder.copyBufferToBuffer(from.gpu!, from.offset, to.gpu!, to.offset, bytes);
    });
  }

  /** Copies a texture of four bytes a pixel into a buffer, rows `bytesPerRow` apart. */
  copyTexture(from: GPUTexture, to: DeviceBuffer, size: readonly [number, number], bytesPerRow: number): void {
    this.#use(to.block);
    this.encode((encoder) => {
      encoder.copyTextureToBuffer({ texture: from }, { buffer: to.gpu!, offset: to.offset, bytesPerRow }, size);
    });
  }

  /** Encodes something between passes. */
  encode(command: (encoder: GPUCommandEncoder) => void): void {
    this.#endPass();
    command((this.#encoder ??= this.#device.createCommandEncoder({ label: 'retinaface-webgpu' })));
  }

  /** Submits what was encoded, if anything was. */
  flush(): void {
    this.#endPass();
    const encoder = this.#encoder;
    if (!encoder) return;
    this.#encoder = undefined;
    this.#pending = this.#flops = 0;
    this.#params.upload(this.#device.queue);
    this.#params.clear();
    this.#checks.guard('submit', () => {
      this.#device.queue.submit([encoder.finish()]);
    });
    this.#submission++;
    this.onSubmit?.();
  }

  /** What a plan is encoding stays marked as that until its end. */
  #use(block: Block): void {
    block.usedAt = Math.max(block.usedAt, this.#submission);
  }

  #count(flops: number): void {
    this.#dispatches++;
    this.#pending++;
    this.#flops += flops;
    if (this.#pending >= MOST_DISPATCHES || this.#flops >= MOST_FLOPS) this.flush();
    else if (this.profile) this.#endPass();
  }

  #openPass({ name }: Pipeline): GPUComputePassEncoder {
    if (this.#pass) return this.#pass;
    this.#encoder ??= this.#device.createCommandEncoder({ label: 'retinaface-webgpu' });
    return (this.#pass = this.#encoder.beginComputePass(this.profile?.next(name)));
  }

  #endPass(): void {
    this.#pass?.end();
    this.#pass = undefined;
  }
}
