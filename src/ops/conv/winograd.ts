import { flatGrid } from '../../gpu/grid.js';
import type { Gpu } from '../../gpu/gpu.js';
import { Tensor } from '../../tensor/tensor.js';
import { type ConvGeometry, convGeometry } from './geometry.js';
import { type Product, runBroadcast, runTiled, type TileName } from './product.js';

/** Outputs of a tile along an axis, and the values that stand for them: F(4×4, 3×3). */
const OUTPUTS = 4;
export const VALUES = 36;

/** Bytes that the values of input and output may take each; more tiles are done in bands. */
const BAND_BYTES = 32 * 2 ** 20;

/** Tiles of an image along y and x. */
function tilesOf({ outH, outW }: ConvGeometry): readonly [number, number] {
  return [Math.ceil(outH / OUTPUTS), Math.ceil(outW / OUTPUTS)];
}

/** Tiles that are done at once. */
function bandOf({ cin, cout }: ConvGeometry, tiles: number): number {
  return Math.min(tiles, Math.max(1, Math.floor(BAND_BYTES / (VALUES * 4 * Math.max(cin, cout)))));
}

/** Whether Winograd's way computes this convolution: 3×3, dense, stride and dilation 1, channels in multiples of 4. */
export function winogradFits(gpu: Gpu, geometry: ConvGeometry): boolean {
  const { cin, cout, groups, kernelH, kernelW, strideY, strideX, dilationY, dilationX } = geometry;
  return (
    groups === 1 &&
    kernelH === 3 &&
    kernelW === 3 &&
    strideY * strideX * dilationY * dilationX === 1 &&
    cin % 4 === 0 &&
    cout % 4 === 0 &&
    VALUES * cin * cout * 4 <= gpu.limits.maxStorageBufferBindingSize
  );
}

/**
 * Whether it is faster than a direct convolution on an adapter on the CPU. Counted in nanoseconds of one core, as measured
 * on llvmpipe: a product of the direct way 0.09 for each pair of channels and pixel of a tap, of Winograd's way 0.09 for
 * each of 36 values of a tile; then the transforms of a tile's channels, and of the weights where they are not kept. One
 * image decides: alone and in a batch it is computed in the same way, to the same bits.
 */
export function winogradPays(geometry: ConvGeometry, kept: boolean): boolean {
  const { cin, cout, outH, outW } = geometry;
  const [tilesH, tilesW] = tilesOf(geometry);
  const tiles = tilesH * tilesW;
  const direct = 0.09 * 9 * outH * outW * cin * cout;
  const products = 0.09 * VALUES * tiles * cin * cout;
  const transforms = tiles * (50 * cin + 35 * cout) + (kept ? 0 : 30 * cin * cout);
  return products + transforms < direct;
}

/**
 * The same for the gradient of the weights, of all images, which are summed together anyway: its products take eight tiles at
 * a time, and 36 sums for each pair of channels are written and read.
 */
export function winogradGradientPays(geometry: ConvGeometry): boolean {
  const { batch, cin, cout, outH, outW } = geometry;
  const [tilesH, tilesW] = tilesOf(geometry);
  const tiles = batch * tilesH * tilesW;
  const direct = 0.11 * 9 * batch * outH * outW * cin * cout;
  const products = 0.11 * VALUES * 8 * Math.ceil(tiles / 8) * cin * cout;
  const transforms = tiles * (50 * cin + 45 * cout) + 100 * cin * cout;
  return products + transforms < direct;
}

/**
 * The 36 values of the taps, [36, cin, cout], of `weight` [3, 3, cin, cout]: what Winograd's way multiplies with. `turned`: those
 * for the gradient of the input, [36, cout, cin].
 */
export function winogradWeight(weight: Tensor, turned = false): Tensor {
  const [, , cin, cout] = weight.shape as readonly [number, number, number, number];
  const u = Tensor.empty(weight.gpu, [VALUES, ...(turned ? [cout, cin] : [cin, cout])], { label: 'values of weight' });
  const count = cin * cout;
  weight.gpu.run('conv2d_winograd_weight', {
    params: { count, cin },
    buffers: { weight: weight.buffer, u: u.buffer },
    conditions: { turned },
    grid: flatGrid(count, 64),
  });
  return u;
}

/** Which tiles: from `first` on, of so many in a picture. */
interface Places {
  readonly first: number;
  readonly tiles_h: number;
  readonly tiles_w: number;
}

/** Encodes the 36 values of the input of `share` tiles, into `v` [36, share or more, cin]; `x` may be a channel view. */
function encodeInput(geometry: ConvGeometry, x: Tensor, places: Places, share: number, v: Tensor): void {
  const { cin, inH, inW, padTop, padLeft } = geometry;
  x.gpu.run('conv2d_winograd_input', {
    params: {
      ...{ count: share * cin, ...places, in_h: inH, in_w: inW, cin, pad_top: padTop, pad_left: padLeft },
      ...{ x_pitch: x.pitch, x_offset: x.offset },
    },
    buffers: { x: x.buffer, v: v.buffer },
    grid: flatGrid(share * cin, 64),
  });
}

