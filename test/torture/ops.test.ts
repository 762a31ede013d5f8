// Random calls of every op against its float64 twin, forward and gradients; fast-check shrinks what fails.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'uvu';
import { Tape } from '../../src/autograd/tape.js';
import { iouMatrix } from '../../src/detect/iou_matrix.js';
import { nms } from '../../src/detect/nms.js';
import { topK } from '../../src/detect/top_k.js';
import { Gpu } from '../../src/gpu/gpu.js';
import { add } from '../../src/ops/add.js';
import { batchNorm } from '../../src/ops/batch_norm.js';
import { concat } from '../../src/ops/concat.js';
import type { Skeleton } from '../../src/ops/conv/choice.js';
import { conv2dWith } from '../../src/ops/conv2d.js';
import { deformConv2d } from '../../src/ops/deform_conv2d.js';
import { maxPool2d } from '../../src/ops/max_pool2d.js';
import { mean } from '../../src/ops/mean.js';
import { multiply } from '../../src/ops/multiply.js';
import { negativeLogLikelihood } from '../../src/ops/negative_log_likelihood.js';
import { leakyRelu, relu } from '../../src/ops/relu.js';
import { reshape } from '../../src/ops/reshape.js';
import { slice } from '../../src/ops/slice.js';
import { smoothL1 } from '../../src/ops/smooth_l1.js';
import { softmax } from '../../src/ops/softmax.js';
import { sum } from '../../src/ops/sum.js';
import { unpool } from '../../src/ops/unpool.js';
import { scope } from '../../src/tensor/scope.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { assertClose, values } from '../helpers/check_op.js';
import { testDevice as device } from '../helpers/device.js';
import { add as addTwin } from '../reference/add.js';
import { array64, type Array64, dot, map, sizeOf, windows, zeros } from '../reference/array64.js';
import { batchNorm as batchNormTwin } from '../reference/batch_norm.js';
import { concat as concatTwin } from '../reference/concat.js';
import { conv2d as conv2dTwin } from '../reference/conv2d.js';
import { deformConv2d as deformTwin } from '../reference/deform_conv2d.js';
import { directionalDerivative } from '../reference/gradient.js';
import { iouMatrix as iouTwin } from '../reference/iou_matrix.js';
import { leakyRelu as leakyTwin } from '../reference/leaky_relu.js';
import { maxPool2d as maxPoolTwin } from '../reference/max_pool2d.js';
import { mean as meanTwin } from '../reference/mean.js';
import { multiply as multiplyTwin } from '../reference/multiply.js';
import { negativeLogLikelihood as likelihoodTwin } from '../reference/negative_log_likelihood.js';
import { nms as nmsTwin } from '../reference/nms.js';
import { smoothL1 as smoothTwin } from '../reference/smooth_l1.js';
import { softmax as softmaxTwin } from '../reference/softmax.js';
import { sum as sumTwin } from '../reference/sum.js';
import { topK as topKTwin } from '../reference/top_k.js';
import { unpool as unpoolTwin } from '../reference/unpool.js';
import { figures, seed, times } from './harness.js';

const EPS32 = 2 ** -24;
const gpu = Gpu.of(device);

/** One call of an op. */
interface Call {
  readonly op: (...inputs: Tensor[]) => Tensor;
  readonly twin: (...inputs: Array64[]) => Array64;
  readonly inputs: readonly Array64[];
  /** Inputs that have a gradient; all by default. */
  readonly watched?: readonly number[];
  /** Inputs that the op takes as channel views; all by default. */
  readonly viewable?: readonly number[];
  /** Products, or roundings of about 1, behind an element of the output, and behind one of a gradient. */
  readonly terms: number;
  readonly gradientTerms?: number;
}

/** A call, none where the numbers do not fit one another; shown as the numbers that it was made of. */
interface Drawn {
  readonly call: Call | undefined;
}

