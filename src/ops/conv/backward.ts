import type { Gpu } from '../../gpu/gpu.js';
import { flatGrid } from '../../gpu/grid.js';
import type { Shape } from '../../tensor/shape.js';
import { Tensor } from '../../tensor/tensor.js';
import { channelLanes } from '../layout.js';
import { chosenWay, type DirectSkeleton, type Way, wayParts } from './choice.js';
import { depthwiseRows, directSkeleton, runForward } from './forward.js';
import { type ConvGeometry, windowParams } from './geometry.js';
import type { TileName } from './product.js';
import { VALUES, winogradFits, winogradGradientPays, winogradWeight, winogradWeightGradient } from './winograd.js';

/** Rows that a chunk of `columnSums` has at least; the number of chunks grows to the root of the rows. */
const MIN_CHUNK = 32;

/** Bytes that the partial sums of one weight gradient may take. */
const PARTIAL_BYTES = 64 * 2 ** 20;

/**
 * The sum of the rows of `x` [rows, columns], as a tensor of `shape` (columns elements), in a fixed order: first chunks of
 * rows, then the chunks. `place`: where to write it instead of into a new one.
 */
export function columnSums(x: Tensor, rows: number, shape: Shape, place?: Tensor): Tensor {
  if (rows === 0) return Tensor.zeros(x.gpu, shape, { label: 'sums of columns' });
  const columns = x.size / rows;
  const { vectors, lanes } = channelLanes(columns);
  const fold = (from: Tensor, count: number, chunk: number, to: Tensor) => {
    const chunks = Math.ceil(count / chunk);
    x.gpu.run('column_sums', {
      params: { rows: count, columns: lanes, chunk, count: chunks * lanes },
      buffers: { x: from.buffer, y: to.buffer },
      conditions: { vectors },
      grid: flatGrid(chunks * lanes, 64),
    });
    return chunks;
  };
  const total = place ?? Tensor.empty(x.gpu, shape, { label: 'sums of columns' });
  const chunk = Math.max(MIN_CHUNK, Math.ceil(Math.sqrt(rows)));
  if (rows <= 2 * chunk) {
    fold(x, rows, rows, total);
    return total;
  }
  using partial = Tensor.empty(x.gpu, [Math.ceil(rows / chunk), columns], { label: 'partial sums of columns' });
  fold(partial, fold(x, rows, chunk, partial), rows, total);
  return total;
}

/** The gradient before the epilogue: through the rectifier, told by the sign of its output `y`, and through the scale. */
export function epilogueGradient(
  gradient: Tensor,
  epilogue: { readonly y: Tensor | undefined; readonly slope: number | undefined; readonly scale: Tensor | undefined },
): Tensor {
  const { y, slope, scale } = epilogue;
  if (slope === undefined && !scale) return gradient;
  const channels = gradient.shape.at(-1) ?? 1;
  const vectors = channels % 4 === 0 && (!y || (y.pitch % 4 === 0 && y.offset % 4 === 0));
  const lane = vectors ? 4 : 1;
  const before = Tensor.empty(gradient.gpu, gradient.shape, { label: 'gradient of an epilogue' });
  gradient.gpu.run('rectifier_scale_backward', {
    params: {
      count: gradient.size / lane,
      channels: channels / lane,
      y_pitch: (y?.pitch ?? 0) / lane,
      y_offset: (y?.offset ?? 0) / lane,
      slope: slope ?? 1,
    },
    buffers: {
      grad_y: gradient.buffer,
      grad_x: before.buffer,
      ...(slope !== undefined && y && { y: y.buffer }),
      ...(scale && { scale: scale.buffer }),
    },
    conditions: { vectors, activation: slope !== undefined, scaled: scale !== undefined },
    grid: flatGrid(gradient.size / lane, 64),
  });
  return before;
}

/** The taps of one axis that reach input positions of one residue, as a convolution of stride 1 over the output. */
interface Residue {
  /** First input position of the residue, and how many there are. */
  readonly start: number;
  readonly count: number;
  /** Taps taken: `taps` of them, the first and the distance between two. */
  readonly first: number;
  readonly step: number;
  readonly taps: number;
  /** Of the convolution over the gradient. */
  readonly dilation: number;
  readonly padding: number;
}

