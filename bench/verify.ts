// What stands between a fast wrong kernel and a figure: rows are compared with the float64 twins of test/reference.
import { Tape } from '../src/autograd/tape.js';
import type { Gpu } from '../src/gpu/gpu.js';
import type { ConvGeometry } from '../src/ops/conv/geometry.js';
import { multiply } from '../src/ops/multiply.js';
import { sum } from '../src/ops/sum.js';
import { scope } from '../src/tensor/scope.js';
import { elements, type Shape } from '../src/tensor/shape.js';
import { Tensor } from '../src/tensor/tensor.js';
import { array64, type Array64, dot } from '../test/reference/array64.js';
import { numericGradient } from '../test/reference/gradient.js';

const EPS32 = 2 ** -24;

/** Elements of an output that are computed again in float64. */
const SAMPLES = 48;

/** An operation, its twin, and shapes that are small, but take the same kernel as the row's. */
export interface Twin {
  readonly op: (...inputs: Tensor[]) => Tensor;
  readonly twin: (...inputs: Array64[]) => Array64;
  readonly shapes: readonly Shape[];
  /** Inputs whose gradients are compared, too; none by default. */
  readonly gradients?: readonly number[];
}

/** The element `i` of what rows are filled with: deterministic, of both signs, about 1 in size, exact in float32. */
export function fill(i: number): number {
  return (((i * 37) % 101) - 50) / 64;
}

/** Deterministic values of both signs, about 1 in size. */
export function filled(gpu: Gpu, shape: Shape): Tensor<'f32'> {
  return Tensor.from(
    gpu,
    Float32Array.from({ length: elements(shape) }, (_, i) => fill(i)),
    shape,
  );
}

/** Throws where `got` is further from `expected` than `tolerance` times max(1, |expected|). */
export function close(what: string, got: number, expected: number, tolerance: number): void {
  if (Math.abs(got - expected) <= tolerance * Math.max(1, Math.abs(expected))) return;
  throw new Error(`${what} is ${got}, its float64 twin says ${expected}`);
}

function allClose(what: string, got: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  if (got.length !== expected.length) throw new Error(`${what}: ${got.length} values, not ${expected.length}`);
  for (let i = 0; i < expected.length; i++) close(`${what}[${i}]`, got[i]!, expected[i]!, tolerance);
}

/** Compares an operation with its twin, and its gradients through a tape with differences of the twin. */
export async function agreesWithTwin(gpu: Gpu, { op, twin, shapes, gradients = [] }: Twin): Promise<void> {
  // Another phase for each input, and no two neighbours alike; multiples of 2^-10 that no kink or tie lies on.
  const arrays = shapes.map((shape, k) =>
    array64(
      shape,
      Array.from({ length: elements(shape) }, (_, i) => (((i * 389 + k * 71 + 3) % 1021) * 2 - 1020.5) / 1024),
    ),
  );
  const inputs = arrays.map(({ shape, data }) => Tensor.from(gpu, Float32Array.from(data), shape));
  // Sums of up to a few thousand rounded terms of about 1; differences of the twin are good to 1e-7.
  const tolerance = 1e-4;
  try {
    const expected = twin(...arrays);
    using y = scope(() => op(...inputs));
    allClose('the output', await y.read(), expected.data, tolerance);
    if (gradients.length === 0) return;
    const weights = array64(
      expected.shape,
      Array.from(expected.data, (_, i) => fill(i + 1)),
    );
    using g = Tensor.from(gpu, Float32Array.from(weights.data), expected.shape);
    const tape = new Tape(gpu);
    for (const index of gradients) tape.watch(inputs[index]!);
    using loss = tape.record(() => scope(() => sum(multiply(op(...inputs), g))));
    tape.backward(loss);
    for (const index of gradients) {
      const numeric = numericGradient((moved) => dot(twin(...moved), weights), arrays, index);
      allClose(`the gradient of input ${index}`, await tape.gradient(inputs[index]!)!.read(), numeric.data, tolerance);
    }
    tape.dispose();
  } finally {
    for (const input of inputs) input.dispose();
  }
}

/** The places that are compared: spread over the whole output by a step that shares no factor with its sizes. */
function places(size: number): number[] {
  return Array.from({ length: Math.min(SAMPLES, size) }, (_, i) => (i * 7_368_787 + 11) % size);
}