function drawn<T extends object>(
  numbers: fc.Arbitrary<T>,
  make: (numbers: T) => Call | undefined,
): fc.Arbitrary<Drawn> {
  return numbers.map((given) => ({ call: make(given), [fc.toStringMethod]: () => JSON.stringify(given) }));
}

/** Which inputs are channel views of wider tensors, and how many channels lie before and behind. */
interface Views {
  readonly which: readonly boolean[];
  readonly before: number;
  readonly behind: number;
}

const views = fc.record({
  which: fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }),
  before: fc.integer({ min: 0, max: 5 }),
  behind: fc.integer({ min: 0, max: 5 }),
});

/** An input on the device: a tensor of its own, or some channels of a wider one that is filled with numbers of no meaning. */
function upload(input: Array64, view: boolean, { before, behind }: Views): { tensor: Tensor; owner: Tensor } {
  const { shape, data } = input;
  const width = shape.at(-1);
  if (!view || width === undefined || before + behind === 0) {
    const tensor = Tensor.from(device, Float32Array.from(data), shape);
    return { tensor, owner: tensor };
  }
  const whole = width + before + behind;
  const wide = Float32Array.from({ length: (data.length / width) * whole }, (_, i) => {
    const at = (i % whole) - before;
    return at >= 0 && at < width ? data[Math.floor(i / whole) * width + at]! : 1e30;
  });
  const owner = Tensor.from(device, wide, [...shape.slice(0, -1), whole]);
  return { tensor: owner.channels(before, width), owner };
}

/** Forward and the gradients of all watched inputs, and of one alone, against the twin; nothing is left on the device. */
async function check(
  { op, twin, inputs, watched, viewable, terms, gradientTerms = terms }: Call,
  seen: Views,
): Promise<void> {
  const before = gpu.memory().buffers;
  const expected = twin(...inputs);
  const uploads = inputs.map((input, i) =>
    upload(input, seen.which[i] === true && input.shape.length > 1 && viewable?.includes(i) !== false, seen),
  );
  const tensors = uploads.map(({ tensor }) => tensor);
  const direction = values('output gradient', expected.shape);
  const g = Tensor.from(device, Float32Array.from(direction.data), expected.shape);
  const plain = op(...tensors);
  assert.deepEqual(plain.shape, expected.shape, 'shape of the output');
  const tolerance = 4 * EPS32 * (terms + 4);
  assertClose(await plain.read(), expected, tolerance, 'output');
  plain.dispose();
  const list = watched ?? inputs.map((_, i) => i);
  for (const set of list.length > 1 ? [list, [list[inputs[0]!.data.length % list.length]!]] : [list]) {
    using tape = new Tape(device);
    for (const index of set) tape.watch(tensors[index]!);
    using loss = tape.record(() => scope(() => sum(multiply(op(...tensors), g))));
    tape.backward(loss);
    for (const [index, { shape }] of inputs.entries()) {
      const gradient = tape.gradient(tensors[index]!);
      if (!set.includes(index)) {
        assert.equal(gradient, undefined, `input ${index} is not watched`);
        continue;
      }
      assert.ok(gradient, `input ${index} has a gradient`);
      assert.deepEqual(gradient.shape, shape);
      const actual = array64(shape, await gradient.read());
      const along = inputs.map((input, k) => (k === index ? values('direction', shape) : zeros(input.shape)));
      const slope = directionalDerivative((moved) => dot(twin(...moved), direction), inputs, along);
      // Rounding errors of independent elements add up as the root of their number; 1e-7: error of the differences.
      const bound = (4 * EPS32 * (gradientTerms + 4) + 1e-7) * Math.sqrt(actual.data.length);
      const got = dot(actual, along[index]!);
      assert.ok(Math.abs(got - slope) <= bound * Math.max(1, Math.abs(slope)), `slope of input ${index}: ${got} instead of ${slope}, off by more than ${bound}`); // prettier-ignore
    }
  }
  g.dispose();
  for (const { tensor, owner } of uploads) {
    tensor.dispose();
    owner.dispose();
  }
  assert.equal(gpu.memory().buffers, before, 'all memory is given back');
}

