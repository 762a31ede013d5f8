import { parseArgs, type ParseArgsConfig } from 'node:util';
import { ArgumentError } from '../gpu/errors.js';

/** Exit codes of every command. */
export const EXIT = { done: 0, failed: 1, usage: 2, device: 3 } as const;

/** One command: what `--help` prints, and what it does with its arguments. */
export interface Command {
  readonly help: string;
  /** Answers the exit code. */
  readonly run: (args: readonly string[]) => Promise<number>;
}

/** Parses arguments strictly; an unknown option is an ArgumentError. */
export function parse<T extends NonNullable<ParseArgsConfig['options']>>(
  command: string,
  args: readonly string[],
  options: T,
): ReturnType<typeof parseArgs<{ args: string[]; options: T; allowPositionals: true; strict: true }>> {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (cause) {
    throw new ArgumentError({
      operation: command,
      expected: `the options that \`retinaface ${command} --help\` lists`,
      got: cause instanceof Error ? cause.message : String(cause),
      remedy: 'Correct that argument.',
      cause,
    });
  }
}

/** A number given as text. @throws ArgumentError when it is none or outside the range. */
export function numberOption(
  command: string,
  option: string,
  text: string | undefined,
  range: { readonly min: number; readonly max?: number; readonly integer?: boolean },
): number | undefined {
  if (text === undefined) return undefined;
  const value = text.trim() === '' ? Number.NaN : Number(text);
  const { min, max = Number.MAX_SAFE_INTEGER, integer = false } = range;
  if (value >= min && value <= max && (!integer || Number.isInteger(value))) return value;
  throw new ArgumentError({
    operation: command,
    expected: `--${option} to be a ${integer ? 'whole ' : ''}number of at least ${min}${range.max === undefined ? '' : ` and at most ${max}`}`,
    got: `'${text}'`,
    remedy: `Pass another --${option}.`,
  });
}
