import { describe } from '../gpu/arguments.js';
import { ShapeError } from '../gpu/errors.js';

/** Sizes of a tensor's axes, outermost first; images are `[n, h, w, c]`. */
export type Shape = readonly number[];

/** The number of elements; 1 for a scalar, whose shape is `[]`. */
export function elements(shape: Shape): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** `[2, 3, 4]`, as errors print it. */
export function formatShape(shape: Shape): string {
  return `[${shape.join(', ')}]`;
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis]);
}

/** Throws a ShapeError unless every size is a non-negative integer. */
export function checkShape(operation: string, shape: Shape): void {
  const listed = Array.isArray(shape);
  if (listed && shape.every((size) => Number.isSafeInteger(size) && size >= 0)) return;
  throw new ShapeError({
    operation,
    expected: 'an array of sizes, whole numbers of 0 or more',
    got: listed ? formatShape(shape) : describe(shape),
    remedy: 'Pass whole numbers, outermost axis first: [2, 3].',
  });
}

/** The four sizes of an image tensor. Throws a ShapeError for anything that is not `[n, h, w, c]`. */
export function imageShape(
  operation: string,
  shape: Shape,
): readonly [batch: number, height: number, width: number, channels: number] {
  if (shape.length === 4) return shape as unknown as readonly [number, number, number, number];
  throw new ShapeError({
    operation,
    expected: 'an image tensor [n, h, w, c]',
    got: formatShape(shape),
    remedy: 'Reshape it: layout is NHWC, channels last.',
  });
}