/** Values that lie 1/64 and more apart from 0 and from each other where `places` allow it, so that no difference meets a kink. */
const apart = (name: string, shape: readonly number[]): Array64 => {
  const random = values(name, shape);
  const order = [...random.data.keys()].sort((a, b) => random.data[a]! - random.data[b]!);
  const ranks = new Float64Array(order.length);
  order.forEach((at, rank) => (ranks[at] = (2 * rank - order.length + (order.length % 2 === 0 ? 1 : 0)) / 64));
  return array64(
    shape,
    ranks.map((value) => (value === 0 ? 1 / 128 : value)),
  );
};

/** A rectifier whose sign is that of other values: the twin of a fused one, without its kink. */
const rectified = (x: Array64, signs: Array64, slope: number | undefined): Array64 =>
  slope === undefined ? x : map(x, (value, i) => (signs.data[i]! > 0 ? value : slope * value));

const size = (max: number, min = 1) => fc.integer({ min, max });
const channels = fc.oneof(size(9), fc.constantFrom(4, 8, 12, 16, 20, 32, 36, 64));
const shape = fc.array(size(6), { minLength: 1, maxLength: 4 });
const two = (max: number, min = 1) => fc.tuple(size(max, min), size(max, min));
const four = fc.tuple(size(3, 0), size(3, 0), size(3, 0), size(3, 0));
const fits = (places: readonly number[]): boolean => places.every((n) => n > 0);

const SKELETONS: readonly (Skeleton | undefined)[] =
  gpu.subgroupSize === undefined
    ? [undefined, 'plain', 'tiled', 'any']
    : [undefined, 'plain', 'tiled', 'any', 'broadcast'];

const conv = drawn(
  fc.record({
    x: fc.tuple(size(3), size(9), size(9)),
    kernel: two(4),
    stride: two(3),
    dilation: two(3),
    padding: four,
    cin: channels,
    cout: channels,
    groups: fc.constantFrom(1, 1, 1, 2, 3, 'depthwise' as const),
    addition: fc.constantFrom('none', 'bias', 'scale'),
    residual: fc.boolean(),
    slope: fc.constantFrom(undefined, undefined, 0, 0.25),
    skeleton: fc.constantFrom(...SKELETONS),
    one: fc.boolean(),
  }),
  ({ x: [n, h, w], kernel, groups, one, cin: a, cout: b, skeleton: wanted, ...rest }): Call | undefined => {
    const [kh, kw] = one ? [1, 1] : kernel;
    const count = groups === 'depthwise' ? a : groups;
    const [cinPerGroup, coutPerGroup] = groups === 'depthwise' ? [1, 1] : [a, b];
    const [cin, cout] = [cinPerGroup * count, coutPerGroup * count];
    const { stride, dilation, padding, addition, slope } = rest;
    const places = [n, windows(h, padding[0] + padding[2], kh, stride[0], dilation[0]), windows(w, padding[1] + padding[3], kw, stride[1], dilation[1])]; // prettier-ignore
    if (!fits(places)) return undefined;
    const output = [...places, cout];
    const skeleton = cin % 4 === 0 && cout % 4 === 0 && groups === 1 ? wanted : undefined;
    const window = { stride, dilation, padding, groups: count };
    const per = addition === 'none' ? [] : addition === 'bias' ? ['bias'] : ['scale', 'shift'];
    const names = ['x', 'weight', ...per, ...(rest.residual ? ['residual'] : [])];
    const shapes = { x: [n, h, w, cin], weight: [kh, kw, cinPerGroup, cout], bias: [cout], scale: [cout], shift: [cout], residual: output }; // prettier-ignore
    const inputs = names.map((name) => values(`conv/${name}.`, shapes[name as keyof typeof shapes]));
    const before = (arrays: readonly Array64[]): Array64 => {
      const named = Object.fromEntries(names.map((name, i) => [name, arrays[i]!]));
      const { bias, scale, shift, residual } = named;
      const y = conv2dTwin(named['x']!, named['weight']!, { ...window, ...(bias && { bias }) });
      return map(y, (value, i) => value * (scale?.data[i % cout] ?? 1) + (shift?.data[i % cout] ?? 0) + (residual?.data[i] ?? 0)); // prettier-ignore
    };
    const signs = before(inputs);
    // Where rounding could decide a sign, there is no one gradient.
    if (slope !== undefined && signs.data.some((value) => Math.abs(value) < 1e-4)) return undefined;
    const terms = kh * kw * cinPerGroup;
    return {
      op: (...tensors) => {
        const [x, weight, ...others] = tensors;
        const options = Object.fromEntries(others.map((tensor, i) => [names[i + 2]!, tensor]));
        return conv2dWith(skeleton, x!, weight!, { ...window, ...options, ...(slope === undefined ? {} : { slope }) });
      },
      twin: (...arrays) => rectified(before(arrays), signs, slope),
      inputs,
      // Weights and what there is one of for each channel must lie on their own.
      viewable: [0, ...(rest.residual ? [names.length - 1] : [])],
      terms,
      gradientTerms: Math.max(terms, kh * kw * coutPerGroup, sizeOf(places)),
    };
  },
);

