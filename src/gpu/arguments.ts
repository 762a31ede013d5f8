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

/** The types that an option may have, as `typeof` says them, or of a value that is an object, its own check. */
export type OptionKinds<T> = { readonly [K in keyof Required<T>]: string };

/**
 * Throws an ArgumentError for options that are no object, an option that is not among `kinds`, and one that is not of its kind:
 * types as `typeof` says them, several with `|` between them, `array` for one, `any` for what is checked elsewhere. What is
 * undefined counts as absent.
 */
export function checkOptions<T extends object>(operation: string, options: T, kinds: OptionKinds<T>): void {
  const given: unknown = options;
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new ArgumentError({
      operation,
      expected: `options as an object of ${Object.keys(kinds).join(', ')}`,
      got: describe(given),
      remedy: `Write { ${Object.keys(kinds)[0] ?? ''}: … }, or leave the options out.`,
    });
  }
  for (const name in given) {
    const value: unknown = given[name as keyof typeof given];
    if (value === undefined) continue;
    const kind = Object.hasOwn(kinds, name) ? kinds[name as keyof T] : undefined;
    if (kind === undefined) {
      const near = Object.keys(kinds).find((known) => known.toLowerCase().includes(name.toLowerCase()));
      throw new ArgumentError({
        operation,
        expected: `options of ${Object.keys(kinds).join(', ')}`,
        got: `'${name}'`,
        remedy: near === undefined ? 'Leave it out, or correct its name.' : `Did you mean '${near}'?`,
      });
    }
    const is = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
    if (kind === is || kind === 'any' || kind.split('|').includes(is)) continue;
    throw new ArgumentError({
      operation,
      expected: `${name} to be ${kind.split('|').map(article).join(' or ')}`,
      got: describe(value),
      remedy: `Pass another ${name}, or leave it out.`,
    });
  }
}

function article(kind: string): string {
  return `${/^[aeiou]/.test(kind) ? 'an' : 'a'} ${kind}`;
}
