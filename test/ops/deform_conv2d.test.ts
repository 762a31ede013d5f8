import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { test } from 'uvu';
import { Tape } from '../../src/autograd/tape.js';
import { ArgumentError, ShapeError } from '../../src/gpu/errors.js';
import { Gpu } from '../../src/gpu/gpu.js';
import { conv2d } from '../../src/ops/conv2d.js';
import { deformConv2d, deformConv2dIn, type DeformConv2dOptions } from '../../src/ops/deform_conv2d.js';
import { multiply } from '../../src/ops/multiply.js';
import { sum } from '../../src/ops/sum.js';
import { scope } from '../../src/tensor/scope.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { readSafetensors } from '../../src/weights/safetensors.js';
import { array64, dot, map, zeros, type Array64 } from '../reference/array64.js';
import { deformConv2d as twin } from '../reference/deform_conv2d.js';
import { directionalDerivative } from '../reference/gradient.js';
import { assertClose, checkOp, values } from '../helpers/check_op.js';
import { testDevice } from '../helpers/device.js';
import { readGolden } from '../helpers/golden.js';
import { noSharedData, sharedData } from '../helpers/shared_data.js';
import { testUnless } from '../helpers/unless.js';

const EPS32 = 2 ** -24;
const gpu = Gpu.of(testDevice);

type Window = Omit<DeformConv2dOptions, 'mask' | 'bias'>;
const NAMES = ['x', 'offset', 'weight', 'mask', 'bias'] as const;
type Name = (typeof NAMES)[number];
type Named<T> = Partial<Record<Name, T>>;

/** Output and gradients of Σ output·g, read back. */
async function outputAndGradients(
  inputs: Named<Array64>,
  g: Array64,
  window: Window,
  chunk?: number,
): Promise<{ readonly output: Float32Array; readonly gradients: Named<Float32Array> }> {
  const upload = ({ data, shape }: Array64) => Tensor.from(testDevice, Float32Array.from(data), shape);
  const named = NAMES.flatMap((name) => (inputs[name] ? [[name, upload(inputs[name])] as const] : []));
  const tensors = Object.fromEntries(named) as Named<Tensor>;
  using gradient = upload(g);
  using tape = new Tape(testDevice);
  for (const [, tensor] of named) tape.watch(tensor);
  const { x, offset, weight, ...rest } = tensors;
  const { y, loss } = tape.record(() =>
    scope(() => {
      const output = deformConv2dIn(chunk, x!, offset!, weight!, { ...window, ...rest });
      return { y: output, loss: sum(multiply(output, gradient)) };
    }),
  );
  tape.backward(loss);
  const gradients: Named<Float32Array> = {};
  for (const [name, tensor] of named) gradients[name] = (await tape.gradient(tensor)!.read()) as Float32Array;
  const output = await y.read();
  for (const tensor of [y, loss, ...named.map(([, each]) => each)]) tensor.dispose();
  return { output: output as Float32Array, gradients };
}

/** Fails unless every element is within 2e-5 of the largest of the expected ones. */
function assertGoldenClose(actual: ArrayLike<number>, expected: Array64, what: string): void {
  const largest = expected.data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  assert.ok(largest > 0, `${what} is not all zero`);
  assertClose(
    Float64Array.from(actual, (value) => value / largest),
    map(expected, (value) => value / largest),
    2e-5,
    what,
  );
}

for (const golden of readGolden('ops').cases('deform_conv2d')) {
  test(`${golden.name}: output and all gradients are torchvision's`, async () => {
    const inputs = Object.fromEntries(NAMES.map((name) => [name, golden.optional(name)])) as Named<Array64>;
    const before = gpu.memory().bytes;
    const { output, gradients } = await outputAndGradients(
      inputs,
      golden.array('grad_output'),
      golden.options as Window,
    );
    assertGoldenClose(output, golden.array('output'), 'output');
    for (const name of NAMES) {
      if (inputs[name]) assertGoldenClose(gradients[name]!, golden.array(`grad_${name}`), `gradient of ${name}`);
    }
    assert.equal(gpu.memory().bytes, before, 'all memory is given back');
  });
}