const deform = drawn(
  fc.record({
    x: fc.tuple(size(2), size(5), size(5)),
    kernel: two(3),
    stride: two(2),
    dilation: two(2),
    padding: four,
    cin: size(4),
    cout: size(5),
    groups: size(3),
    weightGroups: size(2),
    masked: fc.boolean(),
    bias: fc.boolean(),
    reach: fc.constantFrom(1, 2, 6),
  }),

  ({
    x: [n, h, w],
    kernel,
    stride,
    dilation,
    padding,
    cin: per,
    cout,
    groups,
    weightGroups,
    masked,
    bias,
    reach,
  }): Call | undefined => {
    // prettier-ignore
    const [kh, kw] = kernel;
    const cin = per * groups * weightGroups;
    const places = [n, windows(h, padding[0] + padding[2], kh, stride[0], dilation[0]), windows(w, padding[1] + padding[3], kw, stride[1], dilation[1])]; // prettier-ignore
    if (!fits(places)) return undefined;
    const taps = kh * kw * groups;
    const window = { stride, dilation, padding };
    const names = ['x', 'offset', 'weight', ...(masked ? ['mask'] : []), ...(bias ? ['bias'] : [])];
    // An eighth away from whole positions, where the slope changes.
    const offset = map(values('deform/offset', [...places, 2 * taps]), (v) => (2 * Math.floor(v * reach * 4) + 1) / 8);
    const shapes = { x: [n, h, w, cin], weight: [kh, kw, per * groups, cout * weightGroups], mask: [...places, taps], bias: [cout * weightGroups], offset: [] }; // prettier-ignore
    const terms = 4 * kh * kw * cin;
    return {
      op: (a, b, c, ...others) =>
        deformConv2d(a, b, c, { ...window, ...Object.fromEntries(others.map((t, i) => [names[i + 3]!, t])) }),
      twin: (a, b, c, ...others) =>
        deformTwin(a, b, c, { ...window, ...Object.fromEntries(others.map((t, i) => [names[i + 3]!, t])) }),
      inputs: names.map((name) =>
        name === 'offset' ? offset : values(`deform/${name}.`, shapes[name as keyof typeof shapes]),
      ),
      terms,
      viewable: [0, 1, ...(masked ? [3] : [])],
      gradientTerms: 8 * Math.max(terms, 4 * kh * kw * cout * weightGroups, sizeOf(places)),
    };
  },
);

