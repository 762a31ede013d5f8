import { readFileSync } from 'node:fs';
import type { Gpu } from '../../src/gpu/gpu.js';
import { flatGrid } from '../../src/gpu/grid.js';

/** What memory gives to a kernel whose arrays take so many bytes together. */
export interface MemoryRate {
  readonly bytes: number;
  /** Bytes a second. */
  readonly rate: number;
}

/** What an adapter gives, measured. */
export interface Peaks {
  /** Floating-point operations a second, a multiply-add as two. */
  readonly flops: number;
  /** By rising size: what fits caches is faster. */
  readonly memory: readonly MemoryRate[];
}

/** A submission is filled with runs until it takes so long: what it costs to submit and to wait is then nothing. */
const LEAST_MS = 60;
const ROUNDS = 5;
const STEPS = 4096;
const CHAINS = 8;
/** Bytes of one of the three arrays. */
const SMALLEST = 2 ** 16;
const LARGEST = 2 ** 27;

const STORAGE = 0x80 | 0x08; // STORAGE | COPY_DST
const UNIFORM = 0x40 | 0x08; // UNIFORM | COPY_DST

/** One of the two kernels beside this file, with its buffers. */
interface Probe {
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  readonly grid: readonly [number, number, number];
}

function source(name: string): string {
  return readFileSync(new URL(`${name}.wgsl`, import.meta.url), 'utf8');
}

/** Seconds that one run takes: the best round, of many runs in one submission. */
async function secondsOf(gpu: Gpu, { pipeline, group, grid }: Probe): Promise<number> {
  const { device } = gpu;
  const timed = async (runs: number): Promise<number> => {
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    for (let run = 0; run < runs; run++) pass.dispatchWorkgroups(...grid);
    pass.end();
    const start = performance.now();
    device.queue.submit([encoder.finish()]);
    await gpu.finish();
    return performance.now() - start;
  };
  let runs = 1;
  // The first one compiles.
  await timed(runs);
  for (let ms = await timed(runs); ms < LEAST_MS && runs < 2 ** 14; ms = await timed(runs)) {
    runs = Math.ceil(runs * Math.min(16, Math.max(2, (1.2 * LEAST_MS) / ms)));
  }
  let best = Infinity;
  for (let round = 0; round < ROUNDS; round++) best = Math.min(best, await timed(runs));
  return best / runs / 1000;
}

async function arithmetic(gpu: Gpu, fused: boolean): Promise<number> {
  const { device } = gpu;
  const invocations = gpu.isFallback ? 2 ** 14 : 2 ** 20;
  const module = device.createShaderModule({ code: source('arithmetic'), label: 'peak of arithmetic' });
  const constants = { FUSED: Number(fused) };
  const pipeline = await device.createComputePipelineAsync({ layout: 'auto', compute: { module, constants } });
  const params = device.createBuffer({ size: 16, usage: UNIFORM });
  device.queue.writeBuffer(params, 0, Float32Array.of(0.999, 0.001));
  device.queue.writeBuffer(params, 8, Uint32Array.of(STEPS));
  const y = device.createBuffer({ size: 4 * invocations, usage: STORAGE });
  const entries = [params, y].map((buffer, binding) => ({ binding, resource: { buffer } }));
  const group = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
  const seconds = await secondsOf(gpu, { pipeline, group, grid: [invocations / 64, 1, 1] });
  for (const buffer of [params, y]) buffer.destroy();
  return (2 * STEPS * CHAINS * invocations) / seconds;
}

async function memory(gpu: Gpu): Promise<MemoryRate[]> {
  const { device } = gpu;
  const module = device.createShaderModule({ code: source('memory'), label: 'peak of memory' });
  const pipeline = await device.createComputePipelineAsync({ layout: 'auto', compute: { module } });
  const params = device.createBuffer({ size: 16, usage: UNIFORM });
  device.queue.writeBuffer(params, 0, Float32Array.of(0.5));
  const rates: MemoryRate[] = [];
  for (let size = SMALLEST; size <= Math.min(LARGEST, gpu.largestTensor); size *= 2) {
    const arrays = [0, 1, 2].map(() => device.createBuffer({ size, usage: STORAGE }));
    const entries = [params, ...arrays].map((buffer, binding) => ({ binding, resource: { buffer } }));
    const group = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
    const seconds = await secondsOf(gpu, { pipeline, group, grid: flatGrid(size / 16, 64) });
    rates.push({ bytes: 3 * size, rate: (3 * size) / seconds });
    for (const buffer of arrays) buffer.destroy();
  }
  params.destroy();
  return rates;
}

/** Measures an adapter: multiply-adds in registers, and the triad over arrays of several sizes. */
export async function measurePeaks(gpu: Gpu): Promise<Peaks> {
  const flops = Math.max(await arithmetic(gpu, true), await arithmetic(gpu, false));
  return { flops, memory: await memory(gpu) };
}

/** Bytes a second that memory gives to a kernel over so many bytes: the best of the sizes that hold them. */
export function rateOf({ memory }: Peaks, bytes: number): number {
  const larger = memory.filter((each) => each.bytes >= bytes);
  return Math.max(...(larger.length > 0 ? larger : memory.slice(-1)).map(({ rate }) => rate));
}

/** The least seconds in which an adapter can do so much: what arithmetic or what memory takes, whichever is more. */
export function leastSeconds(peaks: Peaks, flops: number, bytes: number): number {
  return Math.max(flops / peaks.flops, bytes / rateOf(peaks, bytes));
}
