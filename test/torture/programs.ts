// Programs of a few operations, drawn by fast-check: which values each reads, and its numbers.
import fc from 'fast-check';
import { add } from '../../src/ops/add.js';
import { batchNorm } from '../../src/ops/batch_norm.js';
import { concat } from '../../src/ops/concat.js';
import { conv2dWith } from '../../src/ops/conv2d.js';
import { deformConv2d } from '../../src/ops/deform_conv2d.js';
import { maxPool2d } from '../../src/ops/max_pool2d.js';
import { mean } from '../../src/ops/mean.js';
import { multiply } from '../../src/ops/multiply.js';
import { leakyRelu } from '../../src/ops/relu.js';
import { reshape } from '../../src/ops/reshape.js';
import { slice } from '../../src/ops/slice.js';
import { softmax } from '../../src/ops/softmax.js';
import { sum } from '../../src/ops/sum.js';
import { unpool } from '../../src/ops/unpool.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { values } from '../helpers/check_op.js';
import { array64, type Array64, map, sizeOf, windows } from '../reference/array64.js';
import { batchNorm as batchNormTwin } from '../reference/batch_norm.js';
import { concat as concatTwin } from '../reference/concat.js';
import { conv2d as conv2dTwin } from '../reference/conv2d.js';
import { deformConv2d as deformTwin } from '../reference/deform_conv2d.js';
import { maxPool2dIndices } from '../reference/max_pool2d.js';
import { mean as meanTwin } from '../reference/mean.js';
import { softmax as softmaxTwin } from '../reference/softmax.js';
import { sum as sumTwin } from '../reference/sum.js';
import { unpool as unpoolTwin } from '../reference/unpool.js';

/** A value of a program: a leaf, or what an operation makes of values before it. */
export interface Node {
  readonly name: string;
  readonly inputs: readonly number[];
  /** What the operation makes on the device; absent in a leaf. */
  readonly op?: ((...inputs: Tensor[]) => Tensor) | undefined;
  /** The same in float64, with the decisions (signs, the greatest of a window) of the program's own values. */
  readonly twin: (...inputs: Array64[]) => Array64;
  /** Products, or roundings, behind an element. */
  readonly terms: number;
  readonly base: Array64;
  /** Channels before and behind, where a leaf is a part of a wider tensor. */
  readonly view?: readonly [before: number, behind: number] | undefined;
  /** The leaf before, where both are the halves of one tensor. */
  readonly otherHalf?: number | undefined;
}

/** A program; its last value is the loss. */
export interface Program {
  readonly nodes: readonly Node[];
  readonly watched: ReadonlySet<number>;
  /** Values that are compared. */
  readonly shown: readonly number[];
  /** Values are freed right after their last use. */
  readonly early: boolean;
  /** Operations are given other handles of the values. */
  readonly aliased: boolean;
}

type Operation = Omit<Node, 'base'>;

/** Values above this are left to others: squares of squares leave no digits to compare. */
const MOST = 64;
const MOST_ELEMENTS = 1200;

/** Relative to the greatest of a tensor: nearer to a kink than this, rounding could decide. */
const MARGIN = 2 ** -14;

/** A batch norm over values that hardly differ magnifies rounding until nothing is left to compare. */
const LEAST_VARIANCE = 0.01;

const greatest = ({ data }: Array64): number => data.reduce((most, v) => Math.max(most, Math.abs(v)), 0);

/** Whether the sign of every value is beyond doubt. An exact 0, as a rectifier makes, is one on the device, too. */
function signsAreSafe(x: Array64): boolean {
  const least = MARGIN * Math.max(greatest(x), 2 ** -10);
  return x.data.every((v) => v === 0 || Math.abs(v) > least);
}

/** A rectifier with the signs of other values. */
function rectifier(signs: Array64, slope: number): (x: Array64) => Array64 {
  return (x) => map(x, (v, i) => (signs.data[i]! > 0 ? v : slope * v));
}

const size = (max: number, min = 1) => fc.integer({ min, max });
const two = (max: number, min = 1) => fc.tuple(size(max, min), size(max, min));