const norm = drawn(
  fc.record({
    rows: fc.array(size(7), { minLength: 1, maxLength: 3 }),
    channels,
    training: fc.boolean(),
    residual: fc.boolean(),
    slope: fc.constantFrom(undefined, 0, 0.25),
    far: fc.constantFrom(0, 0, 8),
  }),
  ({ rows, channels: c, training, residual, slope, far }): Call | undefined => {
    if (training && sizeOf(rows) < 4) return undefined;
    const full = [...rows, c];
    const [mean64, variance] = [values('norm.running_mean', [c]), values('norm.running_var', [c])];
    const inputs = [
      // Far from zero the mean is known to fewer digits, and so is what is left without it.
      map(values('norm/x', full), (value) => Math.fround(value + far)),
      values('norm.weight', [c]),
      values('norm.bias', [c]),
      ...(residual ? [values('norm/residual', full)] : []),
    ];
    const before = (arrays: readonly Array64[]): Array64 => {
      const [x, gamma, beta, rest] = arrays as [Array64, Array64, Array64, Array64 | undefined];
      const { output } = batchNormTwin(x, { gamma, beta, runningMean: mean64, runningVar: variance, training });
      return rest ? map(output, (value, i) => value + rest.data[i]!) : output;
    };
    // A variance of a few rows can be small, and everything behind it steep.
    if (training) {
      const flat = batchNormTwin(inputs[0]!, { gamma: inputs[1]!, beta: inputs[2]!, runningMean: mean64, runningVar: zeros([c]), training, momentum: 1 }).runningVar; // prettier-ignore
      if (flat.data.some((value) => value < 0.05)) return undefined;
    }
    const signs = before(inputs);
    if (slope !== undefined && signs.data.some((value) => Math.abs(value) < 1e-3)) return undefined;
    const terms = (24 + 4 * Math.sqrt(sizeOf(rows))) * (1 + far);
    return {
      op: (x, gamma, beta, rest) => {
        using runningMean = Tensor.from(device, Float32Array.from(mean64.data), [c]);
        using runningVar = Tensor.from(device, Float32Array.from(variance.data), [c]);
        return batchNorm(x, { gamma: gamma, beta: beta, runningMean, runningVar, training, momentum: 0, ...(residual ? { residual: rest } : {}), ...(slope === undefined ? {} : { slope }) }); // prettier-ignore
      },
      twin: (...arrays) => rectified(before(arrays), signs, slope),
      inputs,
      terms,
      gradientTerms: 16 * terms * (1 + far),
    };
  },
);

const pool = drawn(
  fc.record({ x: fc.tuple(size(3), size(8), size(8), channels), kernel: two(4), stride: two(3), padding: four }),
  ({ x, kernel, stride, padding: [top, left, bottom, right] }): Call | undefined => {
    const half = (pad: number, axis: 0 | 1): number => Math.min(pad, kernel[axis] >> 1);
    const padding = [half(top, 0), half(left, 1), half(bottom, 0), half(right, 1)] as const;
    const places = [windows(x[1], padding[0] + padding[2], kernel[0], stride[0], 1), windows(x[2], padding[1] + padding[3], kernel[1], stride[1], 1)]; // prettier-ignore
    if (!fits(places)) return undefined;
    const options = { kernel, stride, padding };
    return { op: (t) => maxPool2d(t, options), twin: (t) => maxPoolTwin(t, options), inputs: [apart('pool', x)], terms: 0, gradientTerms: 16 }; // prettier-ignore
  },
);

