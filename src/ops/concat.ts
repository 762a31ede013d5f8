import { defineOp } from '../autograd/op.js';
import { checkTensors, describe } from '../gpu/arguments.js';
import { ArgumentError, ShapeError } from '../gpu/errors.js';
import { copyRows } from '../tensor/copy_rows.js';
import { formatShape, sameShape } from '../tensor/shape.js';
import { Tensor } from '../tensor/tensor.js';
import { around, contiguous, resolveAxis } from './layout.js';
import { slicePart } from './slice.js';

/** True when these are the channels of one tensor, in order and without a gap: their concatenation exists already. */
function coversOneTensor(tensors: readonly Tensor[], axis: number): boolean {
  const [first] = tensors;
  if (!first || tensors.length < 2 || axis !== first.shape.length - 1) return false;
  let next = 0;
  for (const tensor of tensors) {
    if (!tensor.sharesMemoryWith(first) || tensor.pitch !== first.pitch || tensor.offset !== next) return false;
    next += tensor.shape[axis]!;
  }
  return next === first.pitch;
}

const joining = defineOp<Readonly<Record<string, Tensor | undefined>>, { axis: number; sizes: readonly number[] }>({
  name: 'concat',
  forward(inputs, { axis, sizes }) {
    const tensors = Object.values(inputs).filter((tensor) => tensor !== undefined);
    const first = tensors[0]!;
    if (coversOneTensor(tensors, axis)) return first.wholeRows();
    const size = sizes.reduce((total, part) => total + part, 0);
    const whole = Tensor.empty(first.gpu, first.shape.toSpliced(axis, 1, size), {
      dtype: first.dtype,
      label: 'concat',
    });
    const { outer, inner: pitch } = around(whole.shape, axis);
    const last = axis === whole.shape.length - 1;
    let offset = 0;
    for (const tensor of tensors) {
      const from = last ? tensor : contiguous(tensor);
      const width = around(tensor.shape, axis).inner;
      copyRows(
        { tensor: from, pitch: last ? from.pitch : width, offset: from.offset },
        { tensor: whole, pitch, offset },
        outer,
        width,
      );
      offset += width;
    }
    return whole;
  },
  backward(gradient, { options: { axis, sizes }, needs, places }) {
    let start = 0;
    const parts: Record<string, Tensor> = {};
    sizes.forEach((count, index) => {
      if (needs[index]) parts[index] = slicePart(gradient, { axis, start, count }, places[index]);
      start += count;
    });
    return parts;
  },
});

/**
 * The tensors one after another along an axis (counted from the end where negative). Where they are the channel views of
 * one tensor, in order and all of it, the result is that tensor, without a copy.
 * @throws ShapeError unless all other axes are the same; ArgumentError for no tensor.
 */
export function concat(tensors: readonly Tensor[], axis: number): Tensor {
  const given: unknown = tensors;
  if (!Array.isArray(given) || given.length === 0) {
    throw new ArgumentError({
      operation: 'concat',
      expected: 'an array of one tensor or more',
      got: describe(tensors),
      remedy: 'Pass the tensors to join.',
    });
  }
  checkTensors('concat', Object.fromEntries(tensors.map((tensor, i) => [`tensors[${i}]`, tensor])), 'any');
  const first = tensors[0]!;
  const resolved = resolveAxis('concat', first.shape, axis);
  for (const { shape, dtype } of tensors) {
    if (
      shape.length === first.shape.length &&
      dtype === first.dtype &&
      sameShape(shape.toSpliced(resolved, 1), first.shape.toSpliced(resolved, 1))
    ) {
      continue;
    }
    throw new ShapeError({
      operation: 'concat',
      expected: `shapes and element types alike but along axis ${axis}`,
      got: `${first.dtype} ${formatShape(first.shape)} and ${dtype} ${formatShape(shape)}`,
      remedy: 'Bring all other axes to the same size first.',
    });
  }
  return joining(Object.fromEntries(tensors.entries()), {
    axis: resolved,
    sizes: tensors.map(({ shape }) => shape[resolved]!),
  });
}
