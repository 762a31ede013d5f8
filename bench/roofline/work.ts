import type { DeviceBuffer } from '../../src/gpu/buffers.js';
import { type KernelName, linkKernel } from '../../src/gpu/linker.js';

/** A dispatch as `gpu.run` is given it. */
export interface Dispatched {
  readonly name: KernelName;
  readonly params: Readonly<Record<string, number>>;
  readonly buffers: Readonly<Record<string, DeviceBuffer | undefined>>;
  readonly conditions: Readonly<Record<string, boolean | undefined>>;
  readonly constants: Readonly<Record<string, number>>;
}

/** What a dispatch must do at least, and what it is called. */
export interface Work {
  /** A multiply-add counts as two. */
  readonly flops: number;
  /** Read and written, each number once. */
  readonly bytes: number;
  /** Its shape, in the words of its kind. */
  readonly shape: string;
}

/** Operations for each number of the largest tensor, of kernels that do more than one. */
const OPERATIONS: Readonly<Partial<Record<KernelName, number>>> = {
  batch_norm: 4,
  batch_norm_partials: 4,
  batch_norm_backward_partials: 5,
  batch_norm_backward_input: 5,
  conv2d_winograd_input: 6,
  conv2d_winograd_output: 6,
  conv2d_winograd_weight: 4,
  max_pool2d: 9,
  prepare_image: 8,
  sgd: 6,
  smooth_l1: 4,
  smooth_l1_backward: 4,
  softmax: 4,
};

/** Kernels that move numbers and compute none. */
const MOVERS: ReadonlySet<KernelName> = new Set([
  'copy_rows',
  'conv2d_flip_weight',
  'conv2d_place',
  'unpool',
  'fill_from_scalar',
] as const);

function tensorBytes(buffers: Iterable<DeviceBuffer | undefined>): number {
  let bytes = 0;
  const seen = new Set<string>();
  for (const buffer of buffers) {
    if (!buffer) continue;
    const key = `${buffer.id} ${buffer.offset}`;
    if (!seen.has(key)) bytes += buffer.bytes;
    seen.add(key);
  }
  return bytes;
}

/** Bindings of a variant: a caller may pass more. */
function bindingsOf({ name, conditions, constants, buffers }: Dispatched): (DeviceBuffer | undefined)[] {
  const { code } = linkKernel(name, conditions, constants);
  return [...code.matchAll(/var<storage,\w+>(\w+)/g)].map(([, binding]) => buffers[binding!]);
}

/** Numbers of a convolution's window and images, from the parameters that all such kernels have. */
function convolution({ name, params, constants, buffers }: Dispatched) {
  const { out_h = 0, out_w = 0, in_h = 0, in_w = 0, batch } = params;
  const depthwise = name.endsWith('depthwise');
  const cout = params['cout'] ?? 4 * (params['cout4'] ?? constants['COLS'] ?? 0);
  const cin = params['group_cin'] ?? (depthwise ? 1 : 4 * (params['cin4'] ?? 0));
  const kernelH = params['kernel_h'] ?? constants['KERNEL_H'] ?? 0;
  const kernelW = params['kernel_w'] ?? constants['KERNEL_W'] ?? 0;
  const rows = params['rows'];
  const pixels = batch === undefined ? (params['pixels'] ?? (rows ?? 0) * out_w) : batch * out_h * out_w;
  const groups = depthwise ? cout : cout / (params['group_cout'] ?? cout);
  const taps = kernelH * kernelW;
  const images = pixels / (out_h * out_w);
  // One channel of four is padding where a picture comes in.
  const useful = cin === 4 ? 3 : cin;
  const weight = taps * cin * cout;
  // With a stride, a small window leaves pixels out.
  const x = Math.min(images * in_h * in_w, pixels * taps) * cin * groups;
  const stride = params['stride_y'] ?? constants['STRIDE_Y'] ?? 1;
  const window = depthwise ? `depthwise ${kernelH}×${kernelW}` : `${kernelH}×${kernelW}`;
  const strided = stride > 1 ? ` stride ${stride}` : '';
  // Products of Winograd's way: as many convolutions of 1×1 as there are weights in `buffers`.
  const products = params['share'] ? pixels / params['share'] : 1;
  return {
    flops: 2 * pixels * taps * useful * cout,
    numbers: x + products * weight + pixels * cout * (buffers['residual'] ? 2 : 1),
    shape:
      products > 1
        ? `${products} products ${cin}→${cout} of ${params['share']} tiles`
        : `${window}${strided} ${depthwise ? cout : `${cin * groups}→${cout}`}, ${out_h}×${out_w}${images > 1 ? ` ×${images}` : ''}`,
  };
}

/** What a dispatch does at least. */
export function workOf(dispatched: Dispatched): Work {
  const { name, params, conditions } = dispatched;
  if (/^conv2d_(forward|backward_weight)/.test(name)) {
    const { flops, numbers, shape } = convolution(dispatched);
    return { flops, bytes: 4 * numbers, shape };
  }
  const { count = 0, channels = 0 } = params;
  // What has a place in a larger tensor touches that part alone.
  const lane = conditions['vectors'] ? 4 : 1;
  const moved: Readonly<Partial<Record<KernelName, number>>> = {
    copy_rows: 2 * lane * (params['rows'] ?? 0) * (params['width'] ?? 0),
    conv2d_place: 2 * lane * count,
    bucket_add: (conditions['more'] ? 3 : 2) * count,
    conv2d_winograd_input: (16 + 36) * count,
    conv2d_winograd_output: (36 + 16) * count,
  };
  const bound = bindingsOf(dispatched);
  const bytes = moved[name] === undefined ? tensorBytes(bound) : 4 * moved[name];
  const largest = Math.min(bytes, Math.max(0, ...bound.map((buffer) => buffer?.bytes ?? 0))) / 4;
  return {
    flops: MOVERS.has(name) ? 0 : (OPERATIONS[name] ?? 1) * largest,
    bytes,
    shape: `${largest.toLocaleString('en')} numbers${channels > 0 ? ` in ${channels * lane} channels` : ''}`,
  };
}