/** The ops that look at each element, or each row, alone. */
const small = drawn(
  fc.record({
    kind: fc.constantFrom('add', 'multiply', 'relu', 'leaky', 'softmax', 'likelihood', 'smooth', 'sum', 'mean', 'concat', 'slice', 'reshape', 'unpool'), // prettier-ignore
    shape,
    slope: fc.constantFrom(0, 0.1, 0.5, 1),
    parts: size(4),
    axis: fc.nat(3),
    ends: fc.tuple(fc.nat(5), fc.nat(5)),
    reduction: fc.constantFrom('none', 'sum', 'mean'),
    weighted: fc.boolean(),
    grow: two(3),
  }),
  ({ kind, shape: s, slope, parts, axis: drawnAxis, ends, reduction, weighted, grow }): Call | undefined => {
    const axis = drawnAxis % s.length;
    const rows = s.slice(0, -1);
    const elements = sizeOf(s);
    const [a, b] = [values('small/a', s), values('small/b', s)];
    const weights = weighted ? map(values('small/weights', rows), (w, i) => (i % 3 === 1 ? 0 : 2 + w)) : undefined;
    const onDevice = (array: Array64): Tensor => Tensor.from(device, Float32Array.from(array.data), array.shape);
    switch (kind) {
      case 'add':
        return { op: (x, y) => add(x, y), twin: (x, y) => addTwin(x, y), inputs: [a, b], terms: 1 };
      case 'multiply':
        return { op: (x, y) => multiply(x, y), twin: (x, y) => multiplyTwin(x, y), inputs: [a, b], terms: 1 };
      case 'relu':
        return { op: (x) => relu(x), twin: (x) => leakyTwin(x, 0), inputs: [apart('relu', s)], terms: 16 };
      case 'leaky':
        return {
          op: (x) => leakyRelu(x, slope),
          twin: (x) => leakyTwin(x, slope),
          inputs: [apart('leaky', s)],
          terms: 16,
        };
      case 'softmax':
        return {
          op: (x) => softmax(x),
          twin: softmaxTwin,
          inputs: [map(a, (v) => 4 * v)],
          terms: 16 + 4 * s.at(-1)!,
        };
      case 'likelihood': {
        const labels = Array.from({ length: sizeOf(rows) }, (_, i) => (i * 7 + (i >> 2)) % s.at(-1)!);
        return {
          op: (x) => {
            using label = Tensor.from(device, Uint32Array.from(labels), rows);
            using factors = weights && onDevice(weights);
            return negativeLogLikelihood(x, label, { reduction, ...(factors && { weights: factors }) });
          },
          twin: (x) => {
            const flat = array64([labels.length, s.at(-1)!], x.data);
            const factors = weights && array64([labels.length], weights.data);
            const result = likelihoodTwin(flat, labels, { reduction, ...(factors && { weights: factors }) });
            return reduction === 'none' ? array64(rows, result.data) : result;
          },
          inputs: [map(a, (v) => Math.fround(4 * v))],
          terms: 64 + labels.length,
        };
      }
      case 'smooth': {
        // Distances are multiples of 1/64, β lies between two of them.
        const grid = (x: Array64): Array64 => map(x, (v) => Math.round(v * 128) / 64);
        const beta = 0.5 + 1 / 128;
        return {
          op: (x, y) => {
            using factors = weights && onDevice(weights);
            return smoothL1(x, y, { beta, reduction, ...(factors && { weights: factors }) });
          },
          twin: (x, y) => smoothTwin(x, y, { beta, reduction, ...(weights && { weights }) }),
          inputs: [grid(a), grid(b)],
          terms: 16 + 4 * elements,
        };
      }
      case 'sum':
        return { op: (x) => sum(x), twin: (x) => sumTwin(x), inputs: [a], terms: elements };
      case 'mean':
        return { op: (x) => mean(x), twin: (x) => meanTwin(x), inputs: [a], terms: 8 };
      case 'concat': {
        const inputs = Array.from({ length: parts }, (_, i) => values(`concat ${i}`, s.with(axis, 1 + ((s[axis]! + 3 * i) % 7)))); // prettier-ignore
        return {
          op: (...t) => concat(t, axis),
          twin: (...t) => concatTwin(t, axis),
          inputs,
          terms: 0,
          gradientTerms: 16,
        };
      }
      case 'slice': {
        const start = ends[0] % (s[axis]! + 1);
        const count = ends[1] % (s[axis]! - start + 1);
        if (count === 0) return undefined;
        const kept = (x: Array64): Array64 => {
          const behind = sizeOf(s.slice(axis + 1));
          const place = (i: number): number => Math.floor(i / behind) % s[axis]!;
          return array64(
            s.with(axis, count),
            x.data.filter((_, i) => place(i) >= start && place(i) < start + count),
          );
        };
        return {
          op: (x) => slice(x, { axis, start, count }),
          twin: (x) => kept(x),
          inputs: [a],
          terms: 0,
          gradientTerms: 16,
        };
      }
      case 'reshape': {
        const other = weighted ? [elements] : [1, elements, 1];
        return {
          op: (x) => reshape(x, other),
          twin: (x) => array64(other, x.data),
          inputs: [a],
          terms: 0,
          gradientTerms: 16,
        };
      }
      case 'unpool': {
        if (s.length !== 4) return undefined;
        const target = [s[1]! * grow[0] - (grow[0] > 1 ? ends[0] % 2 : 0), s[2]! * grow[1]] as const;
        return { op: (x) => unpool(x, { size: target }), twin: (x) => unpoolTwin(x, { size: target }), inputs: [a], terms: 0, gradientTerms: 64 }; // prettier-ignore
      }
    }
  },
);