for (const version of ['v1', 'v2'] as const) {
  testUnless(noSharedData)(`the shared golden ${version} is torchvision's, output and gradients`, async () => {
    const file = new Uint8Array(readFileSync(sharedData('golden/deform_conv_small.safetensors')));
    const { tensors } = readSafetensors(file, 'golden');
    // N, C, H, W → N, H, W, C; O, I, H, W → H, W, I, O.
    const moved = (name: string, axes: readonly number[]): Array64 => {
      const { data, shape } = tensors.get(name)!;
      if (shape.length === 1) return array64(shape, Float32Array.from(data));
      const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, size) => product * size, 1));
      const to = axes.map((axis) => shape[axis]!);
      return map(array64(to, new Float64Array(data.length)), (_, at) => {
        let [rest, from] = [at, 0];
        for (let k = to.length - 1; k >= 0; k--) {
          from += (rest % to[k]!) * strides[axes[k]!]!;
          rest = Math.floor(rest / to[k]!);
        }
        return data[from]!;
      });
    };
    const load = (name: Name, prefix = '') => moved(prefix + name, name === 'weight' ? [2, 3, 1, 0] : [0, 2, 3, 1]);
    const names = NAMES.filter((name) => name !== 'mask' || version === 'v2');
    const inputs = Object.fromEntries(names.map((name) => [name, load(name)])) as Named<Array64>;
    const { output, gradients } = await outputAndGradients(inputs, moved('grad_out', [0, 2, 3, 1]), { padding: 1 });
    assertGoldenClose(output, moved(`${version}.out`, [0, 2, 3, 1]), 'output');
    for (const name of names) {
      assertGoldenClose(gradients[name]!, load(name, `${version}.grad_`), `gradient of ${name}`);
    }
  });
}

/** Offsets of `reach` pixels at most that stay an eighth away from whole positions, where the slope changes. */
const offsets = (name: string, shape: readonly number[], reach = 2) =>
  map(values(name, shape), (value) => (2 * Math.floor(value * reach * 4) + 1) / 8);

interface Case {
  readonly x: readonly [number, number, number, number];
  readonly weight: readonly [number, number, number, number];
  readonly groups?: number;
  readonly masked?: boolean;
  readonly window?: Window;
  readonly reach?: number;
}

function inputsOf(
  name: string,
  { x, weight, groups = 1, masked = false, window = {}, reach = 2 }: Case,
): Named<Array64> {
  const places = twinShape(x, weight, window);
  const taps = weight[0] * weight[1] * groups;
  return {
    x: values(`${name}/x`, x),
    offset: offsets(`${name}/offset`, [...places, 2 * taps], reach),
    weight: values(`${name}/taps`, weight),
    ...(masked && { mask: values(`${name}/mask`, [...places, taps]) }),
    bias: values(`${name}/bias`, [weight[3]]),
  };
}

/** [n, oh, ow] of a case. */
function twinShape(
  x: Case['x'],
  [kh, kw]: Case['weight'],
  { stride = 1, padding = 0, dilation = 1 }: Window,
): number[] {
  const both = (value: number | readonly number[]) => (typeof value === 'number' ? [value, value] : value);
  const [step, tap] = [both(stride), both(dilation)];
  const pads = typeof padding === 'number' ? Array<number>(4).fill(padding) : padding;
  const [top, left, bottom, right] = pads.length === 2 ? [...pads, ...pads] : pads;
  const size = (extent: number, around: number, kernel: number, axis: number) =>
    Math.floor((extent + around - tap[axis]! * (kernel - 1) - 1) / step[axis]!) + 1;
  return [x[0], size(x[1], top + bottom!, kh, 0), size(x[2], left + right!, kw, 1)];
}