/**
 * Input position i meets output position j by tap k where j·stride − padding + k·dilation = i. For every residue of
 * i + padding modulo the stride, the taps that can meet it form one arithmetic series, and the input gradient there is a
 * convolution of stride 1 over the output's gradient with those taps reversed.
 */
function residues(axis: {
  readonly size: number;
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;
  readonly dilation: number;
}): Residue[] {
  const { size, kernel, stride, padding, dilation } = axis;
  return Array.from({ length: stride }, (_, start) => {
    const met = Array.from({ length: kernel }, (_, tap) => tap).filter(
      (tap) => (start + padding - tap * dilation) % stride === 0,
    );
    const [first = 0, second = first + 1] = met;
    const step = second - first;
    const between = met.length > 1 ? (step * dilation) / stride : 1;
    return {
      start,
      count: Math.ceil((size - start) / stride),
      first,
      step,
      taps: met.length,
      dilation: between,
      padding: (met.length - 1) * between - (start + padding - first * dilation) / stride,
    };
  }).filter(({ count }) => count > 0);
}

/**
 * The gradient [n, h, w, cin] of a convolution's input from that of its output `gradient` (contiguous), through the forward
 * kernels with reversed taps; a stride splits it into one such convolution for each residue of the input position.
 */
export function inputGradient(
  skeleton: Way | undefined,
  geometry: ConvGeometry,
  weight: Tensor,
  gradient: Tensor,
): Tensor {
  const { gpu } = weight;
  const { batch, inH, inW, cin, outH, outW, cout, groups, kernelH, kernelW, strideY, strideX } = geometry;
  const shape = [batch, inH, inW, cin];
  const rows = residues({
    size: inH,
    kernel: kernelH,
    stride: strideY,
    padding: geometry.padTop,
    dilation: geometry.dilationY,
  });
  const columns = residues({
    size: inW,
    kernel: kernelW,
    stride: strideX,
    padding: geometry.padLeft,
    dilation: geometry.dilationX,
  });
  const pieces = rows.flatMap((y) => columns.map((x) => ({ y, x }))).filter(({ y, x }) => y.taps * x.taps > 0);
  const strided = strideY * strideX > 1;
  // The depthwise kernel reads taps backwards by itself, and writes a residue where it belongs.
  const direct = groups === cin && groups === cout && groups > 1 && cin % 4 === 0 && skeleton !== 'any';
  const complete = pieces.length === rows.length * columns.length;
  const whole = complete
    ? Tensor.empty(gpu, shape, { label: 'gradient of conv2d' })
    : Tensor.zeros(gpu, shape, { label: 'gradient of conv2d' });
  const { vectors, lanes } = channelLanes(cin);
  for (const { y, x } of pieces) {
    const part: ConvGeometry = {
      batch,
      inH: outH,
      inW: outW,
      cin: cout,
      outH: y.count,
      outW: x.count,
      cout: cin,
      kernelH: y.taps,
      kernelW: x.taps,
      strideY: 1,
      strideX: 1,
      padTop: y.padding,
      padLeft: x.padding,
      padBottom: 0,
      padRight: 0,
      dilationY: y.dilation,
      dilationX: x.dilation,
      groups,
      shape: [batch, y.count, x.count, cin],
    };
    using piece =
      strided && !direct ? Tensor.empty(gpu, part.shape, { label: 'residue of a gradient' }) : whole.alias();
    const place = {
      height: inH,
      width: inW,
      firstY: y.start,
      firstX: x.start,
      stepY: strideY,
      stepX: strideX,
    };
    runForward(skeleton, part, {
      x: gradient,
      weight: direct
        ? weight
        : { taps: () => flippedWeight(geometry, weight, y, x), values: () => winogradWeight(weight, true) },
      order: {
        first_tap: (y.first + (y.taps - 1) * y.step) * kernelW + x.first + (x.taps - 1) * x.step,
        tap_y: -y.step * kernelW,
        tap_x: -x.step,
      },
      scale: undefined,
      shift: undefined,
      residual: undefined,
      slope: undefined,
      y: piece,
      ...(strided && direct && { place }),
    });
    if (!strided || direct) continue;
    const count = batch * y.count * x.count * lanes;
    gpu.run('conv2d_place', {
      params: {
        count,
        channels: lanes,
        h: y.count,
        w: x.count,
        y_h: inH,
        y_w: inW,
        first_y: y.start,
        first_x: x.start,
        stride_y: strideY,
        stride_x: strideX,
      },
      buffers: { x: piece.buffer, y: whole.buffer },
      conditions: { vectors },
      grid: flatGrid(count, 64),
    });
  }
  return whole;
}

