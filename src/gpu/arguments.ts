import { ArgumentError, DeviceMismatchError } from './errors.js';

/** What a value is, in words for an error: `null`, `'640'`, `a promise`, `a Uint8Array of 12 elements`. */
export function describe(value: unknown): string {
  if (typeof value === 'string') return `'${value.length > 60 ? `${value.slice(0, 60)}…` : value}'`;
  if (value === null || value === undefined || typeof value !== 'object') {
    return typeof value === 'function' ? 'a function' : String(value);
  }
  if (isPromise(value)) return 'a promise';
  if (ArrayBuffer.isView(value) && 'length' in value)
    return `a ${className(value)} of ${String(value.length)} elements`;
  if (Array.isArray(value)) return value.length === 0 ? 'an empty array' : `an array of ${value.length}`;
  const name = className(value);
  if (name !== 'Object') return `${/^[AEIOU]/.test(name) ? 'an' : 'a'} ${name}`;
  const keys = Object.keys(value);
  return keys.length === 0 ? 'an empty object' : `an object with ${keys.slice(0, 6).join(', ')}`;
}

/** True for an object that is no array. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** True for what would have to be awaited. */
export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

function className(value: object): string {
  const { constructor } = value as { readonly constructor?: unknown };
  return typeof constructor === 'function' && constructor.name !== '' ? constructor.name : 'Object';
}

/**
 * The types that options may have: as `typeof` says them, `null`, `array`, `Uint8Array`, or `tensor` (of float32); several with `|`
 * between them, `any` for what is checked elsewhere; `!` behind them where the option must be there.
 */
export type OptionKinds<T> = {
  readonly [K in keyof Required<T>]: Partial<Pick<T, K>> extends Pick<T, K> ? string : `${string}!`;
};

/**
 * Throws an ArgumentError for options that are no object, an option that is not among `kinds`, one that is not of its kind, and one
 * that must be there and is not. What is undefined counts as absent. Arguments may be checked alike, as an object of their names.
 */
export function checkOptions<T extends object>(operation: string, options: T, kinds: OptionKinds<T>): void {
  const given: unknown = options;
  const names = Object.keys(kinds);
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new ArgumentError({
      operation,
      expected: `options as an object of ${names.join(', ')}`,
      got: describe(given),
      remedy: `Write { ${names[0] ?? ''}: … }.`,
    });
  }
  const values = given as Readonly<Record<string, unknown>>;
  for (const name in values) {
    if (values[name] === undefined || names.includes(name)) continue;
    const near = names.find((known) => known.toLowerCase().includes(name.toLowerCase()));
    throw new ArgumentError({
      operation,
      expected: `options of ${names.join(', ')}`,
      got: `'${name}'`,
      remedy: near === undefined ? 'Leave it out, or correct its name.' : `Did you mean '${near}'?`,
    });
  }
  for (const name of names) {
    const kind = kinds[name as keyof T];
    const isNeeded = kind.endsWith('!');
    const value = values[name];
    if (value === undefined && !isNeeded) continue;
    checkKind(operation, name, value, kind, `Pass another ${name}${isNeeded ? '' : ', or leave it out'}.`);
  }
}

/**
 * Throws an ArgumentError for what is no tensor, and for a tensor of elements of another type, a DeviceMismatchError for tensors
 * of two devices; arguments by their names. Several types have `|` between them, `any` is where every type will do.
 */
export function checkTensors(operation: string, tensors: Readonly<Record<string, unknown>>, dtype = 'f32'): void {
  let first: unknown;
  for (const name in tensors) {
    const value = tensors[name];
    const given = isObject(value) && 'gpu' in value ? (value['dtype'] as string) : undefined;
    if (given !== undefined && (dtype === 'any' || dtype.split('|').includes(given))) {
      const { gpu } = value as { readonly gpu: unknown };
      if (gpu === (first ??= gpu)) continue;
      throw new DeviceMismatchError({
        operation,
        expected: 'all tensors on one device',
        got: `${name} on another`,
        remedy: 'Make all tensors of one computation with the same device.',
      });
    }
    throw new ArgumentError({
      operation,
      expected: `${name} to be a tensor${given === undefined ? '' : ` of ${dtype.replace('|', ' or ')}`}`,
      got: given === undefined ? describe(value) : `one of ${given}`,
      remedy: isPromise(value)
        ? 'Await it: write `await` before it.'
        : 'Make one of numbers, Tensor.from(device, data, shape), or `cast` it.',
    });
  }
}

/** Throws an ArgumentError for a promise: `result` is what was to be computed at once. */
export function checkAtOnce(operation: string, result: unknown): void {
  if (!isPromise(result)) return;
  // What it fails of is that its tensors are gone.
  Promise.resolve(result).catch(() => undefined);
  throw new ArgumentError({
    operation,
    expected: 'a function that answers at once',
    got: 'a promise',
    remedy: 'Wait before it or behind it, not inside.',
  });
}

/** Those of some options that `kinds` names: for a function that takes fewer. */
export function pickOptions<T extends object>(options: T, kinds: OptionKinds<T>): T {
  return Object.fromEntries(Object.entries(options).filter(([name]) => Object.hasOwn(kinds, name))) as T;
}

function checkKind(operation: string, name: string, value: unknown, kind: string, remedy: string): void {
  const is = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
  const kinds = kind.replace('!', '').split('|');
  if (kinds.includes(is) || (kind.startsWith('any') && value !== undefined)) return;
  // Of whatever realm: a test runner's Uint8Array may be another than this one.
  if (kinds.includes('Uint8Array') && ArrayBuffer.isView(value)) return;
  if (kinds.includes('tensor')) {
    checkTensors(operation, { [name]: value });
    return;
  }
  const expected = `${name} to be ${kinds.map((each) => `${/^[aeiou]/.test(each) ? 'an' : 'a'} ${each}`).join(' or ')}`;
  throw new ArgumentError({ operation, expected, got: describe(value), remedy });
}
