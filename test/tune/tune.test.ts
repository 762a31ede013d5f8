// That measuring picks what is faster, never what is wrong, and that what it picked is what runs.
import assert from 'node:assert/strict';
import { test } from 'uvu';
import { Gpu } from '../../src/gpu/gpu.js';
import { weightGradient } from '../../src/ops/conv/backward.js';
import { convGeometry } from '../../src/ops/conv/geometry.js';
import { conv2d } from '../../src/ops/conv2d.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { decodeChoices, encodeChoices } from '../../src/tune/kept.js';
import { tune } from '../../src/tune/tune.js';
import { testDevice as device } from '../helpers/device.js';

const gpu = Gpu.of(device);
test.after.each(() => {
  gpu.choices = new Map();
});

const tensor = (shape: readonly number[]): Tensor => {
  const count = shape.reduce((product, side) => product * side, 1);
  return Tensor.from(
    device,
    Array.from({ length: count }, (_, i) => Math.sin(i)),
    shape,
  );
};
const x = tensor([1, 12, 12, 32]);
const weight = tensor([3, 3, 32, 32]);
const convolve = (): Tensor => conv2d(x, weight, { padding: 1 });
const pass = (): void => {
  convolve().dispose();
};

/** The kernels that a convolution runs. */
const kernels = (): readonly string[] => gpu.rehearse(pass).variants.map(({ name }) => name);
const [key = ''] = gpu.rehearse(pass).choices.keys();

/** Tunes by a clock that goes by the kernels that were run: so many milliseconds each. */
async function tuned(cost: (kernel: string) => number, compute = pass) {
  let clock = 0;
  const run = gpu.run.bind(gpu);
  gpu.run = (name, dispatch) => {
    clock += cost(name);
    run(name, dispatch);
  };
  try {
    return await tune(device, compute, { now: () => clock });
  } finally {
    gpu.run = run;
  }
}

const usual = kernels();
const other = usual.includes('conv2d_forward_plain') ? 'conv2d_forward_tiled' : 'conv2d_forward_plain';

test('a way that is chosen is the one that is taken, with the same numbers but for rounding', async () => {
  const expected = await convolve().read();
  for (const [way, kernel] of [
    ['plain', 'conv2d_forward_plain'],
    ['tiled 64×64', 'conv2d_forward_tiled'],
    ['winograd-tiled 32×32', 'conv2d_winograd_input'],
  ] as const) {
    gpu.choices = new Map([[key, way]]);
    assert.ok(kernels().includes(kernel), way);
    const found = await convolve().read();
    // 288 terms of at most 1: by Winograd's transforms some 10⁻⁵ of their sum.
    for (const [i, value] of expected.entries()) assert.ok(Math.abs(found[i]! - value) < 288e-5, way);
  }
});

test('a way that this library does not have is not taken', () => {
  for (const way of ['nonsense', 'tiled 7×7', '']) {
    gpu.choices = new Map([[key, way]]);
    assert.deepEqual(kernels(), usual);
  }
});

test('the fastest way is chosen, and measuring puts nothing in force', async () => {
  const { choices, computations } = await tuned((kernel) => (kernel === other ? 1 : 10));
  assert.equal(choices.size, 1);
  assert.match(choices.get(key)!, other.endsWith('plain') ? /^plain$/ : /^tiled /);
  assert.deepEqual([computations.length, computations[0]!.rule > computations[0]!.best], [1, true]);
  assert.deepEqual(kernels(), usual);
  gpu.choices = choices;
  assert.ok(kernels().includes(other));
});

test('a way that is faster by no more than noise is not chosen', async () => {
  // A 1×1 one, each of whose ways is one kernel.
  const small = tensor([1, 1, 32, 32]);
  const product = (): void => {
    conv2d(x, small).dispose();
  };
  const [rule] = gpu.rehearse(product).variants.map(({ name }) => name);
  const { choices, computations } = await tuned((kernel) => (kernel === rule ? 10 : 9.8), product);
  assert.deepEqual([choices.size, computations[0]!.way], [0, undefined]);
});

test('a way that computes wrongly is named and never chosen, however fast', async () => {
  const run = gpu.run.bind(gpu);
  gpu.run = (name, dispatch) => {
    if (name !== 'conv2d_forward_tiled') {
      run(name, dispatch);
      return;
    }
    // One channel too few for every sum.
    const { cin4 } = dispatch.params as { cin4: number };
    run(name, { ...dispatch, params: { ...dispatch.params, cin4: cin4 - 1 } });
  };
  try {
    const { choices, computations } = await tuned((kernel) => (kernel === 'conv2d_forward_tiled' ? 0.1 : 10));
    assert.ok(computations[0]!.wrong.includes('tiled 64×64'), computations[0]!.wrong.join());
    assert.ok(!(choices.get(key) ?? '').startsWith('tiled'));
  } finally {
    gpu.run = run;
  }
});

test('the gradient of weights has ways of its own', async () => {
  const geometry = convGeometry('conv2d', x.shape, weight.shape, { padding: 1 });
  const gradient = tensor(geometry.shape);
  const compute = () => weightGradient(undefined, geometry, x, gradient);
  const rehearsed = gpu.rehearse(() => {
    compute().dispose();
  });
  const named = [...rehearsed.choices.keys()];
  assert.deepEqual([named.length, named[0] === key], [1, false]);
  const expected = await compute().read();
  for (const way of ['plain', 'tiled 64×64', 'tiled 128×128', 'winograd-tiled 64×64']) {
    gpu.choices = new Map([[named[0]!, way]]);
    const found = await compute().read();
    // 144 terms of at most 1, each rounded.
    for (const [i, value] of expected.entries()) assert.ok(Math.abs(found[i]! - value) < 144 * 144 * 2 ** -23, way);
  }
});

test('choices hold for the adapter, driver and kernels that they were measured on', () => {
  const choices = new Map([[key, 'plain']]);
  const text = encodeChoices(gpu, choices);
  assert.deepEqual(decodeChoices(gpu, text), choices);
  const changed = (change: object): string => JSON.stringify({ ...(JSON.parse(text) as object), ...change });
  assert.match(decodeChoices(gpu, changed({ adapter: 'another' })) as string, /measured on another/);
  assert.match(decodeChoices(gpu, changed({ kernels: '0' })) as string, /other kernels/);
  for (const damaged of ['', '{', 'null', '[]', changed({ choices: { [key]: 1 } }), changed({ format: 2 })]) {
    assert.equal(decodeChoices(gpu, damaged), 'damaged', damaged);
  }
});

test('what is measured can be stopped', async () => {
  await assert.rejects(tune(device, pass, { signal: AbortSignal.abort(new Error('enough')) }), /enough/);
});

test.run();