/** The weights that a residue's convolution takes: [taps y, taps x, cout / groups, cin]. */
function flippedWeight(geometry: ConvGeometry, weight: Tensor, y: Residue, x: Residue): Tensor {
  const { cin, cout, groups } = geometry;
  const vectors = groups === 1 && cin % 4 === 0 && cout % 4 === 0;
  const shape = [y.taps, x.taps, cout / groups, cin];
  const flipped = Tensor.empty(weight.gpu, shape, { label: 'flipped weight' });
  const count = flipped.size / (vectors ? 16 : 1);
  weight.gpu.run('conv2d_flip_weight', {
    params: {
      count,
      cin,
      group_cin: cin / groups,
      group_cout: cout / groups,
      cout,
      kernel_w: geometry.kernelW,
      first_y: y.first,
      first_x: x.first,
      step_y: y.step,
      step_x: x.step,
      count_y: y.taps,
      count_x: x.taps,
    },
    buffers: { weight: weight.buffer, flipped: flipped.buffer },
    conditions: { vectors },
    grid: flatGrid(count, 64),
  });
  return flipped;
}

/** How the pixels of a weight gradient are split: `splits` chunks of `chunk`, so that about `wanted` invocations run. */
function splitPixels(
  pixels: number,
  options: { readonly units: number; readonly wanted: number; readonly least: number; readonly weightBytes: number },
): Split {
  const { units, wanted, least, weightBytes } = options;
  const most = Math.max(1, Math.min(Math.ceil(pixels / least), Math.floor(PARTIAL_BYTES / weightBytes)));
  const splits = Math.max(1, Math.min(most, Math.ceil(wanted / units)));
  const chunk = Math.ceil(pixels / splits);
  return { chunk, splits: Math.ceil(pixels / chunk) };
}

interface Split {
  readonly chunk: number;
  readonly splits: number;
}

/** Makes `whole` the gradient of which `encode` computes `splits` parts, one behind the other. */
function sumOfParts(whole: Tensor, splits: number, encode: (partial: Tensor) => void): Tensor {
  const { gpu, shape } = whole;
  if (splits === 1) {
    encode(whole);
    return whole;
  }
  using partial = Tensor.empty(gpu, [splits, ...shape], { label: 'partial gradients of weight' });
  encode(partial);
  return columnSums(partial, splits, shape, whole);
}

/**
 * The gradient [kh, kw, cin / groups, cout] of a convolution's weights from its input `x` (may be a channel view) and the
 * output's `gradient` (contiguous): sums over chunks of pixels side by side, then the chunks in their order. `place`: where to
 * write it instead of into a new one.
 */
