import type { Random } from '../tensor/random.js';
import { elements, type Shape } from '../tensor/shape.js';

/** Draws the values of a parameter of a shape: convolutions `[kh, kw, cin / groups, cout]`, vectors `[c]`. */
export type Initialiser = (shape: Shape, random: Random) => Float32Array<ArrayBuffer>;

/** Products that one output sums, and outputs that one input reaches. */
function fans(shape: Shape): { readonly fanIn: number; readonly fanOut: number } {
  const [cin = 1, cout = 1] = shape.slice(-2);
  const taps = elements(shape.slice(0, -2));
  return { fanIn: taps * cin, fanOut: taps * cout };
}

const fill = (shape: Shape, draw: () => number): Float32Array<ArrayBuffer> =>
  Float32Array.from({ length: elements(shape) }, draw);

/** Every value the same. */
export function constant(value: number): Initialiser {
  return (shape) => fill(shape, () => value);
}

/** Uniform in ±√(6 / (fan in + fan out)): Glorot & Bengio 2010. */
export const xavierUniform: Initialiser = (shape, random) => {
  const { fanIn, fanOut } = fans(shape);
  const bound = Math.sqrt(6 / (fanIn + fanOut));
  return fill(shape, () => random.between(-bound, bound));
};

/**
 * Normal of deviation √(2 / ((1 + slope²)·fan)), which keeps the variance through a (leaky) ReLU: He et al. 2015.
 * A depthwise filter reaches one output, whatever their number.
 */
export function kaimingNormal(mode: 'in' | 'out', slope = 0): Initialiser {
  return (shape, random) => {
    const { fanIn, fanOut } = fans(shape);
    const fan = mode === 'in' || shape[2] === 1 ? fanIn : fanOut;
    const deviation = Math.sqrt(2 / ((1 + slope * slope) * fan));
    return fill(shape, () => deviation * random.normal());
  };
}