const CALLS = times(160, 2000);
const shares: readonly (readonly [name: string, share: number, calls: fc.Arbitrary<Drawn>])[] = [
  ['conv2d', 0.35, conv],
  ['deformConv2d', 0.1, deform],
  ['batchNorm', 0.15, norm],
  ['maxPool2d', 0.1, pool],
  ['small ops', 0.3, small],
];
let done = 0;
const began = performance.now();

for (const [name, share, calls] of shares) {
  test(`${name}: random calls agree with the twin, forward and gradients`, async () => {
    await fc.assert(
      fc.asyncProperty(calls, views, async ({ call }, seen) => {
        fc.pre(call !== undefined);
        await check(call, seen);
        done++;
      }),
      { numRuns: Math.round(CALLS * share), seed, maxSkipsPerRun: 1000, includeErrorInReport: true },
    );
  });
}

test('boxes: overlaps, suppression and the greatest agree with the twin, ties and all', async () => {
  const coordinate = fc.integer({ min: 0, max: 24 });
  const box = fc.tuple(coordinate, coordinate, size(12), size(12)).map(([x, y, w, h]) => [x, y, x + w, y + h]);
  const list = fc.array(fc.tuple(box, fc.integer({ min: -8, max: 8 })), { minLength: 0, maxLength: 90 });
  await fc.assert(
    fc.asyncProperty(list, list, fc.boolean(), fc.integer({ min: 0, max: 16 }), fc.nat(90), async (a, b, plusOne, sixteenths, k) => {
      const boxes = (all: typeof a): Array64 => array64([all.length, 4], all.flatMap(([corners]) => corners));
      const scores = array64([a.length], a.map(([, score]) => score / 8));
      const [boxesA, boxesB] = [boxes(a), boxes(b)];
      using deviceA = Tensor.from(device, Float32Array.from(boxesA.data), boxesA.shape);
      using deviceB = Tensor.from(device, Float32Array.from(boxesB.data), boxesB.shape);
      using deviceScores = Tensor.from(device, Float32Array.from(scores.data), scores.shape);
      using overlaps = iouMatrix(deviceA, deviceB, { plusOne });
      assertClose(await overlaps.read(), iouTwin(boxesA, boxesB, { plusOne }), 4 * EPS32, 'overlaps');
      // Not at a fraction that two boxes of whole corners can have: rounding would decide.
      const iouThreshold = Math.min(1, sixteenths / 16 + 0.0123);
      assert.deepEqual([...(await nms(deviceA, deviceScores, { iouThreshold, plusOne }))], nmsTwin(boxesA, scores, { iouThreshold, plusOne })); // prettier-ignore
      const count = Math.min(k, a.length);
      const greatest = topK(deviceScores, count);
      assert.deepEqual([...(await greatest.indices.read())], topKTwin(scores, count));
      greatest.indices.dispose();
      greatest.values.dispose();
      done++;
    }), // prettier-ignore
    { numRuns: Math.round(CALLS / 10), seed, includeErrorInReport: true },
  );
});

test.after(() => {
  figures('random calls of ops', { calls: done, 'milliseconds each': (performance.now() - began) / done });
});

test.run();
