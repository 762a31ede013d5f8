import type { DeviceBuffer } from '../../gpu/buffers.js';
import { flatGrid } from '../../gpu/grid.js';
import type { Gpu } from '../../gpu/gpu.js';
import type { Tensor } from '../../tensor/tensor.js';
import { chosenWay, type DirectSkeleton, type Skeleton, type Way, wayParts } from './choice.js';
import { type ConvGeometry, convGeometry, windowParams } from './geometry.js';
import { runBroadcast, runTiled, SMALLEST_TILE } from './product.js';
import { runWinograd, winogradFits, winogradPays, winogradWeight } from './winograd.js';

/** Weights in the form that a kernel takes, made when it is known which: as taps [kh, kw, cin / groups, cout], or as `winogradWeight`. */
export interface MadeWeight {
  readonly taps: () => Tensor;
  readonly values: () => Tensor;
}

/** Which taps of its weights a depthwise convolution takes: number `first_tap`, and those at steps from it. */
export type TapOrder = Readonly<Record<'first_tap' | 'tap_y' | 'tap_x', number>>;

/** What a forward pass reads and where it writes. */
export interface ConvOperands {
  readonly x: Tensor;
  readonly weight: Tensor | MadeWeight;
  /** Depthwise in whole vectors alone; all in their order unless given. */
  readonly order?: TapOrder;
  readonly scale: Tensor | undefined;
  readonly shift: Tensor | undefined;
  readonly residual: Tensor | undefined;
  readonly slope: number | undefined;
  readonly y: Tensor;
  /** Depthwise alone: `y` is a larger image, of which only these pixels are written. */
  readonly place?: Placement;
  /** `winogradWeight(weight)` where it is kept; else it is made where it is needed. */
  readonly values?: Tensor | undefined;
}

/** Where the pixels of an output lie in a larger image: from a first one on, at equal steps. */
export interface Placement {
  readonly height: number;
  readonly width: number;
  readonly firstY: number;
  readonly firstX: number;
  readonly stepY: number;
  readonly stepX: number;
}

/** The widest subgroup for which a lane's accumulators stay in registers. */
const BROADCAST_LANES = 16;

/** An image of whole tiles: on it Winograd's way pays if it does on any. */
const WINOGRAD_SIDE = 64;

/** Invocations that keep a device busy with a depthwise convolution. */
const DEPTHWISE_CPU = 1024;
const DEPTHWISE_GPU = 65536;

/** Pixels of a depthwise strip: as many as share input and stay in registers. */
export function depthwiseRows(strideX: number): number {
  return strideX === 1 ? 4 : 2;
}

/** What of a device decides. */
type Lanes = Pick<Gpu, 'isFallback' | 'subgroupSize'>;

/** The fastest way on this device. */
export function preferredSkeleton(gpu: Lanes): DirectSkeleton {
  const lanes = gpu.subgroupSize;
  if (!gpu.isFallback) return 'tiled';
  return lanes !== undefined && lanes <= BROADCAST_LANES ? 'broadcast' : 'plain';
}

/** Tiles that would compute so many times what a layer needs are left for registers alone, which compute nothing else. */
const WASTE = 4;

/** How many times `channels` a whole number of blocks of `block` is. */
function waste(channels: number, block: number): number {
  return (Math.ceil(channels / block) * block) / channels;
}

/**
 * The way without Winograd's: of `way`, or the device's own for a layer between so many channels, of which a tile takes
 * `block` at a time.
 */
export function directSkeleton(
  gpu: Lanes,
  way: Skeleton | undefined,
  channels: Pick<ConvGeometry, 'cin' | 'cout'>,
  block: { readonly cin: number; readonly cout: number },
): DirectSkeleton {
  if (way === undefined) {
    const preferred = preferredSkeleton(gpu);
    const thin = waste(channels.cin, block.cin) * waste(channels.cout, block.cout) >= WASTE;
    return preferred === 'tiled' && thin ? 'plain' : preferred;
  }
  return way === 'winograd-broadcast' ? 'broadcast' : way === 'winograd-tiled' ? 'tiled' : way;
}

/**
 * True where the device's own way with 3×3 convolutions of stride 1 between so many channels can be Winograd's: a layer
 * whose weights stay the same then keeps their `winogradWeight`.
 */
export function keepsWinogradWeight(weight: Tensor): boolean {
  const { gpu } = weight;
  const [kernelH, kernelW, cin, cout] = weight.shape as readonly [number, number, number, number];
  if (preferredSkeleton(gpu) !== 'broadcast' || kernelH !== 3 || kernelW !== 3) return false;
  const side = WINOGRAD_SIDE;
  const geometry = convGeometry('conv2d', [1, side, side, cin], weight.shape, { padding: 1 });
  return cout / 4 >= gpu.subgroupSize! && winogradFits(gpu, geometry) && winogradPays(geometry, true);
}

