import type { DeviceBuffer } from '../../gpu/buffers.js';
import { flatGrid } from '../../gpu/grid.js';
import type { Gpu } from '../../gpu/gpu.js';
import type { Tensor } from '../../tensor/tensor.js';
import { type ConvGeometry, windowParams } from './geometry.js';

/**
 * Ways to compute a convolution; all give the same result but for the rounding of sums.
 * `broadcast`: registers and subgroup shuffles, for CPU adapters. `tiled`: workgroup memory, for GPUs.
 * `plain`: registers alone, for all. `any`: one number at a time, for every number of channels and groups.
 */
export type Skeleton = 'broadcast' | 'tiled' | 'plain' | 'any';

/** What a forward pass reads and where it writes. */
export interface ConvOperands {
  readonly x: Tensor;
  readonly weight: Tensor;
  readonly scale: Tensor | undefined;
  readonly shift: Tensor | undefined;
  readonly residual: Tensor | undefined;
  readonly slope: number | undefined;
  readonly y: Tensor;
}

/** The widest subgroup for which a lane's accumulators stay in registers. */
const BROADCAST_LANES = 16;
/** Workgroups of a tile size from which it keeps a GPU busy; about two for each multiprocessor of a large one. */
const BUSY_WORKGROUPS = 256;

/** The fastest way on this device. */
export function preferredSkeleton(gpu: Gpu): Skeleton {
  const lanes = gpu.subgroupSize;
  if (!gpu.isFallback) return 'tiled';
  return lanes !== undefined && lanes <= BROADCAST_LANES ? 'broadcast' : 'plain';
}

function aligned(tensor: Tensor | undefined): boolean {
  return tensor === undefined || (tensor.pitch % 4 === 0 && tensor.offset % 4 === 0);
}

/** Encodes y = f(conv(x, weight)·scale + shift + residual). Sizes and devices were checked before. */
export function runForward(skeleton: Skeleton, geometry: ConvGeometry, operands: ConvOperands): void {
  const { x, weight, scale, shift, residual, slope, y } = operands;
  const { gpu } = x;
  const { cin, cout, groups } = geometry;
  const window = { ...windowParams(geometry), slope: slope ?? 0 };
  const { pixels } = window;
  if (pixels === 0) return;

  const buffers: Record<'x' | 'weight' | 'y', DeviceBuffer> &
    Partial<Record<'scale' | 'shift' | 'residual', DeviceBuffer>> = {
    x: x.buffer,
    weight: weight.buffer,
    y: y.buffer,
    ...(scale && { scale: scale.buffer }),
    ...(shift && { shift: shift.buffer }),
    ...(residual && { residual: residual.buffer }),
  };
  const conditions = {
    scaled: scale !== undefined,
    shifted: shift !== undefined,
    added: residual !== undefined,
    activation: slope !== undefined,
  };

  const depthwise = groups === cin && groups === cout && groups > 1;
  const vectors = cin % 4 === 0 && cout % 4 === 0 && aligned(x) && aligned(residual) && aligned(y);
  if (skeleton === 'any' || !vectors || (groups > 1 && !depthwise)) {
    gpu.run('conv2d_forward_any', {
      params: {
        ...window,
        group_cin: cin / groups,
        group_cout: cout / groups,
        cout,
        x_pitch: x.pitch,
        x_offset: x.offset,
        residual_pitch: residual?.pitch ?? 0,
        residual_offset: residual?.offset ?? 0,
        y_pitch: y.pitch,
        y_offset: y.offset,
      },
      buffers,
      conditions,
      grid: flatGrid(pixels * cout, 64),
    });
    return;
  }

  const cout4 = cout / 4;
  const params = {
    ...window,
    cin4: cin / 4,
    cout4,
    x_pitch4: x.pitch / 4,
    x_offset4: x.offset / 4,
    residual_pitch4: (residual?.pitch ?? 0) / 4,
    residual_offset4: (residual?.offset ?? 0) / 4,
    y_pitch4: y.pitch / 4,
    y_offset4: y.offset / 4,
  };
  const shared = { params, buffers, conditions };
  if (depthwise) {
    const ROWS = 4;
    const { kernelW: KERNEL_W, strideX: STRIDE_X, dilationX: DILATION_X } = geometry;
    const blocks = geometry.batch * geometry.outH * Math.ceil(geometry.outW / ROWS);
    gpu.run('conv2d_forward_depthwise', {
      ...shared,
      constants: { ROWS, KERNEL_W, STRIDE_X, DILATION_X },
      grid: flatGrid(blocks * cout4, 64),
    });
    return;
  }
  if (skeleton === 'broadcast' && gpu.subgroupSize !== undefined) {
    const LANES = gpu.subgroupSize;
    if (cout4 < LANES) {
      const ROWS = Math.min(8, Math.max(1, Math.floor(16 / cout4)));
      const grid = flatGrid(Math.ceil(pixels / (LANES * ROWS)), 1);
      gpu.run('conv2d_forward_narrow', { ...shared, constants: { LANES, ROWS, COLS: cout4 }, grid });
    } else {
      const BLOCKS = broadcastBlocks(LANES);
      const grid = flatGrid(Math.ceil(pixels / (LANES * BLOCKS)) * Math.ceil(cout4 / LANES), 1);
      gpu.run('conv2d_forward_broadcast', { ...shared, constants: { LANES, BLOCKS }, grid });
    }
    return;
  }
  if (skeleton === 'tiled') {
    const { workgroups, ...constants } = tileFor(pixels, cout4);
    gpu.run('conv2d_forward_tiled', { ...shared, constants, grid: flatGrid(workgroups, 1) });
    return;
  }
  const ROWS = 4;
  const COLS = cout4 % 4 === 0 ? 4 : cout4 % 2 === 0 ? 2 : 1;
  const grid = flatGrid(Math.ceil(pixels / ROWS) * (cout4 / COLS), 64);
  gpu.run('conv2d_forward_plain', { ...shared, constants: { ROWS, COLS }, grid });
}

/** Pixels a lane of the broadcast kernel loads at a time: about 16 accumulators a lane. */
function broadcastBlocks(lanes: number): number {
  return lanes <= 4 ? 4 : lanes <= 8 ? 2 : 1;
}

/** The largest tile of the menu that gives enough workgroups, else the smallest. */
function tileFor(pixels: number, cout4: number): { SIDE: number; ROWS: number; COLS: number; workgroups: number } {
  const menu = [
    { SIDE: 16, ROWS: 8, COLS: 2 },
    { SIDE: 16, ROWS: 4, COLS: 1 },
    { SIDE: 8, ROWS: 4, COLS: 1 },
  ] as const;
  const sized = menu.map((tile) => ({
    ...tile,
    workgroups: Math.ceil(pixels / (tile.SIDE * tile.ROWS)) * Math.ceil(cout4 / (tile.SIDE * tile.COLS)),
  }));
  const fits = sized.find((tile) => tile.workgroups >= BUSY_WORKGROUPS && cout4 >= tile.SIDE * tile.COLS);
  return fits ?? sized[2]!;
}
