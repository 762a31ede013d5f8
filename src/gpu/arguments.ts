import { ArgumentError } from './errors.js';

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
 * The types that options may have: as `typeof` says them, `null`, `array`, or `tensor`; several with `|` between them, `any` for
 * what is checked elsewhere; `!` behind them where the option must be there.
 */
export type OptionKinds<T> = {
  readonly [K in keyof Required<T>]: Partial<Pick<T, K>> extends Pick<T, K> ? string : `${string}!`;
};

/**
 * Throws an ArgumentError for options that are no object, an option that is not among `kinds`, one that is not of its kind, and one
 * that must be there and is not. What is undefined counts as absent.
 */
export function checkOptions<T extends object>(operation: string, options: T, kinds: OptionKinds<T>): void {
  const given: unknown = options;
  const names = Object.keys(kinds);
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    const needed = names.some((name) => kinds[name as keyof T].endsWith('!'));
    throw new ArgumentError({
      operation,
      expected: `options as an object of ${names.join(', ')}`,
      got: describe(given),
      remedy: `Write { ${names[0] ?? ''}: … }${needed ? '' : ', or leave the options out'}.`,
    });
  }
  const values = given as Readonly<Record<string, unknown>>;
  for (const name in values) {
    const value = values[name];
    if (value === undefined) continue;
    const kind = Object.hasOwn(kinds, name) ? kinds[name as keyof T] : undefined;
    if (kind === undefined) {
      const near = nearest(name, names);
      throw new ArgumentError({
        operation,
        expected: `options of ${names.join(', ')}`,
        got: `'${name}'`,
        remedy: near === undefined ? 'Leave it out, or correct its name.' : `Did you mean '${near}'?`,
      });
    }
    if (isOfKind(value, kind)) continue;
    throw new ArgumentError({
      operation,
      expected: `${name} to be ${inWords(kind)}`,
      got: describe(value),
      remedy: `Pass another ${name}${kind.endsWith('!') ? '' : ', or leave it out'}.`,
    });
  }
  for (const name of names) {
    const kind = kinds[name as keyof T];
    if (!kind.endsWith('!') || values[name] !== undefined) continue;
    throw new ArgumentError({
      operation,
      expected: `${name} to be ${inWords(kind)}`,
      got: 'none',
      remedy: `Pass ${name}, which has no default.`,
    });
  }
}

/** Those of some options that `kinds` names: for a function that takes fewer. */
export function pickOptions<T extends object>(options: T, kinds: OptionKinds<T>): T {
  return Object.fromEntries(Object.entries(options).filter(([name]) => Object.hasOwn(kinds, name))) as T;
}

function isOfKind(value: unknown, kind: string): boolean {
  return kind
    .replace('!', '')
    .split('|')
    .some((one) => {
      if (one === 'any') return true;
      if (one === 'tensor') return typeof value === 'object' && value !== null && 'shape' in value && 'dtype' in value;
      return one === (value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value);
    });
}

function inWords(kind: string): string {
  return kind
    .replace('!', '')
    .split('|')
    .map((one) => (one === 'any' ? 'given' : `${/^[aeiou]/.test(one) ? 'an' : 'a'} ${one}`))
    .join(' or ');
}

/** The name that contains what was written, whatever its capitals, or that a slip or two of a finger turned into it. */
export function nearest(written: string, names: readonly string[]): string | undefined {
  const text = written.toLowerCase();
  const [best] = names
    .map((name) => {
      const known = name.toLowerCase();
      return { name, distance: known.includes(text) ? 1 : editDistance(text, known) };
    })
    .sort((a, b) => a.distance - b.distance);
  return best && best.distance < Math.min(3, text.length) ? best.name : undefined;
}

/** Letters to put in, take out or change (Levenshtein 1966). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let k = 1; k <= b.length; k++) {
      next.push(Math.min(row[k]! + 1, next[k - 1]! + 1, row[k - 1]! + (a[i - 1] === b[k - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}