/** One operation, as numbers that mean something whatever stands before it: choices count modulo what there is. */
const instruction = fc.record({
  kind: fc.constantFrom(
    ...(['conv', 'conv', 'conv', 'norm', 'norm', 'add', 'add', 'multiply', 'concat', 'concat', 'rectify'] as const),
    ...(['pool', 'unpool', 'slice', 'reshape', 'softmax', 'deform'] as const),
  ),
  first: fc.nat(7),
  second: fc.nat(7),
  kernel: two(3),
  stride: two(2),
  dilation: two(2),
  padding: fc.tuple(fc.nat(2), fc.nat(2), fc.nat(2), fc.nat(2)),
  channels: fc.oneof(size(7), fc.constantFrom(4, 8, 12, 16)),
  parts: size(3),
  axis: fc.nat(3),
  range: fc.tuple(fc.nat(5), fc.nat(5)),
  slope: fc.constantFrom(undefined, undefined, 0, 0.1, 1),
  flags: fc.tuple(fc.boolean(), fc.boolean(), fc.boolean(), fc.boolean()),
  skeleton: fc.constantFrom(undefined, 'plain' as const, 'tiled' as const, 'any' as const),
});
type Instruction = typeof instruction extends fc.Arbitrary<infer T> ? T : never;

const drawn = fc.record({
  input: fc.tuple(size(2), size(7), size(7), fc.oneof(size(6), fc.constantFrom(4, 8, 12))),
  instructions: fc.array(instruction, { minLength: 1, maxLength: 9, size: 'max' }),
  /** By the number of the value. */
  watch: fc.array(fc.constantFrom(true, true, false), { minLength: 60, maxLength: 60 }),
  views: fc.array(fc.constantFrom(undefined, [1, 0] as const, [0, 3] as const, [4, 4] as const, [2, 1] as const), { minLength: 12, maxLength: 12 }), // prettier-ignore
  dead: fc.array(fc.constantFrom(false, false, true), { minLength: 8, maxLength: 8 }),
  /** Two inputs are the halves of one tensor. */
  halves: fc.boolean(),
  squared: fc.boolean(),
  early: fc.boolean(),
  aliased: fc.boolean(),
});
type Drawn = typeof drawn extends fc.Arbitrary<infer T> ? T : never;

class Builder {
  readonly nodes: Node[] = [];
  /** Values of four axes, which operations read. */
  readonly data: number[] = [];
  readonly #drawn: Drawn;
  #leaves = 0;

  constructor(given: Drawn) {
    this.#drawn = given;
  }

  /** A leaf of values in [−scale, scale), or what `make` makes of them; one that is there already where it serves. */
  leaf(role: string, shape: readonly number[], options: LeafOptions = {}): number {
    const { scale = 1, viewable = false, shared = false, make = (v: number) => v, otherHalf } = options;
    const known = this.nodes.findIndex(
      ({ name, base }) => name === `a ${role}` && String(base.shape) === String(shape),
    );
    if (shared && known >= 0) return known;
    const number = this.#leaves++;
    const view = viewable ? this.#drawn.views[number % this.#drawn.views.length] : undefined;
    const base = map(values(`program/${role} ${number}`, shape), (v) => Math.fround(scale * make(v)));
    return this.#add({ name: `a ${role}`, inputs: [], terms: 0, twin: () => base, base, view, otherHalf });
  }

  /** An operation, where what it makes is small enough. */
  op(parts: Operation): void {
    const base = this.#computed(parts);
    if (base.data.length > MOST_ELEMENTS || !(greatest(base) <= MOST)) return;
    this.data.push(this.#add({ ...parts, base }));
  }

  /** An operation of the loss, whatever it makes; its number. */
  last(parts: Operation): number {
    return this.#add({ ...parts, base: this.#computed(parts) });
  }

  #computed({ twin, inputs }: Operation): Array64 {
    return twin(...inputs.map((index) => this.value(index)));
  }

  #add(node: Node): number {
    return this.nodes.push(node) - 1;
  }

  value(index: number): Array64 {
    return this.nodes[index]!.base;
  }

  /** A value to read; the latest more often than others. */
  pick(choice: number): number {
    return this.data.at(-1 - (choice < 4 ? 0 : choice % this.data.length))!;
  }

  /** One of the values of a shape, which is itself one. */
  pickLike(index: number, choice: number): number {
    const shape = String(this.value(index).shape);
    const alike = this.data.filter((other) => String(this.value(other).shape) === shape);
    return alike[choice % alike.length]!;
  }
}