const CASES: Readonly<Record<string, Case>> = {
  'version 1, 4 to 8 channels, uneven window': {
    x: [2, 5, 4, 4],
    weight: [3, 2, 4, 8],
    window: { stride: [2, 1], padding: [1, 0], dilation: [1, 2] },
  },
  'version 2, 3 to 5 channels, batch 3': {
    x: [3, 3, 4, 3],
    weight: [2, 3, 3, 5],
    masked: true,
    window: { padding: [0, 1, 1, 2] },
  },
  'version 2, two offset groups of 8 channels': {
    x: [1, 3, 5, 16],
    weight: [1, 2, 16, 4],
    groups: 2,
    masked: true,
  },
  'three weight groups across two offset groups': { x: [1, 3, 3, 12], weight: [2, 1, 4, 6], groups: 2, masked: true },
  'two weight groups inside one offset group, one channel each': { x: [1, 4, 3, 2], weight: [2, 2, 1, 2] },
  '1×1 of one channel': { x: [1, 3, 2, 1], weight: [1, 1, 1, 1], masked: true },
  'offsets beyond every edge': {
    x: [1, 3, 4, 4],
    weight: [2, 2, 4, 4],
    masked: true,
    reach: 7,
    window: { padding: 1 },
  },
};

for (const [name, chosen] of Object.entries(CASES)) {
  test(`${name}: the twin and its differences`, async () => {
    const inputs = inputsOf(name, chosen);
    const names = NAMES.filter((each) => inputs[each]);
    const list = names.map((each) => inputs[each]!);
    const named = <T>(tensors: readonly T[]) =>
      Object.fromEntries(names.map((each, i) => [each, tensors[i]!])) as Named<T>;
    const [kh, kw, , cout] = chosen.weight;
    // Products of numbers below 1: four corners of every tap and channel forward; as many terms again backward.
    const terms = 4 * kh * kw * chosen.x[3] * Math.max(cout, 4);
    await checkOp({
      op: (...tensors) => {
        const { x, offset, weight, ...rest } = named(tensors);
        return deformConv2d(x!, offset!, weight!, { ...chosen.window, ...rest });
      },
      twin: (...arrays) => {
        const { x, offset, weight, ...rest } = named(arrays);
        return twin(x!, offset!, weight!, { ...chosen.window, ...rest });
      },
      inputs: list,
      tolerance: 4 * EPS32 * Math.sqrt(terms),
      gradientTolerance: 16 * EPS32 * Math.sqrt(terms * 16) + 1e-7,
    });
  });
}

