import type { Gpu } from '../../gpu/gpu.js';
import type { ConvGeometry } from './geometry.js';
import { type TileName, TILES } from './product.js';

/**
 * Ways to compute a convolution; all give the same result but for the rounding of sums.
 * `broadcast`: registers and subgroup shuffles, for CPU adapters. `tiled`: workgroup memory, for GPUs.
 * `plain`: registers alone, for all. `any`: one number at a time, for every number of channels and groups.
 * `winograd`: where the convolution is 3×3 of stride 1, by fewer products, those by the way named behind it; else that way.
 */
export type Skeleton = DirectSkeleton | 'winograd-broadcast' | 'winograd-tiled';
export type DirectSkeleton = 'broadcast' | 'tiled' | 'plain' | 'any';

/** A way, with the tile that it takes where it is not to be the one of the rule: pixels × output channels. */
export type Way = Skeleton | `${'tiled' | 'winograd-tiled'} ${TileName}`;

/** A convolution that has several ways. `kept`: the layer keeps its `winogradWeight`. */
export interface ConvComputation {
  readonly operation: 'forward' | 'weight gradient';
  readonly geometry: ConvGeometry;
  readonly kept: boolean;
  /** Of f16. */
  readonly half: boolean;
}

/** Dense, with channels in whole vectors: others have one kernel each. */
export function hasWays({ groups, cin, cout }: ConvGeometry): boolean {
  return groups === 1 && cin % 4 === 0 && cout % 4 === 0;
}

/**
 * What measuring chose for a convolution of this kind, or undefined for the rule. Outputs of about as many pixels, to the nearest
 * power of two, are of one kind.
 */
export function chosenWay(
  gpu: Gpu,
  operation: ConvComputation['operation'],
  geometry: ConvGeometry,
  kept = false,
  half = false,
): Way | undefined {
  if (!gpu.choosing || !hasWays(geometry)) return undefined;
  const { batch, outH, outW, cin, cout, kernelH, kernelW, strideY, strideX, dilationY, dilationX } = geometry;
  const pixels = Math.round(Math.log2(Math.max(1, batch * outH * outW)));
  const key =
    `conv2d ${operation} ${kernelH}×${kernelW} /${strideY}×${strideX} *${dilationY}×${dilationX} ` +
    `${cin}→${cout} 2^${pixels}${kept ? ' kept' : ''}${half ? ' f16' : ''}`;
  const computation: ConvComputation = { operation, geometry, kept, half };
  const way = gpu.choose({ key, computation });
  return way !== undefined && isWay(gpu, way) ? way : undefined;
}

/** True for a way that this library has and this device can take: choices may come from a file. */
function isWay(gpu: Gpu, way: string): way is Way {
  const [skeleton = '', tile] = way.split(' ');
  if (skeleton.endsWith('tiled')) return tile === undefined || TILES.some(({ name }) => name === tile);
  return skeleton === 'plain' || (['broadcast', 'winograd-broadcast'].includes(way) && gpu.subgroupSize !== undefined);
}

/** A way as its kernel and its tile; the rule chooses what is undefined. */
export function wayParts(way: Way | undefined): {
  readonly skeleton: Skeleton | undefined;
  readonly tile: TileName | undefined;
} {
  const [skeleton, tile] = (way?.split(' ') ?? []) as [Skeleton?, TileName?];
  return { skeleton, tile };
}
