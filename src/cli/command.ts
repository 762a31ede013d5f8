import { parseArgs } from 'node:util';
import { ArgumentError, type RetinaFaceError } from '../gpu/errors.js';
import { nameOf, type Option, type OptionTable, type Values, wrong } from './options.js';

/** Exit codes of every command. */
export const EXIT = { done: 0, failed: 1, usage: 2, device: 3 } as const;

/** With which code a command ends for an error. */
export function exitCodeOf(error: RetinaFaceError): number {
  if (error instanceof ArgumentError) return EXIT.usage;
  return error.name === 'AdapterError' || error.name === 'DeviceLostError' ? EXIT.device : EXIT.failed;
}

/** One command: what `--help` prints, and what it does with its arguments. */
export interface Command {
  readonly help: string;
  readonly about: string;
  readonly options: OptionTable;
  /** Answers the exit code. @throws ArgumentError for arguments that its help does not have. */
  readonly run: (args: readonly string[]) => Promise<number>;
}

interface Definition<T extends OptionTable> {
  readonly name: string;
  /** What follows the name in the first line of help. */
  readonly usage: string;
  /** What it does, lines of at most 120 characters. */
  readonly about: string;
  readonly options: T;
  /** What help says behind the options. */
  readonly notes?: string;
  /** True where words may stand beside options; otherwise they are an error. */
  readonly words?: boolean;
  /** `words`: what stood beside options, in order. */
  readonly run: (values: Values<T>, words: readonly string[]) => Promise<number>;
}

/** A command whose help, parsing and types come from one table of options. */
export function defineCommand<T extends OptionTable>(definition: Definition<T>): Command {
  const { name, usage, about, options, notes, words = false, run } = definition;
  const parts = [`retinaface ${name}${usage === '' ? '' : ` ${usage}`}\n`, `${about}\n`];
  if (Object.keys(options).length > 0) parts.push(helpOf(options));
  if (notes !== undefined) parts.push(`${notes}\n`);
  return {
    help: parts.join('\n'),
    about,
    options,
    run: async (args) => {
      const given = parse(name, args, options);
      if (!words && given.words.length > 0) {
        throw wrong(
          name,
          'options alone',
          `'${given.words.join(' ')}'`,
          'Leave that out, or write its option before it.',
        );
      }
      return run(given.values, given.words);
    },
  };
}

/** Arguments as a table reads them, strictly. @throws ArgumentError for an unknown option, or a value that does not fit. */
export function parse<T extends OptionTable>(
  command: string,
  args: readonly string[],
  table: T,
): { readonly values: Values<T>; readonly words: readonly string[] } {
  const known = new Map(Object.entries(table).map(([key, option]) => [nameOf(key, option), { key, option }]));
  const config = Object.fromEntries(
    [...known].map(([name, { option }]) => [
      name.slice(2),
      { type: option.isSwitch ? ('boolean' as const) : ('string' as const), multiple: true },
    ]),
  );
  const fail = (got: string, remedy: string, cause?: unknown): never => {
    throw wrong(command, `the options that \`retinaface ${command} --help\` lists`, got, remedy, cause);
  };
  let read;
  try {
    read = parseArgs({ args: [...args], options: config, allowPositionals: true, strict: true, tokens: true });
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : '';
    const message = cause instanceof Error ? cause.message : String(cause);
    const [, unknown] = /Unknown option '([^']*)'/.exec(message) ?? [];
    if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION' && unknown !== undefined) {
      // Of letters behind one dash Node names the first.
      const word = args.find((arg) => arg.startsWith(unknown)) ?? unknown;
      if (/^-[^-]./.test(word)) return fail(word, `Write ./${word} where it is the name of a file.`, cause);
      const near = nearest(word.replace(/=.*$/s, ''), [...known.keys()]);
      return fail(unknown, near === undefined ? 'Correct that argument.' : `Did you mean ${near}?`, cause);
    }
    const [, name] = /Option '(--[\w-]+)/.exec(message) ?? [];
    const option = name === undefined ? undefined : known.get(name)?.option;
    if (code === 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE' && name !== undefined && option) {
      if (option.isSwitch) return fail(`a value behind ${name}`, `Write ${name} alone.`, cause);
      const value = option.value ?? 'VALUE';
      return fail(
        `${name} without ${value}`,
        `Write ${name} ${value}, or ${name}=${value} where it begins with a dash.`,
        cause,
      );
    }
    return fail(message, 'Correct that argument.', cause);
  }
  const given = new Map<string, string[]>();
  for (const token of read.tokens) {
    if (token.kind !== 'option') continue;
    const name = `--${token.name}`;
    given.set(name, [...(given.get(name) ?? []), token.value ?? '']);
  }
  const values = Object.fromEntries(
    [...known].map(([name, { key, option }]) => [key, option.read(given.get(name) ?? [], command, name)]),
  );
  return { values: values as Values<T>, words: read.positionals };
}

/** The name that begins like this, or that one or two slips of a finger turned into it. */
export function nearest(text: string, names: readonly string[]): string | undefined {
  const [best] = names
    .map((name) => ({ name, distance: name.startsWith(text) ? 1 : editDistance(text, name) }))
    .sort((a, b) => a.distance - b.distance);
  return best && best.distance <= 2 ? best.name : undefined;
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

/** Columns of a line of help. */
const LINE = 120;

/** The options of a table, a line or more each. */
function helpOf(table: OptionTable): string {
  const rows = Object.entries(table).map(([key, option]) => {
    const name = nameOf(key, option);
    return { left: option.value === undefined ? name : `${name} ${option.value}`, option };
  });
  const column = Math.max(...rows.map(({ left }) => left.length)) + 4;
  return rows
    .map(({ left, option }) => {
      const heading = option.heading === undefined ? '' : `\n${option.heading}\n`;
      const lines = wrap(describe(option), LINE - column);
      return `${heading}  ${left.padEnd(column - 2)}${lines.join(`\n${' '.repeat(column)}`)}\n`;
    })
    .join('')
    .replace(/^\n/, '');
}

function describe({ help, shownDefault }: Option<unknown>): string {
  return shownDefault === undefined ? help : `${help} (${shownDefault})`;
}

/** A text in lines of at most so many characters; its own line breaks stay. */
function wrap(text: string, width: number): string[] {
  return text.split('\n').flatMap((paragraph) => {
    const lines: string[] = [];
    let line = '';
    for (const word of paragraph.split(' ')) {
      if (line !== '' && line.length + 1 + word.length > width) {
        lines.push(line);
        line = word;
      } else line += line === '' ? word : ` ${word}`;
    }
    return [...lines, line];
  });
}