test('random shapes agree with the twin, in chunks of any size', async () => {
  const size = fc.integer({ min: 1, max: 5 });
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        x: fc.tuple(fc.integer({ min: 1, max: 3 }), size, size),
        kernel: fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 })),
        stride: fc.tuple(fc.integer({ min: 1, max: 2 }), fc.integer({ min: 1, max: 3 })),
        dilation: fc.tuple(fc.integer({ min: 1, max: 2 }), fc.integer({ min: 1, max: 2 })),
        extra: fc.tuple(fc.nat(2), fc.nat(2)),
        channels: fc.integer({ min: 1, max: 5 }),
        groups: fc.integer({ min: 1, max: 3 }),
        weightGroups: fc.integer({ min: 1, max: 2 }),
        cout: fc.integer({ min: 1, max: 5 }),
        masked: fc.boolean(),
        chunk: fc.integer({ min: 1, max: 40 }),
      }),
      async ({ x, kernel, stride, dilation, extra, channels, groups, weightGroups, cout, masked, chunk }) => {
        const padding = [0, 1].map((axis) => dilation[axis]! * (kernel[axis]! - 1) - 1 + extra[axis]!);
        const window: Window = { stride, dilation, padding: [Math.max(0, padding[0]!), Math.max(0, padding[1]!)] };
        const cin = channels * groups * weightGroups;
        const chosen: Case = {
          x: [...x, cin],
          weight: [...kernel, channels * groups, cout * weightGroups],
          groups,
          masked,
          window,
        };
        const fits = twinShape(chosen.x, chosen.weight, window).every((extent) => extent > 0);
        fc.pre(fits);
        const inputs = inputsOf('random', chosen);
        const before = gpu.memory().bytes;
        const names = NAMES.filter((name) => inputs[name]);
        const list = names.map((name) => inputs[name]!);
        const reference = (arrays: readonly Array64[]) => {
          const named = Object.fromEntries(names.map((name, i) => [name, arrays[i]!])) as Named<Array64>;
          const { x: image, offset, weight, ...rest } = named;
          return twin(image!, offset!, weight!, { ...window, ...rest });
        };
        const expected = reference(list);
        const g = values('random/g', expected.shape);
        const { output, gradients } = await outputAndGradients(inputs, g, window, chunk);
        const terms = 4 * kernel[0] * kernel[1] * cin;
        assertClose(output, expected, 4 * EPS32 * Math.sqrt(terms), 'output');
        for (const [index, name] of names.entries()) {
          const gradient = array64(list[index]!.shape, gradients[name]!);
          const directions = list.map(({ shape }, k) => (k === index ? values('direction', shape) : zeros(shape)));
          const slope = directionalDerivative((moved) => dot(reference(moved), g), list, directions);
          const bound = 16 * EPS32 * Math.sqrt(terms * 16 * gradient.data.length) + 1e-6;
          assertClose([dot(gradient, directions[index]!)], array64([1], [slope]), bound, `slope of ${name}`);
        }
        assert.equal(gpu.memory().bytes, before, 'all memory is given back');
      },
    ),
    { numRuns: 25, seed: 7 },
  );
});

test('without offsets it is a convolution', async () => {
  const [x, weight] = [values('plain/x', [2, 6, 5, 8]), values('plain/taps', [3, 3, 8, 12])];
  const window = { stride: [1, 2], padding: [1, 2], dilation: [2, 1] } as const;
  const [image, taps] = [x, weight].map(({ data, shape }) =>
    Tensor.from(testDevice, Float32Array.from(data), shape),
  ) as [Tensor, Tensor];
  using expected = conv2d(image, taps, window);
  using offset = Tensor.zeros(testDevice, [...expected.shape.slice(0, 3), 18]);
  using y = deformConv2d(image, offset, taps, window);
  assertClose(await y.read(), array64(expected.shape, await expected.read()), 72 * EPS32, 'output');
  for (const tensor of [image, taps]) tensor.dispose();
});

test('at whole positions the slope is the one to the right and below, also at the edges of the image', async () => {
  // One tap over a 2 × 2 image whose samples fall on whole positions from beyond one edge to beyond the other.
  const rows = [-2, -1, 0, 1, 2];
  const x = array64([1, 2, 2, 1], [1, 10, 100, 1000]);
  const places = rows.flatMap((row) => rows.map((column) => [row, column]));
  const offset = array64(
    [1, 2, 2, 2 * places.length],
    [0, 1].flatMap((oy) => [0, 1].flatMap((ox) => places.flatMap(([row, column]) => [row! - oy, column! - ox]))),
  );
  // Each place is an offset group of its own, for a copy of the one channel.
  const groups = places.length;
  const wide = array64(
    [1, 2, 2, groups],
    Float64Array.from({ length: 4 * groups }, (_, i) => x.data[Math.floor(i / groups)]!),
  );
  const weight = array64([1, 1, groups, 1], new Float64Array(groups).fill(1));
  const g = array64([1, 2, 2, 1], [1, 0, 0, 0]);
  const { gradients } = await outputAndGradients({ x: wide, offset, weight }, g, {});
  // Along one axis a sample is linear up to the next whole position: a step of 1/4 gives the slope exactly.
  const sample = (row: number, column: number) => {
    const one = array64([1, 1, 1, 2], [row, column]);
    const window = { padding: [0, 0, -1, -1] as const };
    return twin(x, one, array64([1, 1, 1, 1], [1]), window).data[0]!;
  };
  places.forEach(([row, column], i) => {
    const here = sample(row!, column!);
    assert.equal(gradients.offset![2 * i], (sample(row! + 0.25, column!) - here) * 4, `y slope at ${row}, ${column}`);
    assert.equal(
      gradients.offset![2 * i + 1],
      (sample(row!, column! + 0.25) - here) * 4,
      `x slope at ${row}, ${column}`,
    );
  });
});