interface LeafOptions {
  readonly scale?: number;
  /** It may be some channels of a wider tensor. */
  readonly viewable?: boolean;
  /** One leaf may serve several operations. */
  readonly shared?: boolean;
  readonly make?: (value: number) => number;
  readonly otherHalf?: number;
}

/** A power of two, so that no bit is lost: near 1 / √n. */
const gain = (n: number): number => 2 ** -Math.round(Math.log2(n) / 2);

function appendConv(to: Builder, given: Instruction): void {
  const { kernel, stride, dilation, padding, slope, flags } = given;
  const x = to.pick(given.first);
  const [n, h, w, cin] = to.value(x).shape as [number, number, number, number];
  const depthwise = flags[0] && given.parts === 1;
  const groups = depthwise ? cin : 1;
  const cout = depthwise ? cin : given.channels;
  const places = [
    n,
    windows(h, padding[0] + padding[2], kernel[0], stride[0], dilation[0]),
    windows(w, padding[1] + padding[3], kernel[1], stride[1], dilation[1]),
  ];
  if (places.some((count) => count < 1)) return;
  const terms = (kernel[0] * kernel[1] * cin) / groups;
  const weight = to.leaf('weight', [...kernel, cin / groups, cout], { scale: gain(terms), shared: flags[1] });
  const bias = flags[2] ? to.leaf('bias', [cout], { shared: flags[1] }) : undefined;
  const like = to.data.filter((index) => String(to.value(index).shape) === String([...places, cout]));
  const residual = flags[3] ? like[given.second % Math.max(1, like.length)] : undefined;
  const names = ['', '', ...(bias === undefined ? [] : ['bias']), ...(residual === undefined ? [] : ['residual'])];
  const inputs = [x, weight, bias, residual].filter((index) => index !== undefined);
  const window = { stride, dilation, padding, groups };
  const optional = <T>(all: readonly T[]): { readonly bias?: T; readonly residual?: T } =>
    Object.fromEntries(all.slice(2).map((each, i) => [names[i + 2]!, each]));
  const before = (...arrays: Array64[]): Array64 => {
    const { bias: added, residual: behind } = optional(arrays);
    const y = conv2dTwin(arrays[0]!, arrays[1]!, { ...window, ...(added && { bias: added }) });
    return behind ? map(y, (v, i) => v + behind.data[i]!) : y;
  };
  const signs = before(...inputs.map((index) => to.value(index)));
  if (slope !== undefined && !signsAreSafe(signs)) return;
  const after = slope === undefined ? (y: Array64) => y : rectifier(signs, slope);
  const skeleton = cin % 4 === 0 && cout % 4 === 0 && !depthwise ? given.skeleton : undefined;
  to.op({
    name: 'conv2d',
    inputs,
    terms,
    twin: (...arrays) => after(before(...arrays)),
    op: (...tensors) =>
      conv2dWith(skeleton, tensors[0]!, tensors[1]!, { ...window, ...optional(tensors), ...(slope !== undefined && { slope }) }), // prettier-ignore
  });
}

