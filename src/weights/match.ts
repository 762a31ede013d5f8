import { weightsProblem } from './byte_reader.js';
import type { StateDict } from './state.js';

/** As many names as a message can hold and still be read. */
const NAMED = 5;

/**
 * Compares a file's tensors with those that a network expects (PyTorch-layout shapes by parameter name). Throws one
 * WeightsError that lists all that is wrong: tensors missing, extra, of another shape, or holding NaN or infinity.
 * With `allowMissing` (a backbone alone, say) tensors may be absent, but not all of them.
 */
export function matchState(
  tensors: StateDict,
  expected: ReadonlyMap<string, readonly number[]>,
  source: string,
  options: { readonly allowMissing?: boolean } = {},
): void {
  const missing: string[] = [];
  const misshapen: string[] = [];
  for (const [name, shape] of expected) {
    const got = tensors.get(name)?.shape;
    if (got === undefined) missing.push(name);
    else if (got.join() !== shape.join())
      misshapen.push(`${name} [${got.join(', ')}] instead of [${shape.join(', ')}]`);
  }
  const extra: string[] = [];
  const notFinite: string[] = [];
  for (const [name, { data }] of tensors) {
    if (!expected.has(name)) extra.push(name);
    else if (!data.every(Number.isFinite)) notFinite.push(name);
  }
  const faults = [
    options.allowMissing === true && missing.length < expected.size ? '' : list('missing', missing),
    list('not of this network', extra),
    list('of another shape', misshapen),
    list('with NaN or infinity', notFinite),
  ].filter((fault) => fault !== '');
  if (faults.length === 0) return;
  throw weightsProblem(
    source,
    `the ${expected.size} tensors of the network`,
    faults.join('; '),
    misshapen.length + missing.length + extra.length > 0
      ? 'Choose the configuration that the file was trained with, or another file.'
      : haveBeenHalves(tensors)
        ? 'Half precision ends at 65,504, and these values lie beyond: export the weights again as float32.'
        : 'The training that wrote this file diverged: take an earlier checkpoint.',
  );
}

/** So many values do not all fit half precision by chance: of float32's, one in 8,192 does. */
const ENOUGH_TO_TELL = 16;

/**
 * True where every value fits half precision, but for infinities, which is what it makes of larger ones: the weights were
 * rounded to halves. A NaN comes from elsewhere.
 */
function haveBeenHalves(tensors: StateDict): boolean {
  const all = [...tensors.values()];
  if (all.reduce((count, { data }) => count + data.length, 0) < ENOUGH_TO_TELL) return false;
  return all.every(({ data }) => {
    const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
    return data.every((value, i) => {
      const size = Math.abs(value);
      // Ten bits of fraction, or, below 2^-14, multiples of 2^-24.
      if (size < 2 ** -14) return Number.isInteger(size * 2 ** 24);
      return size === Infinity || (size <= 65_504 && (bits[i]! & 0x1fff) === 0);
    });
  });
}

function list(fault: string, names: readonly string[]): string {
  if (names.length === 0) return '';
  const more = names.length > NAMED ? `, … ${names.length - NAMED} more` : '';
  return `${names.length} ${fault} (${names.slice(0, NAMED).join(', ')}${more})`;
}
