import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { array64, dot, type Array64 } from '../reference/array64.js';
import { numericGradient } from '../reference/gradient.js';

/** One tensor of a golden file as it is stored. */
export interface GoldenTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array;
}

/** One case of an operation: its options, and its tensors by their short names (`x`, `output`, `grad_x`). */
export interface GoldenCase {
  readonly name: string;
  /** What the generating script passed to PyTorch, as parsed JSON. */
  readonly options: unknown;
  has(tensor: string): boolean;
  tensor(name: string): GoldenTensor;
  /** The tensor as float64. */
  array(name: string): Array64;
  /** The tensor as float64, or undefined where the case has none of that name. */
  optional(name: string): Array64 | undefined;
  /** A list of integers. */
  integers(name: string): number[];
}

/** A file of fixtures/golden: its tensors, and the cases of each operation. */
export interface Golden extends Omit<GoldenCase, 'name' | 'options'> {
  readonly names: readonly string[];
  /** The cases whose names start with `operation/`, in the file's order. */
  cases(operation: string): GoldenCase[];
}

interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

/** Reads fixtures/golden/<file>.safetensors: a length, a JSON header, and little-endian F32 and I32 tensors. */
export function readGolden(file: string): Golden {
  const path = fileURLToPath(new URL(`../../fixtures/golden/${file}.safetensors`, import.meta.url));
  const bytes = readFileSync(path);
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, start)) as Record<string, Entry>;
  const { __metadata__: metadata, ...entries } = header as unknown as Record<string, Entry> & {
    __metadata__: Record<string, string>;
  };

  const view = (prefix: string) => {
    const tensor = (name: string): GoldenTensor => {
      const entry = entries[prefix + name];
      assert.ok(entry, `${file}.safetensors holds no ${prefix}${name}`);
      const [from, to] = entry.data_offsets;
      const content = Uint8Array.from(bytes.subarray(start + from, start + to)).buffer;
      assert.ok(entry.dtype === 'F32' || entry.dtype === 'I32', entry.dtype);
      return { shape: entry.shape, data: entry.dtype === 'F32' ? new Float32Array(content) : new Int32Array(content) };
    };
    const has = (name: string) => prefix + name in entries;
    const array = (name: string) => array64(tensor(name).shape, tensor(name).data);
    const optional = (name: string) => (has(name) ? array(name) : undefined);
    return { has, tensor, array, optional, integers: (name: string) => [...tensor(name).data] };
  };

  const cases = (operation: string) =>
    Object.entries(metadata)
      .filter(([name]) => name.startsWith(`${operation}/`))
      .map(([name, options]) => ({ name, options: JSON.parse(options) as unknown, ...view(`${name}/`) }));
  return { names: Object.keys(entries), cases, ...view('') };
}

/** Goldens are computed in float64 and stored in float32: half a unit in the last place. */
const FLOAT32_ROUNDING = 2 ** -24;

/** Two float64 sums of a few thousand terms in different orders, relative to the largest element. */
const FLOAT64_ORDER = 2 ** -52 * 4096;

/**
 * The error of central differences at STEP, relative to the largest element: h²/6 · f‴, with room for f‴ up to 24 times the
 * gradient (an exponential of a variable scaled by up to 5).
 */
export const CENTRAL_DIFFERENCE = 24 * (2 ** -26 / 6);

/** Asserts that a float64 result is the golden, but for the golden's own rounding and `slack` of its largest element. */
export function assertGolden(actual: Array64, expected: Array64, label: string, slack = FLOAT64_ORDER): void {
  assert.deepEqual(actual.shape, expected.shape, `shape of ${label}`);
  const largest = expected.data.reduce((maximum, value) => Math.max(maximum, Math.abs(value)), 0);
  actual.data.forEach((value, i) => {
    const golden = expected.data[i]!;
    const tolerance = FLOAT32_ROUNDING * Math.abs(golden) + slack * Math.max(largest, 1);
    assert.ok(Math.abs(value - golden) <= tolerance, `${label}[${i}]: ${value}, PyTorch ${golden} ± ${tolerance}`);
  });
}

/**
 * Asserts that `output` of the inputs named is the case's output, and that its central differences, weighted by the case's
 * `grad_output`, are the gradients that PyTorch's autograd gave.
 */
export function assertGoldenGradients(
  golden: GoldenCase,
  names: readonly string[],
  output: (...inputs: readonly Array64[]) => Array64,
): void {
  const present = names.filter((name) => golden.has(name));
  const inputs = present.map((name) => golden.array(name));
  assertGolden(output(...inputs), golden.array('output'), `${golden.name}/output`);
  const gradOutput = golden.array('grad_output');
  const scalar = (values: readonly Array64[]) => dot(output(...values), gradOutput);
  present.forEach((name, index) => {
    const gradient = numericGradient(scalar, inputs, index);
    assertGolden(gradient, golden.array(`grad_${name}`), `${golden.name}/grad_${name}`, CENTRAL_DIFFERENCE);
  });
}