function appendNorm(to: Builder, { first, second, slope, flags }: Instruction): void {
  const x = to.pick(first);
  const { shape, data } = to.value(x);
  const channels = shape.at(-1)!;
  const count = data.length / channels;
  const training = flags[0];
  if (training) {
    for (let c = 0; c < channels; c++) {
      const of = data.filter((_, i) => i % channels === c);
      const middle = of.reduce((total, v) => total + v / count, 0);
      if (!(of.reduce((total, v) => total + (v - middle) ** 2 / count, 0) > LEAST_VARIANCE)) return;
    }
  }
  const gamma = to.leaf('gamma', [channels], { shared: flags[1] });
  const beta = to.leaf('beta', [channels], { shared: flags[1] });
  const runningMean = array64(
    [channels],
    Array.from({ length: channels }, (_, c) => (c % 3) / 4),
  );
  const runningVar = array64(
    [channels],
    Array.from({ length: channels }, (_, c) => 0.5 + (c % 4) / 4),
  );
  const residual = flags[2] ? to.pickLike(x, second) : undefined;
  const inputs = [x, gamma, beta, residual].filter((index) => index !== undefined);
  const before = (a: Array64, g: Array64, b: Array64, behind?: Array64): Array64 => {
    const { output } = batchNormTwin(a, { gamma: g, beta: b, runningMean, runningVar, training });
    return behind ? map(output, (v, i) => v + behind.data[i]!) : output;
  };
  const twin = (...[a, g, b, behind]: Array64[]): Array64 => before(a!, g!, b!, behind);
  const signs = twin(...inputs.map((index) => to.value(index)));
  if (slope !== undefined && !signsAreSafe(signs)) return;
  const after = slope === undefined ? (y: Array64) => y : rectifier(signs, slope);
  to.op({
    name: training ? 'batchNorm of the batch' : 'batchNorm',
    inputs,
    terms: training ? count : 8,
    twin: (...arrays) => after(twin(...arrays)),
    op: (a, g, b, behind?: Tensor) => {
      // Freed while the recording goes on: the tape holds what it needs.
      using mean = Tensor.from(a.gpu, Float32Array.from(runningMean.data), [channels]);
      using variance = Tensor.from(a.gpu, Float32Array.from(runningVar.data), [channels]);
      const statistics = { runningMean: mean, runningVar: variance, training };
      return batchNorm(a, { gamma: g, beta: b, ...statistics, ...(behind && { residual: behind }), ...(slope !== undefined && { slope }) }); // prettier-ignore
    },
  });
}

function appendDeform(to: Builder, { first, kernel, stride, padding, parts, flags }: Instruction): void {
  const x = to.pick(first);
  const [n, h, w, cin] = to.value(x).shape as [number, number, number, number];
  const places = [
    n,
    windows(h, padding[0] + padding[2], kernel[0], stride[0], 1),
    windows(w, padding[1] + padding[3], kernel[1], stride[1], 1),
  ];
  if (places.some((count) => count < 1) || cin > 8) return;
  const taps = kernel[0] * kernel[1];
  const terms = 4 * taps * cin;
  // An eighth away from whole positions, where the slope changes.
  const offset = to.leaf('offset', [...places, 2 * taps], {
    make: (v) => (2 * Math.floor(v * 4) + 1) / 8,
    viewable: true,
  });
  const weight = to.leaf('weight', [...kernel, cin, parts], { scale: gain(terms), shared: flags[1] });
  const mask = flags[2] ? to.leaf('mask', [...places, taps], { viewable: true }) : undefined;
  const window = { stride, padding };
  to.op({
    name: 'deformConv2d',
    inputs: [x, offset, weight, mask].filter((index) => index !== undefined),
    terms,
    twin: (a, o, k, m?: Array64) => deformTwin(a, o, k, { ...window, ...(m && { mask: m }) }),
    op: (a, o, k, m?: Tensor) => deformConv2d(a, o, k, { ...window, ...(m && { mask: m }) }),
  });
}

function appendPool(to: Builder, { first, kernel, stride, padding }: Instruction): void {
  const x = to.pick(first);
  const [, h, w, channels] = to.value(x).shape as [number, number, number, number];
  const half = (pad: number, side: 0 | 1): number => Math.min(pad, kernel[side] >> 1);
  const sides = [half(padding[0], 0), half(padding[1], 1), half(padding[2], 0), half(padding[3], 1)] as const;
  const options = { kernel, stride, padding: sides };
  const counts = [windows(h, sides[0] + sides[2], kernel[0], stride[0], 1), windows(w, sides[1] + sides[3], kernel[1], stride[1], 1)]; // prettier-ignore
  if (counts.some((count) => count < 1)) return;
  const base = to.value(x);
  const indices = maxPool2dIndices(base, options);
  const perImage = indices.data.length / indices.shape[0]!;
  const placeOf = (i: number): number =>
    (Math.floor(i / perImage) * h * w + indices.data[i]!) * channels + (i % channels);
  // Where the second greatest is nearly as great, rounding could decide; where it is exactly as great, the first counts.
  const margin = MARGIN * Math.max(greatest(base), 2 ** -10);
  const [outHeight, outWidth] = counts as [number, number];
  for (let i = 0; i < indices.data.length; i++) {
    const winner = base.data[placeOf(i)]!;
    const c = i % channels;
    const ox = Math.floor(i / channels) % outWidth;
    const oy = Math.floor(i / (channels * outWidth)) % outHeight;
    const image = Math.floor(i / perImage);
    for (let ky = 0; ky < kernel[0]; ky++)
      for (let kx = 0; kx < kernel[1]; kx++) {
        const [y, xx] = [oy * stride[0] - sides[0] + ky, ox * stride[1] - sides[1] + kx];
        if (y < 0 || y >= h || xx < 0 || xx >= w) continue;
        const other = base.data[((image * h + y) * w + xx) * channels + c]!;
        if (other !== winner && winner - other < margin) return;
      }
  }
  to.op({
    name: 'maxPool2d',
    inputs: [x],
    terms: 0,
    twin: (a) =>
      array64(
        indices.shape,
        Float64Array.from(indices.data, (_, i) => a.data[placeOf(i)]!),
      ),
    op: (a) => maxPool2d(a, options),
  });
}

