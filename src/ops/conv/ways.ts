import type { Gpu } from '../../gpu/gpu.js';
import { Tensor } from '../../tensor/tensor.js';
import { scope } from '../../tensor/scope.js';
import { cast } from '../cast.js';
import { weightGradient } from './backward.js';
import { runForward } from './forward.js';
import type { ConvGeometry } from './geometry.js';
import { type ConvComputation, hasWays, type Way } from './choice.js';
import { TILES } from './product.js';
import { winogradFits, winogradWeight } from './winograd.js';

/** The ways of a convolution that this device can take, with all tiles of each. */
export function waysOf(gpu: Gpu, { operation, geometry }: ConvComputation): Way[] {
  if (!hasWays(geometry)) return [];
  const lanes = gpu.subgroupSize;
  const shuffles = lanes !== undefined;
  const tiles = TILES.filter(({ name }) => operation === 'forward' || name !== '32×32');
  const ways: Way[] = ['plain', ...(shuffles ? ['broadcast' as const] : [])];
  for (const { name } of tiles) ways.push(`tiled ${name}`);
  if (!winogradFits(gpu, geometry)) return ways;
  if (shuffles && geometry.cout / 4 >= lanes) ways.push('winograd-broadcast');
  for (const { name } of tiles) ways.push(`winograd-tiled ${name}`);
  return ways;
}

/** A convolution with tensors of its own, to be encoded again and again. */
export interface ConvTrial extends Disposable {
  /** Encodes it once by a way, or by the rule; the result is the caller's. */
  encode(way: Way | undefined): Tensor;
}

/** Makes a convolution like one that a network has, of numbers from `draw`. @throws LimitError where it does not fit. */
export function convTrial(
  gpu: Gpu,
  { operation, geometry, kept, half }: ConvComputation,
  draw: () => number,
): ConvTrial {
  const tensor = (shape: readonly number[]): Tensor => {
    const count = shape.reduce((product, side) => product * side, 1);
    const exact = Tensor.from(gpu, Float32Array.from({ length: count }, draw), shape);
    return half ? cast(exact, 'f16') : exact;
  };
  const { batch, inH, inW, cin, cout, kernelH, kernelW, shape } = geometry;
  const made = scope(() => {
    const x = tensor([batch, inH, inW, cin]);
    if (operation === 'weight gradient') return { x, other: tensor(shape), values: undefined };
    const weight = tensor([kernelH, kernelW, cin, cout]);
    return { x, other: weight, values: kept ? winogradWeight(weight) : undefined };
  });
  const { x, other, values } = made;
  return {
    encode(way) {
      if (operation === 'weight gradient') return weightGradient(way, geometry, x, other);
      const y = Tensor.empty(gpu, shape, { dtype: x.dtype, label: 'trial of conv2d' });
      runForward(way, geometry, { ...BARE, x, weight: other, y, values });
      return y;
    },
    [Symbol.dispose]() {
      for (const each of [x, other, values]) each?.dispose();
    },
  };
}

const BARE = { scale: undefined, shift: undefined, residual: undefined, slope: undefined };

/** A convolution in words, for tables. */
export function wordsOfConv({ operation, geometry, half }: ConvComputation): string {
  return `${operation} ${sizesOf(geometry)}${half ? ' f16' : ''}`;
}

function sizesOf({ batch, kernelH, kernelW, cin, cout, outH, outW, strideY }: ConvGeometry): string {
  const stride = strideY > 1 ? ` /${strideY}` : '';
  return `${kernelH}×${kernelW}${stride} ${cin}→${cout} at ${outW}×${outH}${batch > 1 ? ` ×${batch}` : ''}`;
}
