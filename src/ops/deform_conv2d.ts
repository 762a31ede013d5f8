import { checkOptions, checkTensors } from '../gpu/arguments.js';
import { defineOp } from '../autograd/op.js';
import { ArgumentError, ShapeError } from '../gpu/errors.js';
import { flatGrid } from '../gpu/grid.js';
import { scope } from '../tensor/scope.js';
import { copyRows } from '../tensor/copy_rows.js';
import { elements, formatShape, sameShape, type Shape } from '../tensor/shape.js';
import { Tensor } from '../tensor/tensor.js';
import { columnSums, inputGradient, weightGradient } from './conv/backward.js';
import { preferredSkeleton, runForward } from './conv/forward.js';
import { convGeometry, type ConvGeometry, windowParams, type WindowOptions } from './conv/geometry.js';
import { contiguous } from './layout.js';

/** How the regular taps move over the image, and what is optional. */
export interface DeformConv2dOptions extends Omit<WindowOptions, 'groups'> {
  /** `[n, oh, ow, groups·kh·kw]`: a factor for each sample (version 2); absent: 1 (version 1). */
  readonly mask?: Tensor;
  /** [cout]. */
  readonly bias?: Tensor;
}

// A type, not an interface: an op's inputs are indexed by name.
type Inputs = {
  x: Tensor;
  offset: Tensor;
  weight: Tensor;
  mask: Tensor | undefined;
  bias: Tensor | undefined;
};

interface Plan {
  readonly geometry: ConvGeometry;
  /** Groups of channels with offsets of their own. */
  readonly offsetGroups: number;
  /** Output pixels whose columns are in memory at a time. */
  readonly chunk: number;
}

/** Bytes that the columns of one chunk take at most. */
const COLUMN_BYTES = 64 * 2 ** 20;

/** Output pixels of a chunk are a multiple of this where there is more than one, for the tiles of the matrix product. */
const CHUNK_STEP = 64;

/** Invocations that share the channels of a sample: eight vec4s are one line of a GPU's cache. */
const MAX_LANES = 8;

/** Samples that gather kernels share: their sizes as all the kernels of this op take them. */
function sampling({ geometry, offsetGroups }: Plan) {
  const { cin, groups, kernelH, kernelW } = geometry;
  const taps = kernelH * kernelW;
  const blocks = leastCommonMultiple(offsetGroups, groups);
  const channels = cin / blocks;
  const vectors = channels % 4 === 0;
  const width = vectors ? channels / 4 : channels;
  return {
    taps,
    vectors,
    lanes: Math.min(MAX_LANES, 2 ** Math.floor(Math.log2(width))),
    blocking: {
      taps,
      blocks,
      width,
      blocks_per_offset: blocks / offsetGroups,
      blocks_per_weight: blocks / groups,
    },
    window: windowParams(geometry),
  };
}

function leastCommonMultiple(a: number, b: number): number {
  let [divisor, rest] = [a, b];
  while (rest > 0) [divisor, rest] = [rest, divisor % rest];
  return (a / divisor) * b;
}

/** The matrix product of `rows` columns with the weights, as a 1×1 convolution. */
function product(plan: Plan, rows: number): ConvGeometry {
  const { groups, cin, cout, kernelH, kernelW } = plan.geometry;
  const terms = kernelH * kernelW * cin;
  return convGeometry('deformConv2d', [1, 1, rows, terms], [1, 1, terms / groups, cout], { groups });
}

/** Calls `each` with every chunk of output pixels, in order, and with what the last one answered; frees all but that. */
function eachChunk(plan: Plan, each: (first: number, rows: number, before?: Tensor) => Tensor | undefined) {
  const { batch, outH, outW } = plan.geometry;
  const pixels = batch * outH * outW;
  let last: Tensor | undefined;
  for (let first = 0; first < pixels; first += plan.chunk) {
    const before = last;
    last = scope(() => each(first, Math.min(plan.chunk, pixels - first), before));
    if (before !== last) before?.dispose();
  }
  return last;
}

type Sources = Pick<Inputs, 'x' | 'offset' | 'mask'>;