export function weightGradient(
  given: Way | undefined,
  geometry: ConvGeometry,
  x: Tensor,
  gradient: Tensor,
  place?: Tensor,
): Tensor {
  const { gpu } = x;
  const { cin, cout, groups, kernelH, kernelW } = geometry;
  const window = windowParams(geometry);
  const { pixels } = window;
  const label = 'gradient of weight';
  const shape = [kernelH, kernelW, cin / groups, cout];
  if (pixels === 0) return Tensor.zeros(gpu, shape, { label });
  const whole = place ?? Tensor.empty(gpu, shape, { label });
  const taps = kernelH * kernelW;
  const weightBytes = taps * (cin / groups) * cout * 4;
  const depthwise = groups === cin && groups === cout && groups > 1;
  const vectors = cin % 4 === 0 && cout % 4 === 0 && x.pitch % 4 === 0 && x.offset % 4 === 0;
  const way = given ?? chosenWay(gpu, 'weight gradient', geometry);
  const { skeleton, tile } = wayParts(way);
  const chosen = directSkeleton(gpu, skeleton, geometry, { cin: 64, cout: 64 });
  if (chosen === 'any' || !vectors || (groups > 1 && !depthwise)) {
    const units = taps * (cin / groups) * cout;
    const { chunk, splits } = splitPixels(pixels, { units, wanted: busy(gpu), least: 64, weightBytes });
    return sumOfParts(whole, splits, (partial) => {
      gpu.run('conv2d_backward_weight_any', {
        params: {
          ...window,
          chunk,
          splits,
          group_cin: cin / groups,
          group_cout: cout / groups,
          cout,
          x_pitch: x.pitch,
          x_offset: x.offset,
        },
        buffers: { x: x.buffer, grad_y: gradient.buffer, grad_weight: partial.buffer },
        grid: flatGrid(units * splits, 64),
      });
    });
  }
  if (depthwise) {
    const { batch, outH, outW } = geometry;
    const cout4 = cout / 4;
    const ROWS = depthwiseRows(geometry.strideX);
    // Rectangles side by side cost nothing; one above the other, they load the rows between them twice.
    const parts = Math.ceil(busy(gpu) / (cout4 * batch));
    const columns = Math.ceil(outW / ROWS);
    const strips = Math.ceil(columns / Math.min(parts, columns));
    const across = Math.ceil(columns / strips);
    const height = Math.ceil(outH / Math.min(Math.ceil(parts / across), outH));
    const splits = batch * across * Math.ceil(outH / height);
    const constants = {
      ROWS,
      KERNEL_H: kernelH,
      KERNEL_W: kernelW,
      STRIDE_Y: geometry.strideY,
      STRIDE_X: geometry.strideX,
      DILATION_Y: geometry.dilationY,
      DILATION_X: geometry.dilationX,
    };
    return sumOfParts(whole, splits, (partial) => {
      gpu.run('conv2d_backward_weight_depthwise', {
        params: { batch, height, strips, ...window, cout4, x_pitch4: x.pitch / 4, x_offset4: x.offset / 4 },
        buffers: { x: x.buffer, grad_y: gradient.buffer, grad_weight: partial.buffer },
        constants,
        grid: flatGrid(splits * cout4, 64),
      });
    });
  }
  const asked = skeleton === 'winograd-broadcast' || skeleton === 'winograd-tiled';
  const pays = way === undefined && chosen === 'broadcast' && cout / 4 >= (gpu.subgroupSize ?? Infinity);
  if (winogradFits(gpu, geometry) && (asked || (pays && winogradGradientPays(geometry)))) {
    winogradWeightGradient(geometry, x, gradient, whole, (products, values, gradients, sums) =>
      denseGradient(chosen, tile, products, values, gradients, sums, VALUES),
    );
    return whole;
  }
  return denseGradient(chosen, tile, geometry, x, gradient, whole);
}

/**
 * Makes `whole` the weights' gradient of a dense convolution of whole vec4s. `products`: that many gradients instead [products, kh,
 * kw, cin, cout], one of each equal share of the pixels, which has whole rows of them.
 */