test('samples that all fall between the same four pixels add up', async () => {
  const shape = [1, 9, 8, 4] as const;
  const weight = values('heap/taps', [3, 3, 4, 4]);
  // Row 4 1/4, column 3 3/4, from wherever the tap is.
  const offset = array64(
    [1, 9, 8, 18],
    Float64Array.from({ length: 9 * 8 * 18 }, (_, i) => {
      const [pixel, tap] = [Math.floor(i / 18), Math.floor((i % 18) / 2)];
      return i % 2 === 0
        ? 4.25 - (Math.floor(pixel / 8) + Math.floor(tap / 3) - 1)
        : 3.75 - ((pixel % 8) + (tap % 3) - 1);
    }),
  );
  const x = values('heap/x', shape);
  const g = values('heap/g', [1, 9, 8, 4]);
  const { gradients } = await outputAndGradients({ x, offset, weight }, g, { padding: 1 });
  const corners = [
    [4, 3, 0.75 * 0.25],
    [4, 4, 0.75 * 0.75],
    [5, 3, 0.25 * 0.25],
    [5, 4, 0.25 * 0.75],
  ] as const;
  const expected = new Float64Array(x.data.length);
  for (let c = 0; c < 4; c++) {
    let total = 0;
    for (let p = 0; p < 72; p++)
      for (let tap = 0; tap < 9; tap++)
        for (let o = 0; o < 4; o++) total += g.data[p * 4 + o]! * weight.data[(tap * 4 + c) * 4 + o]!;
    for (const [row, column, share] of corners) expected[(row * 8 + column) * 4 + c] = share * total;
  }
  // 648 samples, each a sum of four products.
  assertClose(gradients.x!, array64(shape, expected), 4 * EPS32 * 648, 'gradient of x');
});

test('the samples of every cell are sorted, whatever their order was', async () => {
  const lengths = [0, 1, 2, 9, 0, 64, 1000];
  const list: number[] = [];
  const starts = lengths.map((length) => {
    const start = list.length;
    // 389 has no factor in common with any of the lengths.
    for (let i = 0; i < length; i++) list.push(((i * 389 + 5) % length) + start);
    return start;
  });
  const upload = (data: readonly number[]) => Tensor.from(testDevice, Uint32Array.from(data), [data.length]);
  using first = upload(starts);
  using last = upload(starts.map((start, i) => start + lengths[i]!));
  using samples = upload(list);
  gpu.run('deform_conv2d_bin_sort', {
    params: { cells: lengths.length },
    buffers: { starts: first.buffer, ends: last.buffer, list: samples.buffer },
    grid: [1, 1, 1],
  });
  assert.deepEqual([...(await samples.read())], [...list.keys()]);
});

test('a second run gives the same bits', async () => {
  const chosen: Case = { x: [2, 7, 6, 8], weight: [3, 3, 8, 8], masked: true, window: { padding: 1 }, reach: 3 };
  const inputs = inputsOf('twice', chosen);
  const g = values('twice/g', [2, 7, 6, 8]);
  const runs = [
    await outputAndGradients(inputs, g, { padding: 1 }),
    await outputAndGradients(inputs, g, { padding: 1 }),
  ];
  assert.deepEqual(runs[0], runs[1]);
});

