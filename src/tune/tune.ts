import { checkAtOnce, checkOptions } from '../gpu/arguments.js';
import type { Choices } from '../gpu/choices.js';
import { ArgumentError, LimitError } from '../gpu/errors.js';
import { Gpu } from '../gpu/gpu.js';
import type { ConvComputation, Way } from '../ops/conv/choice.js';
import { type ConvTrial, convTrial, waysOf, wordsOfConv } from '../ops/conv/ways.js';
import { CounterRandom } from '../tensor/random.js';
import type { Tensor } from '../tensor/tensor.js';

/** How `tune` measures. */
export interface TuneOptions {
  /** Hears of each computation when it was measured. */
  readonly onMeasured?: (computation: TunedComputation, done: number, total: number) => void;
  /** Ends the measuring: `tune` rejects with its reason. */
  readonly signal?: AbortSignal;
  /** Milliseconds; of the system by default. */
  readonly now?: () => number;
}

/** What was found out of one computation. */
export interface TunedComputation {
  /** Its name among choices. */
  readonly key: string;
  /** Operation, kernel, channels, size of the output. */
  readonly name: string;
  /** The way that is fastest, or undefined where none is faster than the rule's beyond noise. */
  readonly way: string | undefined;
  /** Milliseconds, medians of the same rounds: by the rule, and by that way. */
  readonly rule: number;
  readonly best: number;
  /** Ways that gave other numbers than the plain kernel, which were left out; none, unless a driver computes wrongly. */
  readonly wrong: readonly string[];
}

/** What `tune` answers. */
export interface Tuning {
  /** To be put in force with `gpu.choices = …`, and kept with `keepTuning`. */
  readonly choices: Choices;
  readonly computations: readonly TunedComputation[];
}

/** Each way is measured so often, in turns; odd. */
const ROUNDS = 5;
/** A measurement repeats a computation until it takes about so many milliseconds, to be long beside the waiting for it. */
const SPAN = 12;
const MOST_REPEATS = 200;
/** A way that takes so many times as long as the rule's at its first try is measured no further. */
const HOPELESS = 2;
/** A way must be faster than the rule's by this, and in all rounds but one: less is noise. */
const GAIN = 0.95;
/**
 * Ways round sums in different orders. The greatest difference from the plain kernel, relative to the greatest number of the
 * result, that rounding explains: sums of n terms differ by some √n·2⁻²⁴, n up to 10⁶; Winograd's F(4×4) by 10⁻⁵.
 */
const TOLERANCE = 1e-4;
/** The same of results in f16, which may be rounded the other way: by 2⁻¹⁰ of a number. */
const TOLERANCE_F16 = 2 ** -10 + TOLERANCE;

/**
 * Measures every way of each computation that `compute` encodes, at its sizes and on this device, against the one that the
 * library takes by rule. A way counts where it gives the plain kernel's numbers and is faster beyond noise; bits change only
 * where choices are put in force. `compute` is rehearsed, not run: an inference, a training step.
 * @throws LimitError where `compute` does not fit the device; ArgumentError inside a plan; DeviceLostError.
 */
export async function tune(device: GPUDevice | Gpu, compute: () => void, options: TuneOptions = {}): Promise<Tuning> {
  const gpu = Gpu.of(device);
  checkOptions('tune', { compute }, { compute: 'function!' });
  checkOptions('tune', options, { onMeasured: 'function', signal: 'object', now: 'function' });
  const { onMeasured, signal, now = () => performance.now() } = options;
  if (gpu.busy) {
    throw new ArgumentError({
      operation: 'tune',
      expected: 'a device that is not recording a plan',
      got: 'a call inside of one',
      remedy: 'Call it outside.',
    });
  }
  const asked: () => unknown = compute;
  const rehearsed = gpu.rehearse(() => {
    checkAtOnce('tune', asked());
  });
  const named = [...rehearsed.choices.values()];
  const choices = new Map<string, string>();
  const computations: TunedComputation[] = [];
  const before = gpu.choices;
  try {
    // The rule itself is what they are measured against.
    gpu.choices = new Map();
    for (const { key, computation } of named) {
      signal?.throwIfAborted();
      const tuned = { key, ...(await measure(gpu, computation as ConvComputation, now)) };
      computations.push(tuned);
      if (tuned.way !== undefined) choices.set(key, tuned.way);
      onMeasured?.(tuned, computations.length, named.length);
    }
  } finally {
    gpu.choices = before;
  }
  return { choices, computations };
}

async function measure(
  gpu: Gpu,
  computation: ConvComputation,
  now: () => number,
): Promise<Omit<TunedComputation, 'key'>> {
  const random = new CounterRandom([1]);
  using trial = convTrial(gpu, computation, () => 2 * random.next() - 1);
  const wrong: string[] = [];
  const expected = await numbers(trial, 'plain');
  const time = async (way: Way | undefined, repeats: number): Promise<number> => {
    await gpu.finish();
    const began = now();
    for (let i = 0; i < repeats; i++) trial.encode(way).dispose();
    await gpu.finish();
    return (now() - began) / repeats;
  };
  // Compiled first, then timed.
  await time(undefined, 1);
  const first = await time(undefined, 1);
  const candidates: Way[] = [];
  for (const way of waysOf(gpu, computation)) {
    const found = await numbers(trial, way);
    if (!found) continue;
    if (!same(found, expected!, computation.half ? TOLERANCE_F16 : TOLERANCE)) wrong.push(way);
    else if ((await time(way, 1)) < HOPELESS * first) candidates.push(way);
  }
  const repeats = Math.min(MOST_REPEATS, Math.max(1, Math.round(SPAN / Math.max(1e-3, first))));
  const rounds = new Map<Way | undefined, number[]>([undefined, ...candidates].map((way) => [way, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [way, times] of rounds) times.push(await time(way, repeats));
  }
  const rule = rounds.get(undefined)!;
  let [way, best]: [string | undefined, number] = [undefined, median(rule)];
  for (const candidate of candidates) {
    const times = rounds.get(candidate)!;
    const faster = times.filter((each, round) => each < rule[round]!).length;
    const middle = median(times);
    if (faster < ROUNDS - 1 || middle > GAIN * median(rule) || middle >= best) continue;
    [way, best] = [candidate, middle];
  }
  return { name: wordsOfConv(computation), way, rule: median(rule), best, wrong };
}

/** The result by a way, or undefined where it takes more than the device has. */
async function numbers(trial: ConvTrial, way: Way): Promise<Float32Array | undefined> {
  let result: Tensor;
  try {
    result = trial.encode(way);
  } catch (error) {
    if (error instanceof LimitError) return undefined;
    throw error;
  }
  try {
    return (await result.read()) as Float32Array;
  } finally {
    result.dispose();
  }
}

function same(found: Float32Array, expected: Float32Array, tolerance: number): boolean {
  let [largest, apart] = [0, 0];
  for (const [i, value] of expected.entries()) {
    largest = Math.max(largest, Math.abs(value));
    // A NaN stays one.
    apart = Math.max(apart, Math.abs(found[i]! - value));
  }
  return apart <= tolerance * largest;
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}
