import type { KernelName } from './linker.js';

/**
 * Floating-point operations of one dispatch, a multiply-add as two, for kernels that convolve and say their sizes as all
 * of them do; 0 for others, whose work is small. Four input channels are a picture's: three, and one that is always 0.
 */
export function flopsOf(name: KernelName, params: object): number {
  if (!name.startsWith('conv2d_')) return 0;
  const { pixels = 0, kernel_h = 0, kernel_w = 0, ...sizes } = params as Readonly<Record<string, number | undefined>>;
  const cout = sizes['cout'] ?? 4 * (sizes['cout4'] ?? 0);
  const cin = sizes['group_cin'] ?? (name.endsWith('depthwise') ? 1 : 4 * (sizes['cin4'] ?? 0));
  return 2 * pixels * kernel_h * kernel_w * (cin === 4 ? 3 : cin) * cout;
}