test('an infinite offset samples outside', async () => {
  using x = Tensor.from(testDevice, [1, 2, 3, 4], [1, 2, 2, 1]);
  using offset = Tensor.from(testDevice, [Infinity, 0, 0, -Infinity, 1e30, 0, 0, 0], [1, 2, 2, 2]);
  using weight = Tensor.from(testDevice, [1], [1, 1, 1, 1]);
  using y = deformConv2d(x, offset, weight);
  assert.deepEqual([...(await y.read())], [0, 0, 0, 4]);
});

test('an empty batch has empty gradients, and zeros for its weights', async () => {
  const empty = (shape: readonly number[]) => array64(shape, []);
  const inputs = {
    x: empty([0, 3, 3, 4]),
    offset: empty([0, 3, 3, 2]),
    weight: values('empty/taps', [1, 1, 4, 2]),
    bias: values('empty/bias', [2]),
  };
  const { output, gradients } = await outputAndGradients(inputs, empty([0, 3, 3, 2]), {});
  assert.equal(output.length, 0);
  assert.deepEqual([...gradients.weight!, ...gradients.bias!], Array<number>(10).fill(0));
});

test('only what is asked for gets a gradient', () => {
  const { x, offset, weight } = inputsOf('frozen', { x: [1, 3, 3, 4], weight: [1, 1, 4, 4] });
  const [image, places, taps] = [x!, offset!, weight!].map(({ data, shape }) =>
    Tensor.from(testDevice, Float32Array.from(data), shape),
  ) as [Tensor, Tensor, Tensor];
  const dispatches = (watched: Tensor) => {
    using tape = new Tape(testDevice);
    tape.watch(watched);
    using loss = tape.record(() => scope(() => sum(deformConv2d(image, places, taps))));
    const before = gpu.counters().dispatches;
    tape.backward(loss);
    return gpu.counters().dispatches - before;
  };
  // The loss's own gradient; then columns and their product, or the product with flipped weights and the offsets' kernel.
  assert.ok(dispatches(taps) <= 4, 'weight alone');
  assert.equal(dispatches(places), 4, 'offset alone');
  assert.equal(dispatches(image), 8, 'input alone');
  for (const tensor of [image, places, taps]) tensor.dispose();
});

test('shapes that do not fit and options out of range are refused, with what was expected', () => {
  using x = Tensor.zeros(testDevice, [1, 4, 4, 6]);
  using weight = Tensor.zeros(testDevice, [3, 3, 6, 2]);
  using offset = Tensor.zeros(testDevice, [1, 2, 2, 18]);
  const none = (...shape: number[]) => Tensor.zeros(testDevice, shape);
  const before = gpu.memory().bytes;
  scope(() => {
    assert.throws(() => deformConv2d(x, none(1, 2, 2, 17), weight), ShapeError);
    assert.throws(() => deformConv2d(x, none(1, 2, 2, 0), weight), ShapeError);
    assert.throws(() => deformConv2d(x, none(1, 2, 2, 72), weight), ShapeError, 'four offset groups of six channels');
    assert.throws(() => deformConv2d(x, none(1, 4, 4, 18), weight), ShapeError);
    assert.throws(() => deformConv2d(x, offset, none(3, 3, 4, 2)), ShapeError);
    assert.throws(() => deformConv2d(x, offset, weight, { mask: none(1, 2, 2, 18) }), ShapeError);
    assert.throws(() => deformConv2d(x, offset, weight, { bias: none(3) }), ShapeError);
    assert.throws(() => deformConv2d(x, offset, weight, { stride: 0 }), ArgumentError);
    assert.throws(() => deformConv2d(x, offset, none(3, 3, 6, 4).channels(0, 2)), ArgumentError);
  });
  assert.equal(gpu.memory().bytes, before);
});

test.run();
