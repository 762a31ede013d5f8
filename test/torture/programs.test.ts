// Random programs on the tape against a twin in float64: what they compute, and the gradients of whatever is watched, inputs
// and results in between, read once or often, views or tensors of their own; fast-check shrinks what fails.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'uvu';
import { Tape } from '../../src/autograd/tape.js';
import { TapeError } from '../../src/gpu/errors.js';
import { Gpu } from '../../src/gpu/gpu.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { testDevice as device } from '../helpers/device.js';
import { array64, type Array64, map, zeros } from '../reference/array64.js';
import { concat as concatTwin } from '../reference/concat.js';
import { STEP } from '../reference/gradient.js';
import { figures, randomOfCase, seed, times } from './harness.js';
import { type Node, type Program, programs } from './programs.js';

const EPS32 = 2 ** -24;
const gpu = Gpu.of(device);

/** Draws of the errors of rounding, from which follows by how much a right result may be off. */
const DRAWS = 4;

/**
 * A result may be off by so many times what its twin is where every operand and result is off by what rounding may have done to
 * it. Few
 * draws tell that size only roughly: of Student's distribution with 4 degrees, one value in 770 lies beyond 8, and the draws
 * are themselves larger than errors of rounding, which add up as a root.
 */
const FACTOR = 8;

interface Change {
  /** Added to the value of one node. */
  readonly nudge?: { readonly at: number; readonly by: Array64 };
  /** Which draw of rounding errors is in all operands and results; none: float64's own. */
  readonly draw?: number;
}

/** All values of a program. */
function evaluate({ nodes }: Program, { nudge, draw }: Change = {}): Array64[] {
  const results: Array64[] = [];
  for (const [at, node] of nodes.entries()) {
    let value = node.base;
    if (node.op) {
      const operands = node.inputs.map((index) => results[index]!);
      const random = draw === undefined ? undefined : randomOfCase(`rounding ${draw}`, at);
      // An operand that is off by k ulps in an element is as bad as a sum of k products that is rounded after each; a result that
      // is, as a gradient that comes so: what cancels in exact numbers, as under a batch norm, does not then.
      const off = (x: Array64): Array64 =>
        random ? map(x, (v) => v * (1 + EPS32 * (node.terms + 4) * random.between(-1, 1))) : x;
      value = off(node.twin(...operands.map(off)));
    }
    results.push(nudge?.at === at ? map(value, (v, i) => v + nudge.by.data[i]!) : value);
  }
  return results;
}

/** How the loss changes where one value moves along a direction; differences of two steps, of which the errors cancel. */
function slopeOf(program: Program, at: number, direction: Array64, draw?: number): { slope: number; error: number } {
  const loss = (step: number): number => {
    const nudge = { at, by: map(direction, (v) => step * v) };
    return evaluate(program, { nudge, ...(draw === undefined ? {} : { draw }) }).at(-1)!.data[0]!;
  };
  const central = (h: number): number => (loss(h) - loss(-h)) / (2 * h);
  const [coarse, fine] = [central(2 * STEP), central(STEP)];
  return { slope: (4 * fine - coarse) / 3, error: Math.abs(fine - coarse) / 3 };
}

/** For each node whether the loss depends on it. */
function matter({ nodes }: Program): boolean[] {
  const result = nodes.map((_, i) => i === nodes.length - 1);
  for (let i = nodes.length - 1; i >= 0; i--) if (result[i]) for (const input of nodes[i]!.inputs) result[input] = true;
  return result;
}

/** What a program left on the device after one recording. */
interface Recorded {
  readonly loss: number;
  readonly shown: ReadonlyMap<number, Float32Array>;
  readonly gradients: ReadonlyMap<number, Float32Array>;
  /** Why there are no gradients. */
  readonly refused: unknown;
}