/** Some entries of an axis. */
function sliceTwin(x: Array64, axis: number, start: number, count: number): Array64 {
  const behind = sizeOf(x.shape.slice(axis + 1));
  const place = (i: number): number => Math.floor(i / behind) % x.shape[axis]!;
  const kept = x.data.filter((_, i) => place(i) >= start && place(i) < start + count);
  return array64(x.shape.with(axis, count), kept);
}

function append(to: Builder, given: Instruction): void {
  const { kind, first, second, axis, range, slope = 0.1, flags } = given;
  const x = to.pick(first);
  const { shape } = to.value(x);
  const [n, h, w, c] = shape as [number, number, number, number];
  switch (kind) {
    case 'conv': {
      appendConv(to, given);
      return;
    }
    case 'norm': {
      appendNorm(to, given);
      return;
    }
    case 'deform': {
      appendDeform(to, given);
      return;
    }
    case 'pool': {
      appendPool(to, given);
      return;
    }
    case 'add': {
      const other = to.pickLike(x, second);
      const plain = (a: Array64, b: Array64): Array64 => map(a, (v, i) => v + b.data[i]!);
      const signs = plain(to.value(x), to.value(other));
      const rectified = flags[0] && signsAreSafe(signs);
      const after = rectified ? rectifier(signs, slope) : (y: Array64) => y;
      to.op({
        name: 'add',
        inputs: [x, other],
        terms: 1,
        twin: (a, b) => after(plain(a, b)),
        op: (a, b) => (rectified ? add(a, b, { slope }) : add(a, b)),
      });
      return;
    }
    case 'multiply': {
      const other = flags[0] ? to.leaf('factor', shape, { viewable: true, shared: flags[1] }) : to.pickLike(x, second);
      to.op({
        name: 'multiply',
        inputs: [x, other],
        terms: 1,
        twin: (a, b) => map(a, (v, i) => v * b.data[i]!),
        op: (a, b) => multiply(a, b),
      });
      return;
    }
    case 'rectify': {
      const signs = to.value(x);
      if (!signsAreSafe(signs)) return;
      to.op({ name: 'leakyRelu', inputs: [x], terms: 1, twin: (a) => rectifier(signs, slope)(a), op: (a) => leakyRelu(a, slope) }); // prettier-ignore
      return;
    }
    case 'concat': {
      const rest = String(shape.toSpliced(axis, 1));
      const fitting = to.data.filter((index) => String(to.value(index).shape.toSpliced(axis, 1)) === rest);
      const others = Array.from({ length: given.parts }, (_, i) => fitting[(second + i) % fitting.length]!);
      const inputs = flags[0] ? [x, ...others] : [...others, x];
      to.op({ name: 'concat', inputs, terms: 0, twin: (...all) => concatTwin(all, axis), op: (...all) => concat(all, axis) }); // prettier-ignore
      return;
    }
    case 'slice': {
      const start = range[0] % shape[axis]!;
      const count = 1 + (range[1] % (shape[axis]! - start));
      to.op({
        name: 'slice',
        inputs: [x],
        terms: 0,
        twin: (a) => sliceTwin(a, axis, start, count),
        op: (a) => slice(a, { axis, start, count }),
      });
      return;
    }
    case 'reshape': {
      const shapes = [[n, w, h, c], [1, n * h, w, c], [n, 1, h, w * c], [h, n, c, w], [n, h * w, 1, c]]; // prettier-ignore
      const other = shapes[second % shapes.length]!;
      to.op({ name: 'reshape', inputs: [x], terms: 0, twin: (a) => array64(other, a.data), op: (a) => reshape(a, other) }); // prettier-ignore
      return;
    }
    case 'unpool': {
      const target = [Math.min(2 * h, h + range[0]), Math.min(2 * w, w + range[1])] as const;
      to.op({
        name: 'unpool',
        inputs: [x],
        terms: 4,
        twin: (a) => unpoolTwin(a, { size: target }),
        op: (a) => unpool(a, { size: target }),
      });
      return;
    }
    case 'softmax':
      to.op({ name: 'softmax', inputs: [x], terms: 16 + 4 * c, twin: (a) => softmaxTwin(a), op: (a) => softmax(a) });
  }
}

