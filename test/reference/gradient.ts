import { zeros, type Array64 } from './array64.js';

/** A scalar function of arrays, whose derivative is wanted. */
export type ScalarFunction = (inputs: readonly Array64[]) => number;

/**
 * The step of central differences: their error is about h²·f‴/6 from the curvature (2.5e-9 at f‴ = 1) and 2^-53·|f|/h from
 * rounding (9e-13 at f = 1). A power of two, so that x ± h is exact for the float32 values that tests start from.
 */
export const STEP = 2 ** -13;

/** (f(x + h·d) − f(x − h·d)) / 2h: the derivative of f along `directions`, one array per input, of its shape. */
export function directionalDerivative(
  f: ScalarFunction,
  inputs: readonly Array64[],
  directions: readonly Array64[],
  h = STEP,
): number {
  const moved = (step: number) =>
    f(
      inputs.map(({ shape, data }, k) => ({
        shape,
        data: data.map((value, i) => value + step * directions[k]!.data[i]!),
      })),
    );
  return (moved(h) - moved(-h)) / (2 * h);
}

/** ∂f / ∂ inputs[index], element by element. */
export function numericGradient(f: ScalarFunction, inputs: readonly Array64[], index: number, h = STEP): Array64 {
  const gradient = zeros(inputs[index]!.shape);
  const moving = inputs.map(({ shape, data }) => ({ shape, data: data.slice() }));
  const { data } = moving[index]!;
  for (let i = 0; i < data.length; i++) {
    const value = data[i]!;
    data[i] = value + h;
    const above = f(moving);
    data[i] = value - h;
    const below = f(moving);
    data[i] = value;
    gradient.data[i] = (above - below) / (2 * h);
  }
  return gradient;
}