/** Computes a program on the device, by the tape, and gives back all that it took but the leaves. */
async function record(program: Program, leaves: ReadonlyMap<number, Tensor>, tape: Tape): Promise<Recorded> {
  const { nodes, watched, shown, early, aliased } = program;
  const lastUse = nodes.map((_, i) => nodes.findLastIndex(({ inputs }) => inputs.includes(i)));
  const tensors: Tensor[] = [];
  const kept = new Set([nodes.length - 1, ...shown, ...watched]);
  for (const at of watched) if (leaves.has(at)) tape.watch(leaves.get(at)!);
  tape.record(() => {
    for (const [at, node] of nodes.entries()) {
      let tensor = leaves.get(at);
      if (!tensor) {
        const handles = node.inputs.map((index) => (aliased ? tensors[index]!.alias() : tensors[index]!));
        tensor = node.op!(...handles);
        if (aliased) for (const handle of handles) handle.dispose();
        if (watched.has(at)) tape.watch(tensor);
      }
      tensors.push(tensor);
      if (!early) continue;
      // What is not looked at any more is freed at once: the tape alone holds what it needs.
      for (const [index, last] of lastUse.entries()) {
        if (last === at && !leaves.has(index) && !kept.has(index)) tensors[index]!.dispose();
      }
    }
  });
  const loss = tensors.at(-1)!;
  let refused: unknown;
  try {
    tape.backward(loss);
  } catch (error) {
    refused = error;
  }
  const read = async (indices: Iterable<number>, of: (at: number) => Tensor | undefined) => {
    const entries = await Promise.all(
      [...indices].map(async (at) => [at, await (of(at) as Tensor<'f32'> | undefined)?.read()] as const),
    );
    return new Map(entries.flatMap(([at, data]) => (data ? [[at, data] as const] : [])));
  };
  const result = {
    loss: (await loss.read())[0]!,
    // Leaves are what was uploaded.
    shown: await read(shown.filter((at) => !leaves.has(at)), (at) => tensors[at]), // prettier-ignore
    gradients: await read(refused === undefined ? watched : [], (at) => tape.gradient(tensors[at]!)),
    refused,
  };
  for (const [at, tensor] of tensors.entries()) if (!leaves.has(at)) tensor.dispose();
  return result;
}

/** Leaves on the device: tensors of their own, some channels of wider ones, or the halves of one. */
function upload({ nodes }: Program): { readonly leaves: Map<number, Tensor>; readonly owners: readonly Tensor[] } {
  const leaves = new Map<number, Tensor>();
  const owners: Tensor[] = [];
  const own = <T extends Tensor>(tensor: T): T => {
    owners.push(tensor);
    return tensor;
  };
  const onDevice = ({ shape, data }: Array64): Tensor => own(Tensor.from(device, Float32Array.from(data), shape));
  for (const [at, { op, base, view, otherHalf }] of nodes.entries()) {
    if (op) continue;
    const width = base.shape.at(-1) ?? 1;
    if (otherHalf !== undefined) {
      const whole = onDevice(concatTwin([nodes[otherHalf]!.base, base], -1));
      leaves.set(otherHalf, own(whole.channels(0, width)));
      leaves.set(at, own(whole.channels(width, width)));
    } else if (view) {
      const [before, behind] = view;
      const filled = (channels: number): Array64 => map(zeros([...base.shape.slice(0, -1), channels]), () => 1e30);
      const whole = onDevice(concatTwin([filled(before), base, filled(behind)], -1));
      leaves.set(at, own(whole.channels(before, width)));
    } else leaves.set(at, onDevice(base));
  }
  return { leaves, owners };
}

const greatest = (x: ArrayLike<number>): number => Array.from(x).reduce((most, v) => Math.max(most, Math.abs(v)), 0);

function assertValue(name: string, actual: ArrayLike<number>, expected: Array64, noisy: readonly Array64[]): void {
  const off = (of: ArrayLike<number>): number => greatest(expected.data.map((v, i) => of[i]! - v));
  const bound = FACTOR * Math.max(...noisy.map(({ data }) => off(data))) + 16 * EPS32 * greatest(expected.data);
  const error = off(actual);
  assert.ok(error <= bound, `${name} is off by ${error}, more than ${bound}`);
}

/** The greatest element of the gradients of all values. */
async function greatestGradient(program: Program, leaves: ReadonlyMap<number, Tensor>): Promise<number> {
  using tape = new Tape(device);
  const all = { ...program, watched: new Set(program.nodes.keys()) };
  const { gradients } = await record(all, leaves, tape);
  return Math.max(...[...gradients.values()].map(greatest));
}

let gradientsSeen = 0;
let operations = 0;