/** The sampled columns [1, 1, rows, kh·kw·cin] of the output pixels from `first`. */
function sampleColumns(plan: Plan, { x, offset, mask }: Sources, first: number, rows: number): Tensor {
  const { taps, vectors, lanes, blocking, window } = sampling(plan);
  const columns = Tensor.empty(x.gpu, [1, 1, rows, taps * plan.geometry.cin], { label: 'columns of deformConv2d' });
  const count = rows * blocking.blocks * taps * lanes;
  x.gpu.run('deform_conv2d_columns', {
    params: { count, first, lanes, ...blocking, ...window },
    buffers: {
      x: x.buffer,
      offset: offset.buffer,
      ...(mask && { mask: mask.buffer }),
      columns: columns.buffer,
    },
    conditions: { vectors, masked: mask !== undefined },
    grid: flatGrid(count, 64),
  });
  return columns;
}

/** Pixels `first` to `first + rows` of an image tensor, as [1, 1, rows, channels]. */
function pixelsOf(tensor: Tensor, first: number, rows: number): Tensor {
  const channels = tensor.shape.at(-1) ?? 1;
  const shape = [1, 1, rows, channels];
  if (first === 0 && tensor.size === elements(shape)) return tensor.view(shape);
  const part = Tensor.empty(tensor.gpu, shape, { label: `pixels of ${tensor.label}` });
  copyRows(
    { tensor, pitch: channels, offset: first * channels },
    { tensor: part, pitch: channels, offset: 0 },
    rows,
    channels,
  );
  return part;
}

/** Adds to `gradX` what the samples of a chunk saw; see the kernels for the method. */
function gatherInput(
  plan: Plan,
  { offset, mask }: Sources,
  gradColumns: Tensor,
  gradX: Tensor,
  first: number,
  rows: number,
): void {
  const { gpu } = offset;
  const { outH, outW, inH, inW } = plan.geometry;
  const { taps, vectors, blocking, window } = sampling(plan);
  const groups = plan.offsetGroups;
  const firstImage = Math.floor(first / (outH * outW));
  const images = Math.floor((first + rows - 1) / (outH * outW)) + 1 - firstImage;
  const cells = images * groups * (inH + 1) * (inW + 1);
  const samples = rows * groups * taps;
  const ends = Tensor.zeros(gpu, [cells], { dtype: 'u32', label: 'ends of cells' });
  const starts = Tensor.empty(gpu, [cells], { dtype: 'u32', label: 'starts of cells' });
  const cursor = Tensor.zeros(gpu, [1], { dtype: 'u32', label: 'cursor of cells' });
  const list = Tensor.empty(gpu, [samples], { dtype: 'u32', label: 'samples of cells' });
  const binning = {
    params: { count: samples, first, first_image: firstImage, groups, taps, ...window },
    grid: flatGrid(samples, 64),
  };
  const perCell = { params: { cells }, grid: flatGrid(cells, 64) };
  const ranges = { starts: starts.buffer, ends: ends.buffer };
  gpu.run('deform_conv2d_bin', { ...binning, buffers: { offset: offset.buffer, ends: ends.buffer } });
  gpu.run('deform_conv2d_bin_ranges', { ...perCell, buffers: { ...ranges, cursor: cursor.buffer } });
  gpu.run('deform_conv2d_bin', {
    ...binning,
    buffers: { offset: offset.buffer, ends: ends.buffer, list: list.buffer },
    conditions: { fill: true },
  });
  gpu.run('deform_conv2d_bin_sort', { ...perCell, buffers: { ...ranges, list: list.buffer } });
  const COLS = [4, 2].find((cols) => blocking.width % cols === 0) ?? 1;
  const count = (images * inH * inW * blocking.blocks * blocking.width) / COLS;
  gpu.run('deform_conv2d_backward_input', {
    params: { count, first, first_image: firstImage, in_h: inH, in_w: inW, ...blocking },
    buffers: {
      offset: offset.buffer,
      ...(mask && { mask: mask.buffer }),
      grad_columns: gradColumns.buffer,
      ...ranges,
      list: list.buffer,
      grad_x: gradX.buffer,
    },
    conditions: { vectors, masked: mask !== undefined },
    constants: { COLS },
    grid: flatGrid(count, 64),
  });
}