/**
 * Encodes the convolution of `product`, whose weights are `winogradWeight`, in three steps: the values of the input's tiles, 36
 * products with those of the weights, and from their sums the output with its epilogue. Tiles are done in bands that fit `BAND_BYTES`.
 */
export function runWinograd(
  skeleton: 'broadcast' | 'tiled',
  geometry: ConvGeometry,
  x: Tensor,
  product: Product,
  tile?: TileName,
): void {
  const { gpu } = x;
  const { batch, cin, cout } = geometry;
  const { params, buffers, conditions } = product;
  const { cin4, cout4, out_h, out_w } = params;
  const [tiles_h, tiles_w] = tilesOf(geometry);
  const tiles = batch * tiles_h * tiles_w;
  const band = bandOf(geometry, tiles);
  using v = Tensor.empty(gpu, [VALUES, band, cin], { label: 'values of input' });
  using m = Tensor.empty(gpu, [VALUES, band, cout], { label: 'values of output' });
  for (let first = 0; first < tiles; first += band) {
    const share = Math.min(band, tiles - first);
    const places = { first, tiles_h, tiles_w };
    encodeInput(geometry, x, places, share, v);
    const products: Product = {
      params: {
        ...{ pixels: VALUES * share, out_h: 1, out_w: VALUES * share, in_h: 1, in_w: VALUES * share, cin4, cout4 },
        ...{
          kernel_h: 1,
          kernel_w: 1,
          stride_y: 1,
          stride_x: 1,
          pad_top: 0,
          pad_left: 0,
          dilation_y: 1,
          dilation_x: 1,
        },
        ...{ x_pitch4: cin4, x_offset4: 0, residual_pitch4: 0, residual_offset4: 0, y_pitch4: cout4, y_offset4: 0 },
        ...{ share, weight_step4: cin * cout4, slope: 0 },
      },
      buffers: { x: v.buffer, weight: buffers.weight, y: m.buffer },
      conditions: {},
    };
    if (skeleton === 'broadcast') runBroadcast(gpu, products);
    else runTiled(gpu, products, tile);
    const { scale, shift, residual, y } = buffers;
    gpu.run('conv2d_winograd_output', {
      params: {
        ...{ count: share * cout, ...places, out_h, out_w, cout, slope: params.slope },
        ...{ residual_pitch: 4 * params.residual_pitch4, residual_offset: 4 * params.residual_offset4 },
        ...{ y_pitch: 4 * params.y_pitch4, y_offset: 4 * params.y_offset4 },
      },
      buffers: { m: m.buffer, y, ...(scale && { scale }), ...(shift && { shift }), ...(residual && { residual }) },
      conditions,
      grid: flatGrid(share * cout, 64),
    });
  }
}

/**
 * Encodes the gradient `whole` [3, 3, cin, cout] of the weights from the input `x` (may be a channel view) and the output's
 * `gradient` (contiguous), in three steps: the values of both, whose 36 products over the tiles `encodeSums` encodes as the gradients
 * [36, 1, 1, cin, cout] of as many convolutions of 1×1, and from those the taps. Bands of tiles add up in their order.
 */
export function winogradWeightGradient(
  geometry: ConvGeometry,
  x: Tensor,
  gradient: Tensor,
  whole: Tensor,
  encodeSums: (products: ConvGeometry, values: Tensor, gradients: Tensor, sums: Tensor) => void,
): void {
  const { gpu } = x;
  const { batch, cin, cout, outH, outW } = geometry;
  const [tiles_h, tiles_w] = tilesOf(geometry);
  const tiles = batch * tiles_h * tiles_w;
  const band = bandOf(geometry, tiles);
  for (let first = 0; first < tiles; first += band) {
    const share = Math.min(band, tiles - first);
    const places = { first, tiles_h, tiles_w };
    using values = Tensor.empty(gpu, [1, VALUES, share, cin], { label: 'values of input' });
    encodeInput(geometry, x, places, share, values);
    using gradients = Tensor.empty(gpu, [1, VALUES, share, cout], { label: 'values of a gradient' });
    gpu.run('conv2d_winograd_gradient', {
      params: { count: share * cout, ...places, out_h: outH, out_w: outW, cout },
      buffers: { grad_y: gradient.buffer, v: gradients.buffer },
      grid: flatGrid(share * cout, 64),
    });
    using m = Tensor.empty(gpu, [VALUES, 1, 1, cin, cout], { label: 'gradients of weight' });
    encodeSums(convGeometry('conv2d', values.shape, [1, 1, cin, cout], {}), values, gradients, m);
    const count = cin * cout;
    gpu.run('conv2d_winograd_taps', {
      params: { count },
      buffers: { m: m.buffer, grad_weight: whole.buffer },
      conditions: { more: first > 0 },
      grid: flatGrid(count, 64),
    });
  }
}
