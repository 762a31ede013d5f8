import type { StateTensor } from '../../src/weights/state.js';

/** Tensors that have the shapes asked for and, since nothing looks at them, no values. */
export function tensorsOfShapes(shapes: Readonly<Record<string, readonly number[]>>): Map<string, StateTensor> {
  return new Map(Object.entries(shapes).map(([name, shape]) => [name, { shape, data: new Float32Array() }]));
}