/** a + b; `a` itself where there is no b. */
function plus(a: Tensor, b: Tensor | undefined): Tensor {
  if (!b) return a;
  const y = Tensor.empty(a.gpu, a.shape, { label: a.label });
  const count4 = Math.ceil(a.size / 4);
  a.gpu.run('add', {
    params: { count4, slope: 1 },
    buffers: { a: b.buffer, b: a.buffer, y: y.buffer },
    grid: flatGrid(count4, 64),
  });
  return y;
}

const deforming = defineOp<Inputs, Plan>({
  name: 'deformConv2d',
  forward(inputs, plan) {
    const { weight, bias } = inputs;
    const { gpu } = weight;
    const sources = contiguousSources(inputs);
    const { shape, cout } = plan.geometry;
    const y = Tensor.empty(gpu, shape, { label: 'deformConv2d' });
    eachChunk(plan, (first, rows) => {
      const geometry = product(plan, rows);
      const whole = elements(geometry.shape) === y.size;
      const part = whole
        ? y.view(geometry.shape)
        : Tensor.empty(gpu, geometry.shape, { label: 'part of deformConv2d' });
      runForward(preferredSkeleton(gpu), geometry, {
        x: sampleColumns(plan, sources, first, rows),
        weight,
        scale: undefined,
        shift: bias,
        residual: undefined,
        slope: undefined,
        y: part,
      });
      if (!whole) {
        const target = { tensor: y, pitch: cout, offset: first * cout };
        copyRows({ tensor: part, pitch: cout, offset: 0 }, target, rows, cout);
      }
      return undefined;
    });
    return { output: y, saved: { ...sources, weight } };
  },
  backward(gradient, { saved, options: plan, needs }) {
    const [x, offset, weight] = [saved['x']!, saved['offset']!, saved['weight']!];
    const mask = saved['mask'];
    const sources = { x, offset, mask };
    const { gpu } = x;
    const { taps, vectors, lanes, blocking, window } = sampling(plan);
    const { batch, outH, outW, cout } = plan.geometry;
    const pixels = batch * outH * outW;
    const placed = needs.offset === true || needs.mask === true;
    const gradX = needs.x ? Tensor.zeros(gpu, x.shape, { label: 'gradient of x' }) : undefined;
    const gradOffset = placed ? Tensor.empty(gpu, offset.shape, { label: 'gradient of offset' }) : undefined;
    const gradMask = placed && mask ? Tensor.empty(gpu, mask.shape, { label: 'gradient of mask' }) : undefined;
    const chunkGradients = (first: number, rows: number, before?: Tensor) => {
      const geometry = product(plan, rows);
      const part = pixelsOf(gradient, first, rows);
      if (gradX || placed) {
        const gradColumns = inputGradient(undefined, geometry, weight, part);
        if (gradOffset) {
          const count = rows * plan.offsetGroups * taps;
          gpu.run('deform_conv2d_backward_offset', {
            params: { count, first, lanes, ...blocking, ...window },
            buffers: {
              x: x.buffer,
              offset: offset.buffer,
              ...(mask && { mask: mask.buffer }),
              grad_columns: gradColumns.buffer,
              grad_offset: gradOffset.buffer,
              ...(gradMask && { grad_mask: gradMask.buffer }),
            },
            conditions: { vectors, masked: mask !== undefined },
            grid: flatGrid(count * lanes, 64),
          });
        }
        if (gradX) gatherInput(plan, sources, gradColumns, gradX, first, rows);
        gradColumns.dispose();
      }
      if (!needs.weight) return undefined;
      return plus(weightGradient(undefined, geometry, sampleColumns(plan, sources, first, rows), part), before);
    };
    const sums = gradX || placed || needs.weight ? eachChunk(plan, chunkGradients) : undefined;
    const gradWeight = sums?.view(weight.shape) ?? (needs.weight ? Tensor.zeros(gpu, weight.shape) : undefined);
    return {
      x: gradX,
      offset: needs.offset ? gradOffset : undefined,
      mask: needs.mask ? gradMask : undefined,
      weight: gradWeight,
      bias: needs.bias ? (pixels > 0 ? columnSums(gradient, pixels, [cout]) : Tensor.zeros(gpu, [cout])) : undefined,
    };
  },
});

