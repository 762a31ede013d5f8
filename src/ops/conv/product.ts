import type { DeviceBuffer } from '../../gpu/buffers.js';
import { flatGrid } from '../../gpu/grid.js';
import type { Gpu } from '../../gpu/gpu.js';
import type { KernelConditions, KernelParams } from '../../gpu/linker.js';

/** What the two fast kernels of dense convolutions take, a matrix product over the pixels' windows. */
export interface Product {
  /** `share`: pixels that share weights; `weight_step4`: vec4s from one set of weights to the next. */
  readonly params: KernelParams<'conv2d_forward_broadcast'>;
  readonly buffers: Readonly<Record<'x' | 'weight' | 'y', DeviceBuffer>> &
    Readonly<Partial<Record<'scale' | 'shift' | 'residual', DeviceBuffer>>>;
  readonly conditions: KernelConditions<'conv2d_forward_broadcast'>;
}

/** Workgroups of a tile size from which it keeps a GPU busy; about two for each multiprocessor of a large one. */
const BUSY_WORKGROUPS = 256;

/** Channels that a workgroup of the smallest tile takes at a time. */
export const SMALLEST_TILE = { cin: 16, cout: 32 };

/** Encodes a product by subgroup shuffles; needs subgroups of a fixed size, and as many output vec4s as lanes. */
export function runBroadcast(gpu: Gpu, product: Product): void {
  const { pixels, share, cout4 } = product.params;
  const LANES = gpu.subgroupSize!;
  // What few pixels do not fill is computed for nothing: the products of Winograd's way on small maps have 4 or 9.
  const BLOCKS = share <= 2 * LANES ? Math.min(2, broadcastBlocks(LANES)) : broadcastBlocks(LANES);
  const blocks = (pixels / share) * Math.ceil(share / (LANES * BLOCKS)) * Math.ceil(cout4 / LANES);
  gpu.run('conv2d_forward_broadcast', { ...product, constants: { LANES, BLOCKS }, grid: flatGrid(blocks, 1) });
}

/** Encodes a product by tiles in workgroup memory: of that name, or of the rule's choice. */
export function runTiled(gpu: Gpu, product: Product, tile?: TileName): void {
  const { pixels, share, cout4 } = product.params;
  const { workgroups, SIDE, ROWS, COLS } = tileFor(pixels / share, share, cout4, tile);
  const constants = { SIDE, ROWS, COLS };
  gpu.run('conv2d_forward_tiled', { ...product, constants, grid: flatGrid(workgroups, 1) });
}

/** Pixels a lane of the broadcast kernel loads at a time. 5 of 8 lanes were faster than 2, 3, 4, 6 and 8 on llvmpipe. */
function broadcastBlocks(lanes: number): number {
  return lanes <= 4 ? 4 : lanes <= 8 ? 5 : 1;
}

/** Tiles of the tiled kernel, the largest first; their names are pixels × output channels. */
export const TILES = [
  { name: '128×128', SIDE: 16, ROWS: 8, COLS: 2 },
  { name: '64×64', SIDE: 16, ROWS: 4, COLS: 1 },
  { name: '32×32', SIDE: 8, ROWS: 4, COLS: 1 },
] as const;

export type TileName = (typeof TILES)[number]['name'];

/** The tile of that name, or the largest that gives enough workgroups, else the smallest. */
function tileFor(
  products: number,
  pixels: number,
  cout4: number,
  wanted: TileName | undefined,
): { SIDE: number; ROWS: number; COLS: number; workgroups: number } {
  const sized = TILES.map((tile) => ({
    ...tile,
    workgroups: products * Math.ceil(pixels / (tile.SIDE * tile.ROWS)) * Math.ceil(cout4 / (tile.SIDE * tile.COLS)),
  }));
  const fits = sized.find((tile) => tile.workgroups >= BUSY_WORKGROUPS && cout4 >= tile.SIDE * tile.COLS);
  return sized.find(({ name }) => name === wanted) ?? fits ?? sized[2]!;
}