async function check(program: Program): Promise<void> {
  const before = gpu.memory().buffers;
  const { nodes, watched } = program;
  const { leaves, owners } = upload(program);
  const expected = evaluate(program);
  const noisy = Array.from({ length: DRAWS }, (_, draw) => evaluate(program, { draw }));
  const nameOf = (at: number): string => `value ${at}, ${nodes[at]!.name}`;
  const matters = matter(program);
  {
    using tape = new Tape(device);
    const first = await record(program, leaves, tape);
    let incoming: number | undefined;
    for (const at of first.shown.keys()) {
      assertValue(nameOf(at), first.shown.get(at)!, expected[at]!, noisy.map((values) => values[at]!)); // prettier-ignore
    }
    assertValue('the loss', [first.loss], expected.at(-1)!, noisy.map((values) => values.at(-1)!)); // prettier-ignore
    if (![...watched].some((at) => matters[at])) assert.ok(first.refused instanceof TapeError, 'nothing to learn');
    else if (first.refused !== undefined) throw first.refused as Error;
    for (const at of watched) {
      const gradient = first.gradients.get(at);
      if (!matters[at] || first.refused !== undefined) {
        assert.equal(gradient, undefined, `no gradient of ${nameOf(at)}, which the loss does not depend on`);
        continue;
      }
      assert.ok(gradient, `a gradient of ${nameOf(at)}`);
      gradientsSeen++;
      const random = randomOfCase('direction', at);
      const direction = map(nodes[at]!.base, () => random.between(-1, 1));
      const { slope, error } = slopeOf(program, at, direction);
      const draws = Array.from({ length: DRAWS }, (_, draw) => slopeOf(program, at, direction, draw).slope - slope);
      const deviation = Math.sqrt(draws.reduce((sum, d) => sum + d * d, 0) / DRAWS);
      const products = direction.data.map((d, i) => d * gradient[i]!);
      const got = products.reduce((sum, product) => sum + product, 0);
      const length = products.reduce((sum, product) => sum + Math.abs(product), 0);
      let bound = FACTOR * deviation + 16 * EPS32 * length + error + 1e-9 * Math.max(1, Math.abs(slope));
      if (!(Math.abs(got - slope) <= bound)) {
        // What comes to an operation may cancel in it, as under a norm of few values: rounding is then that of what came.
        incoming ??= await greatestGradient(program, leaves);
        bound += 64 * EPS32 * incoming * direction.data.reduce((sum, d) => sum + Math.abs(d), 0);
      }
      assert.ok(Math.abs(got - slope) <= bound, `slope of ${nameOf(at)}: ${got} instead of ${slope}, off by more than ${bound}`); // prettier-ignore
    }
    // The same tape once more: whatever is left of the first recording must not be in the second.
    const second = await record(program, leaves, tape);
    assert.equal(second.loss, first.loss, 'the same loss');
    for (const [at, gradient] of first.gradients) {
      // A result in between is another tensor now.
      assert.deepEqual(second.gradients.get(at), gradient, `the same gradient of ${nameOf(at)}`);
    }
  }
  for (const owner of owners) owner.dispose();
  assert.equal(gpu.memory().buffers, before, 'all memory is given back');
  operations += nodes.filter(({ op }: Node) => op).length;
}

test('the twin of a program is the program: a product of itself has twice the slope', () => {
  // By hand, so that the differences of the twin are not their own witness.
  const leaf = { name: 'x', inputs: [], terms: 0, twin: () => array64([], [3]), base: array64([], [3]) };
  const square = (x: Array64): Array64 => map(x, (v) => v * v);
  const node = { name: 'square', inputs: [0], terms: 1, twin: square, op: (x: Tensor) => x, base: array64([], [9]) };
  const program = { nodes: [leaf, node], watched: new Set([0]), shown: [], early: false, aliased: false };
  assert.ok(Math.abs(slopeOf(program, 0, array64([], [1])).slope - 6) < 1e-9);
});

const PROGRAMS = times(70, 2000);

test('random programs agree with the twin, values and gradients, and leave nothing behind', async () => {
  const began = performance.now();
  let done = 0;
  await fc.assert(
    fc.asyncProperty(programs, async (program) => {
      await check(program);
      done++;
    }),
    { numRuns: PROGRAMS, seed, includeErrorInReport: true },
  );
  figures('random programs', {
    programs: done,
    operations,
    'gradients compared': gradientsSeen,
    'milliseconds each': (performance.now() - began) / done,
  });
  assert.ok(operations > 3 * done && gradientsSeen > done, 'programs are no more than a call');
});

test.run();