function contiguousSources({ x, offset, mask }: Inputs): Sources {
  return { x: contiguous(x), offset: contiguous(offset), mask: mask && contiguous(mask) };
}

/**
 * Deformable convolution: each tap of each output pixel samples `x` bilinearly at its regular place plus an offset, with
 * zeros outside of the image (Dai et al. 2017; with `mask`, version 2: Zhu et al. 2019). torchvision's conventions, in NHWC.
 *
 * `x` [n, h, w, cin]; `offset` [n, oh, ow, groups·kh·kw·2] in pixels: for each offset group and each tap (y, x);
 * `weight` [kh, kw, cin / weight groups, cout]; the result is [n, oh, ow, cout] with the sizes of `conv2d`. Both numbers of
 * groups follow from the shapes. Gradients to all five; the one to `x` gathers samples from sorted lists, so that all are
 * the same bits on every run. Large outputs are computed in chunks of pixels, of at most 64 MiB of samples.
 * @throws ShapeError when shapes do not fit; ArgumentError for options out of range or tensors of another type.
 */
export function deformConv2d(x: Tensor, offset: Tensor, weight: Tensor, options: DeformConv2dOptions = {}): Tensor {
  checkOptions('deformConv2d', options, {
    stride: 'number|array',
    padding: 'number|array',
    dilation: 'number|array',
    mask: 'tensor',
    bias: 'tensor',
  });
  return deformConv2dIn(undefined, x, offset, weight, options);
}

/** `deformConv2d` in chunks of a given number of output pixels, for tests; not public. */
export function deformConv2dIn(
  chunk: number | undefined,
  x: Tensor,
  offset: Tensor,
  weight: Tensor,
  { mask, bias, ...window }: DeformConv2dOptions = {},
): Tensor {
  const operation = 'deformConv2d';
  checkTensors('deformConv2d', { x, offset, weight });
  const [cin = 0, groupCin = 0] = [x.shape[3], weight.shape[2]];
  const groups = groupCin > 0 && cin % groupCin === 0 ? cin / groupCin : 1;
  const geometry = convGeometry(operation, x.shape, weight.shape, { ...window, groups });
  const taps = geometry.kernelH * geometry.kernelW;
  const outer = geometry.shape.slice(0, 3);
  const offsetGroups = (offset.shape[3] ?? 0) / (2 * taps);
  const divides = Number.isInteger(offsetGroups) && offsetGroups > 0 && cin % offsetGroups === 0;
  const slots = divides ? offsetGroups : 1;
  checkOperand('offset', offset, [...outer, slots * taps * 2]);
  if (mask) checkOperand('mask', mask, [...outer, slots * taps]);
  if (bias) checkOperand('bias', bias, [geometry.cout]);
  for (const [name, tensor] of Object.entries({ x, offset, weight, mask, bias })) {
    if (!tensor) continue;
    const whole = tensor.contiguous || (name !== 'weight' && name !== 'bias');
    if (tensor.dtype === 'f32' && whole) continue;
    throw new ArgumentError({
      operation,
      expected: whole ? `${name} of type f32` : `a contiguous ${name}`,
      got: whole ? tensor.dtype : 'a view of some channels',
      remedy: whole ? 'Make it from a Float32Array.' : 'Copy those channels into a tensor of their own.',
    });
  }
  const limit = Math.min(COLUMN_BYTES, x.gpu.largestTensor);
  const fitting = Math.floor(limit / (taps * cin * 4));
  const steps = Math.max(1, Math.floor(fitting / CHUNK_STEP) * CHUNK_STEP);
  return deforming({ x, offset, weight, mask, bias }, { geometry, offsetGroups, chunk: chunk ?? steps });
}

function checkOperand(name: string, tensor: Tensor, shape: Shape): void {
  if (sameShape(tensor.shape, shape)) return;
  throw new ShapeError({
    operation: 'deformConv2d',
    expected: `${name} ${formatShape(shape)}`,
    got: formatShape(tensor.shape),
    remedy:
      'offset has (y, x) for each offset group, tap and output pixel, mask one factor, bias one value per output channel; ' +
      'the number of offset groups divides the input channels.',
  });
}