/** The kernel of the products, where Winograd's way is taken: where it is asked for and fits, and unasked on CPU adapters where it is faster. */
function winogradOf(
  way: Skeleton | undefined,
  skeleton: DirectSkeleton,
  geometry: ConvGeometry,
  { x: { gpu }, values }: ConvOperands,
): 'broadcast' | 'tiled' | undefined {
  if (skeleton !== 'broadcast' && skeleton !== 'tiled') return undefined;
  if (!winogradFits(gpu, geometry)) return undefined;
  if (skeleton === 'broadcast' && (gpu.subgroupSize === undefined || geometry.cout / 4 < gpu.subgroupSize))
    return undefined;
  const asked = way === 'winograd-broadcast' || way === 'winograd-tiled';
  const pays = way === undefined && skeleton === 'broadcast' && winogradPays(geometry, values !== undefined);
  return asked || pays ? skeleton : undefined;
}

function aligned(tensor: Tensor | undefined): boolean {
  return tensor === undefined || (tensor.pitch % 4 === 0 && tensor.offset % 4 === 0);
}

/** Encodes y = f(conv(x, weight)·scale + shift + residual). Sizes and devices were checked before. */
export function runForward(given: Way | undefined, geometry: ConvGeometry, operands: ConvOperands): void {
  const { x, weight, scale, shift, residual, slope, y, order } = operands;
  const { gpu } = x;
  const chosen = given ?? chosenWay(gpu, 'forward', geometry, operands.values !== undefined, x.dtype === 'f16');
  const { skeleton: way, tile } = wayParts(chosen);
  const skeleton = directSkeleton(gpu, way, geometry, SMALLEST_TILE);
  const { cin, cout, groups } = geometry;
  const window = { ...windowParams(geometry), slope: slope ?? 0 };
  const { pixels } = window;
  if (pixels === 0) return;

  const depthwise = groups === cin && groups === cout && groups > 1;
  const vectors = cin % 4 === 0 && cout % 4 === 0 && aligned(x) && aligned(residual) && aligned(y);
  const scalar = skeleton === 'any' || !vectors || (groups > 1 && !depthwise);
  const winograd = scalar || depthwise ? undefined : winogradOf(way, skeleton, geometry, operands);
  const makes = 'taps' in weight ? weight : { taps: () => weight.alias(), values: () => winogradWeight(weight) };
  using taken = winograd ? (operands.values?.alias() ?? makes.values()) : makes.taps();
  const buffers: Record<'x' | 'weight' | 'y', DeviceBuffer> &
    Partial<Record<'scale' | 'shift' | 'residual', DeviceBuffer>> = {
    x: x.buffer,
    weight: taken.buffer,
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

  if (scalar) {
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
    const { batch, outH, outW, kernelH, kernelW, strideY, strideX, dilationY, dilationX } = geometry;
    const ROWS = depthwiseRows(strideX);
    const blocks = batch * Math.ceil(outW / ROWS) * cout4;
    // Going down a column saves loads, as long as there are enough columns for the device.
    const wanted = gpu.isFallback ? DEPTHWISE_CPU : DEPTHWISE_GPU;
    const height = Math.min(outH, Math.max(1, Math.floor((blocks * outH) / wanted)));
    const { place } = operands;
    gpu.run('conv2d_forward_depthwise', {
      ...shared,
      params: {
        ...params,
        batch,
        height,
        ...(order ?? { first_tap: 0, tap_y: kernelW, tap_x: 1 }),
        y_h: place?.height ?? outH,
        y_w: place?.width ?? outW,
        first_y: place?.firstY ?? 0,
        first_x: place?.firstX ?? 0,
        step_y: place?.stepY ?? 1,
        step_x: place?.stepX ?? 1,
      },
      conditions: { ...conditions, placed: place !== undefined },
      constants: {
        ROWS,
        KERNEL_H: kernelH,
        KERNEL_W: kernelW,
        STRIDE_Y: strideY,
        STRIDE_X: strideX,
        DILATION_Y: dilationY,
        DILATION_X: dilationX,
      },
      grid: flatGrid(blocks * Math.ceil(outH / height), 64),
    });
    return;
  }
  const product = { ...shared, params: { ...params, share: pixels, weight_step4: 0 } };
  if (winograd) {
    runWinograd(winograd, geometry, x, product, tile);
    return;
  }
  if (skeleton === 'broadcast' && gpu.subgroupSize !== undefined) {
    const LANES = gpu.subgroupSize;
    if (cout4 < LANES) {
      const ROWS = Math.min(4, Math.max(1, Math.floor(16 / cout4)));
      const grid = flatGrid(Math.ceil(pixels / (LANES * ROWS)), 1);
      gpu.run('conv2d_forward_narrow', { ...product, constants: { LANES, ROWS, COLS: cout4 }, grid });
    } else {
      runBroadcast(gpu, product);
    }
    return;
  }
  if (skeleton === 'tiled') {
    runTiled(gpu, product, tile);
    return;
  }
  const ROWS = 4;
  const COLS = cout4 % 4 === 0 ? 4 : cout4 % 2 === 0 ? 2 : 1;
  const grid = flatGrid(Math.ceil(pixels / ROWS) * (cout4 / COLS), 64);
  gpu.run('conv2d_forward_plain', { ...product, constants: { ROWS, COLS }, grid });
}