function denseGradient(
  chosen: DirectSkeleton,
  tile: TileName | undefined,
  geometry: ConvGeometry,
  x: Tensor,
  gradient: Tensor,
  whole: Tensor,
  products?: number,
): Tensor {
  const { gpu } = x;
  const { cin, cout, kernelH, kernelW } = geometry;
  const window = windowParams(geometry);
  const { pixels } = window;
  const taps = kernelH * kernelW;
  const weightBytes = taps * cin * cout * 4;
  const split = (
    count: number,
    options: { readonly units: number; readonly wanted: number; readonly least: number },
  ) =>
    products === undefined
      ? splitPixels(count, { ...options, weightBytes })
      : { chunk: count / products, splits: products };
  const encoded = (splits: number, encode: (partial: Tensor) => void): Tensor =>
    sumOfParts(whole, products === undefined ? splits : 1, encode);
  const buffers = { x: x.buffer, grad_y: gradient.buffer };
  const cin4 = cin / 4;
  const cout4 = cout / 4;
  const dense = { ...window, cin4, cout4, x_pitch4: x.pitch / 4, x_offset4: x.offset / 4 };
  const LANES = chosen === 'broadcast' ? (gpu.subgroupSize ?? 0) : 0;
  // Lanes are taps and input channels here: it pays where those fill them, and output channels would not or have little to do.
  const spots = taps * cin4;
  const wide = cout4 >= LANES;
  if (LANES > 0 && spots >= 2 * LANES && (!wide || (cin4 === 1 && cout4 % LANES === 0))) {
    const COLS = Math.min(cout4, LANES);
    const blocks = Math.ceil(spots / LANES) * (cout4 / COLS);
    const rows = geometry.batch * geometry.outH;
    const { chunk, splits } = split(rows, { units: blocks, wanted: SUBGROUPS, least: 4 });
    return encoded(splits, (partial) => {
      gpu.run('conv2d_backward_weight_narrow', {
        params: { ...dense, rows, chunk, splits },
        buffers: { ...buffers, grad_weight: partial.buffer },
        constants: { LANES, COLS },
        grid: flatGrid(blocks * splits, 1),
      });
    });
  }
  if (LANES > 0 && wide) {
    // 6 of 8 lanes were faster than 4, 5, 7 and 8 on llvmpipe where no more than a tenth of them is left over.
    const ROWS = LANES <= 8 && cin4 >= 60 ? 6 : LANES <= 8 && cin4 >= 4 ? 4 : cin4 >= 2 ? 2 : 1;
    const units = taps * Math.ceil(cin4 / ROWS) * Math.ceil(cout4 / LANES);
    const { chunk, splits } = split(pixels, { units, wanted: SUBGROUPS, least: 16 * LANES });
    return encoded(splits, (partial) => {
      gpu.run('conv2d_backward_weight_broadcast', {
        params: { ...dense, chunk, splits },
        buffers: { ...buffers, grad_weight: partial.buffer },
        constants: { LANES, ROWS },
        grid: flatGrid(units * splits, 1),
      });
    });
  }
  if (chosen === 'tiled') {
    const BLOCK = tile === '128×128' || (tile === undefined && cin4 >= 32 && cout4 >= 32) ? 2 : 1;
    const units = taps * Math.ceil(cin4 / (16 * BLOCK)) * Math.ceil(cout4 / (16 * BLOCK));
    const { chunk, splits } = split(pixels, { units, wanted: WORKGROUPS, least: 128 });
    return encoded(splits, (partial) => {
      gpu.run('conv2d_backward_weight_tiled', {
        params: { ...dense, chunk, splits },
        buffers: { ...buffers, grad_weight: partial.buffer },
        constants: { BLOCK },
        grid: flatGrid(units * splits, 1),
      });
    });
  }
  const COLS = cout4 % 4 === 0 ? 4 : cout4 % 2 === 0 ? 2 : 1;
  const units = taps * cin4 * (cout4 / COLS);
  const { chunk, splits } = split(pixels, { units, wanted: busy(gpu), least: 64 });
  return encoded(splits, (partial) => {
    gpu.run('conv2d_backward_weight_plain', {
      params: { ...dense, chunk, splits },
      buffers: { ...buffers, grad_weight: partial.buffer },
      constants: { COLS },
      grid: flatGrid(units * splits, 64),
    });
  });
}

/** Invocations, subgroups and workgroups that keep a device busy; more partial sums than that only cost memory. */
const INVOCATIONS = 32768;
const INVOCATIONS_CPU = 512;
const SUBGROUPS = 64;
const WORKGROUPS = 512;

function busy(gpu: Gpu): number {
  return gpu.isFallback ? INVOCATIONS_CPU : INVOCATIONS;
}