/** Everything that nothing reads, but for some that are dead, weighed and summed; answers which. */
function appendLoss(to: Builder, { dead, squared }: Drawn): readonly number[] {
  const read = new Set(to.nodes.flatMap(({ inputs }) => inputs));
  const ends = to.data.filter((index) => !read.has(index));
  const living = ends.filter((_, i) => !dead[i % dead.length]);
  const shown = living.length > 0 ? living : ends.slice(-1);
  const product = (a: Array64, b: Array64): Array64 => map(a, (v, i) => v * b.data[i]!);
  const times = (a: number, b: number): number =>
    to.last({ name: 'multiply', inputs: [a, b], terms: 1, twin: (x, y) => product(x, y), op: (x, y) => multiply(x, y) }); // prettier-ignore
  const scalars = shown.map((index, i) => {
    const { shape, data } = to.value(index);
    const terms = data.length;
    if (i % 3 === 2) return to.last({ name: 'mean', inputs: [index], terms, twin: (a) => meanTwin(a), op: (a) => mean(a) }); // prettier-ignore
    const weighed = times(index, to.leaf('share', shape, { scale: gain(4 * terms) }));
    return to.last({ name: 'sum', inputs: [weighed], terms, twin: (a) => sumTwin(a), op: (a) => sum(a) });
  });
  const loss = scalars.reduce((total, scalar) =>
    to.last({
      name: 'add',
      inputs: [total, scalar],
      terms: 1,
      twin: (a, b) => map(a, (v, k) => v + b.data[k]!),
      op: (a, b) => add(a, b),
    }),
  );
  if (squared) times(loss, loss);
  return shown;
}

function build(given: Drawn): Program {
  const to = new Builder(given);
  to.data.push(to.leaf('picture', given.input, { viewable: !given.halves }));
  if (given.halves) to.data.push(to.leaf('picture', given.input, { otherHalf: 0 }));
  for (const each of given.instructions) append(to, each);
  const shown = appendLoss(to, given);
  const { nodes } = to;
  const watched = new Set<number>();
  for (const [at, { op }] of nodes.entries()) {
    // Of results in between one in a few.
    if (given.watch[at % given.watch.length] && (op === undefined || at % 3 === 0) && at < nodes.length - 1)
      watched.add(at);
  }
  return { nodes, watched, shown, early: given.early, aliased: given.aliased };
}

/** Programs, each shown as its operations and the values that these read. */
export const programs: fc.Arbitrary<Program> = drawn.map((given) => {
  const program = build(given);
  const lines = program.nodes.map(
    ({ name, inputs, base, view }, at) =>
      `${at}: ${name}${inputs.length > 0 ? ` of ${inputs.join(', ')}` : ''} [${base.shape.join('×')}]` +
      `${view ? `, channels of a wider one (${view.join(', ')})` : ''}${program.watched.has(at) ? ', watched' : ''}`,
  );
  const told = { ...given, watch: undefined, views: undefined, dead: undefined };
  return { ...program, [fc.toStringMethod]: () => `\n${lines.join('\n')}\n${JSON.stringify(told)}` };
});
