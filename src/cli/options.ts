import { ArgumentError } from '../gpu/errors.js';

/** What an option takes, what it does, and where its value is checked: help, parsing and types of a command come from it. */
export interface Option<T> extends Spec {
  /** True for a switch, which takes no value. */
  readonly isSwitch: boolean;
  /** True where the option may be given more than once. */
  readonly repeats: boolean;
  /** What help says of the default; undefined where it says nothing. */
  readonly shownDefault: string | undefined;
  /** What values it takes, in words; undefined where `help` and `value` say it all. */
  readonly takes?: string;
  /** The value of what was given, in order; `name` is the option as it was written. @throws ArgumentError. */
  readonly read: (given: readonly string[], command: string, name: string) => T;
}

interface Spec {
  /** The option without its dashes, where it is not the name in the table with its capitals as dashes. */
  readonly flag?: string;
  /** What stands for the value in help: `FILE`. */
  readonly value?: string;
  /** What it does; line breaks are its own. The default is put behind it. */
  readonly help: string;
  /** A line before this option that begins a part of help. */
  readonly heading?: string;
}

/** Options by the names that their values have in the program. */
export type OptionTable = Readonly<Record<string, Option<unknown>>>;

/** What a table's options amount to. */
export type Values<T extends OptionTable> = { readonly [K in keyof T]: T[K] extends Option<infer V> ? V : never };

interface Range {
  readonly min: number;
  readonly max?: number;
}

function option<T>(
  spec: Spec & { readonly fallback?: unknown; readonly takes?: string },
  parse: (text: string, command: string, name: string) => T,
  shown: string | undefined,
): Option<T | undefined> {
  const { fallback, ...rest } = spec;
  return {
    ...rest,
    isSwitch: false,
    repeats: false,
    shownDefault: shown,
    read: (given, command, name) => {
      const text = given.at(-1);
      return text === undefined ? (fallback as T | undefined) : parse(text, command, name);
    },
  };
}

/** A switch: true where it is given. */
export function flag(spec: Spec): Option<boolean> {
  return { ...spec, isSwitch: true, repeats: false, shownDefault: undefined, read: (given) => given.length > 0 };
}

/** A switch that turns something off: false where it is given. */
export function offFlag(spec: Spec): Option<boolean> {
  return { ...flag(spec), read: (given) => given.length === 0 };
}

/** A word: a name, a path, whatever is read later. */
export function text(spec: Spec & { readonly fallback: string }): Option<string>;
export function text(spec: Spec): Option<string | undefined>;
export function text(spec: Spec & { readonly fallback?: string }): Option<string | undefined> {
  const parse = (given: string, command: string, name: string): string => {
    if (given !== '') return given;
    throw wrong(command, `${name} to be ${spec.value ?? 'a word'}`, 'an empty one', `Write something behind ${name}.`);
  };
  return option(spec, parse, spec.fallback);
}

/** Words, one each time that the option is given; undefined where it is not. */
export function texts(spec: Spec): Option<readonly string[] | undefined> {
  const one = text(spec);
  return {
    ...one,
    repeats: true,
    read: (given, command, name) =>
      given.length === 0 ? undefined : given.map((each) => one.read([each], command, name)!),
  };
}

/** One of some words. */
export function oneOf<N extends string>(names: readonly N[], spec: Spec & { readonly fallback: N }): Option<N>;
export function oneOf<N extends string>(names: readonly N[], spec: Spec): Option<N | undefined>;
export function oneOf<N extends string>(
  names: readonly N[],
  spec: Spec & { readonly fallback?: N },
): Option<N | undefined> {
  const parse = (given: string, command: string, name: string): N => {
    const found = names.find((each) => each === given);
    if (found !== undefined) return found;
    throw wrong(command, `${name} to be one of ${names.join(', ')}`, `'${given}'`, 'Pass one of them.');
  };
  return option({ ...spec, takes: `one of ${names.join(', ')}` }, parse, spec.fallback);
}

/** A number of a range. */
export function number(spec: Spec & Range & { readonly fallback: number }): Option<number>;
export function number(spec: Spec & Range): Option<number | undefined>;
export function number(spec: Spec & Range & { readonly fallback?: number }): Option<number | undefined> {
  return numeric(spec, false);
}

/** A whole number of a range. */
export function whole(spec: Spec & Range & { readonly fallback: number }): Option<number>;
export function whole(spec: Spec & Range): Option<number | undefined>;
export function whole(spec: Spec & Range & { readonly fallback?: number }): Option<number | undefined> {
  return numeric(spec, true);
}

function numeric(spec: Spec & Range & { readonly fallback?: number }, integer: boolean): Option<number | undefined> {
  const { min, max, ...rest } = spec;
  const range = { min, ...(max === undefined ? {} : { max }), integer };
  const parse = (given: string, command: string, name: string): number => readNumber(command, name, given, range);
  const takes = `a ${integer ? 'whole ' : ''}number, ${max === undefined ? `at least ${min}` : `${min} to ${max}`}`;
  return option({ ...rest, takes }, parse, spec.fallback === undefined ? undefined : String(spec.fallback));
}

/** Several values of one option, between commas. */
export function listOf<T>(
  each: (text: string, command: string, name: string) => T,
  spec: Spec & { readonly fallback: string },
): Option<readonly T[]>;
export function listOf<T>(
  each: (text: string, command: string, name: string) => T,
  spec: Spec & { readonly shownDefault?: string },
): Option<readonly T[] | undefined>;
export function listOf<T>(
  each: (text: string, command: string, name: string) => T,
  { fallback, shownDefault = fallback, ...spec }: Spec & { readonly fallback?: string; readonly shownDefault?: string },
): Option<readonly T[] | undefined> {
  const parse = (given: string, command: string, name: string): readonly T[] =>
    given.split(',').map((part) => each(part.trim(), command, name));
  return {
    ...option(spec, parse, shownDefault),
    read: (given, command, name) => {
      const list = given.at(-1) ?? fallback;
      return list === undefined ? undefined : parse(list, command, name);
    },
  };
}

/** Whatever else a text can stand for; `parse` throws an ArgumentError for one that it cannot. */
export function parsed<T>(
  parse: (text: string, command: string, name: string) => T,
  spec: Spec & { readonly shownDefault?: string },
): Option<T | undefined> {
  const { shownDefault, ...rest } = spec;
  return option(rest, parse, shownDefault);
}

/** A number given as text. @throws ArgumentError when it is none or outside the range. */
export function readNumber(
  command: string,
  name: string,
  given: string,
  { min, max, integer = false }: Range & { readonly integer?: boolean },
): number {
  const value = given.trim() === '' ? Number.NaN : Number(given);
  if (value >= min && value <= (max ?? Number.MAX_SAFE_INTEGER) && (!integer || Number.isInteger(value))) return value;
  const most = max === undefined ? '' : ` and at most ${max}`;
  const kind = `a ${integer ? 'whole ' : ''}number of at least ${min}${most}`;
  throw wrong(command, `${name} to be ${kind}`, `'${given}'`, `Pass another ${name}.`);
}

/** The ArgumentError of a command that was called in another way than its help says. */
export function wrong(command: string, expected: string, got: string, remedy: string, cause?: unknown): ArgumentError {
  return new ArgumentError({ operation: command, expected, got, remedy, cause });
}

/** An option as it is written: `--max-faces`. */
export function nameOf(key: string, { flag: given }: Pick<Spec, 'flag'>): string {
  return `--${given ?? key.replace(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`)}`;
}