/** Throws where sampled elements of `values` are not what `expected` says, or anything is not finite. */
export function agreesWhereSampled(
  values: Float32Array | Int32Array | Uint32Array,
  terms: number,
  expected: (index: number) => number,
): void {
  for (const value of values) if (!Number.isFinite(value)) throw new Error('a result that is not finite');
  // An error of a unit in the last place in each term of about 1/4, all of one sign, and some room.
  const tolerance = 4 * EPS32 * Math.max(64, terms);
  for (const at of places(values.length)) close(`element ${at}`, values[at]!, expected(at), tolerance);
}

/** The tensors of a convolution are filled by `fill`: any element of its passes can be computed alone. */
export function convolutionElement(pass: 'forward' | 'input' | 'weight', g: ConvGeometry): (index: number) => number {
  const perGroup = g.cin / g.groups;
  const coutPerGroup = g.cout / g.groups;
  const x = (n: number, y: number, xx: number, c: number): number =>
    y < 0 || xx < 0 || y >= g.inH || xx >= g.inW ? 0 : fill(((n * g.inH + y) * g.inW + xx) * g.cin + c);
  const weight = (ky: number, kx: number, c: number, o: number): number =>
    fill(((ky * g.kernelW + kx) * perGroup + c) * g.cout + o);
  const grad = (n: number, y: number, xx: number, o: number): number =>
    fill(((n * g.outH + y) * g.outW + xx) * g.cout + o);
  const split = (index: number, ...sizes: number[]): number[] => {
    const parts: number[] = [];
    let rest = index;
    for (const size of sizes.reverse()) {
      parts.unshift(rest % size);
      rest = Math.floor(rest / size);
    }
    return [rest, ...parts];
  };
  const taps = (visit: (ky: number, kx: number) => number): number => {
    let total = 0;
    for (let ky = 0; ky < g.kernelH; ky++) for (let kx = 0; kx < g.kernelW; kx++) total += visit(ky, kx);
    return total;
  };
  const channels = (first: number, count: number, term: (c: number) => number): number => {
    let total = 0;
    for (let c = first; c < first + count; c++) total += term(c);
    return total;
  };
  if (pass === 'forward') {
    return (index) => {
      const [n, oy, ox, o] = split(index, g.outH, g.outW, g.cout) as [number, number, number, number];
      const first = Math.floor(o / coutPerGroup) * perGroup;
      return taps((ky, kx) =>
        channels(0, perGroup, (c) => {
          const [y, xx] = [oy * g.strideY - g.padTop + ky * g.dilationY, ox * g.strideX - g.padLeft + kx * g.dilationX];
          return x(n, y, xx, first + c) * weight(ky, kx, c, o);
        }),
      );
    };
  }
  if (pass === 'input') {
    return (index) => {
      const [n, y, xx, c] = split(index, g.inH, g.inW, g.cin) as [number, number, number, number];
      const group = Math.floor(c / perGroup);
      return taps((ky, kx) => {
        const oy = (y + g.padTop - ky * g.dilationY) / g.strideY;
        const ox = (xx + g.padLeft - kx * g.dilationX) / g.strideX;
        if (!Number.isInteger(oy) || !Number.isInteger(ox) || oy < 0 || ox < 0 || oy >= g.outH || ox >= g.outW)
          return 0;
        return channels(
          group * coutPerGroup,
          coutPerGroup,
          (o) => grad(n, oy, ox, o) * weight(ky, kx, c % perGroup, o),
        );
      });
    };
  }
  return (index) => {
    const [ky, kx, c, o] = split(index, g.kernelW, perGroup, g.cout) as [number, number, number, number];
    const channel = Math.floor(o / coutPerGroup) * perGroup + c;
    let total = 0;
    for (let n = 0; n < g.batch; n++)
      for (let oy = 0; oy < g.outH; oy++)
        for (let ox = 0; ox < g.outW; ox++) {
          const [y, xx] = [oy * g.strideY - g.padTop + ky * g.dilationY, ox * g.strideX - g.padLeft + kx * g.dilationX];
          total += x(n, y, xx, channel) * grad(n, oy, ox, o);
        }
    return total;
  };
}
