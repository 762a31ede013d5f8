// Runs one test file in a process of its own, with a time limit, and counts what uvu says at its end.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { compiledFile } from './compile.js';

/** The folder that test files are below. */
export const TESTS = fileURLToPath(new URL('.', import.meta.url));

const PROJECT = fileURLToPath(new URL('..', import.meta.url));

/** What became of a test file. */
export interface FileOutcome {
  /** Tests that ran, to whatever end. */
  readonly ran: number;
  readonly passed: number;
  /** Tests that failed, and one for a file that broke down outside of them. */
  readonly failed: number;
  readonly skipped: number;
  /** What the file wrote, both streams in the order in which it came. */
  readonly log: string;
}

/** How a file is run. */
export interface FileRun {
  /** Milliseconds until the process is killed. */
  readonly limit: number;
  /** Modules that are loaded first. */
  readonly imports?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * The command that runs a file: this Node, on what was compiled where `RETINAFACE_TEST_COMPILED` names a folder of it; or the
 * Deno that `RETINAFACE_TEST_DENO` names, whose WebGPU is wgpu where Node's is Dawn. Deno reads TypeScript itself, and finds
 * `x.ts` where `x.js` is imported.
 */
function commandOf(file: string, imports: readonly string[]): readonly [command: string, ...args: string[]] {
  const { RETINAFACE_TEST_DENO: deno, RETINAFACE_TEST_COMPILED: compiled } = process.env;
  if (deno !== undefined) {
    return [deno, 'run', '-A', '--node-modules-dir=manual', '--unstable-webgpu', '--unstable-sloppy-imports', file];
  }
  const loaded = (names: readonly string[]): string[] => names.flatMap((name) => ['--import', name]);
  if (compiled === undefined || !file.endsWith('.ts')) return [process.execPath, ...loaded(['tsx', ...imports]), file];
  const own = (path: string): string => compiledFile(compiled, path);
  return [process.execPath, '--enable-source-maps', ...loaded(imports.map(own)), own(file)];
}

/** `file`: a path, absolute or below the project. */
export function runFile(file: string, { limit, imports = [], env = {} }: FileRun): Promise<FileOutcome> {
  const [command, ...args] = commandOf(file, imports);
  const child = spawn(command, args, {
    cwd: PROJECT,
    // Tests compute by the rules, whatever this machine was tuned to.
    env: { XDG_RUNTIME_DIR: '/tmp', RETINAFACE_TUNING: '0', ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      log += text;
    });
  }
  const timer = setTimeout(() => {
    log += `\nkilled after ${limit / 1000} s\n`;
    child.kill('SIGKILL');
  }, limit);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve(outcome(log, code));
    });
  });
}

/**
 * Reads uvu's summary. uvu 0.5.6 swallows what a hook before the tests throws, prints `0 / N` and ends well: a test that
 * did not pass has failed, whatever the exit code; and a file that ended badly, or ran nothing, has failed whatever it printed.
 */
export function outcome(log: string, code: number | null): FileOutcome {
  const numbers = (word: string): number[] =>
    [...log.matchAll(new RegExp(`^ {2}${word}: +(?:\\x1b\\[\\d+m)?(\\d+)`, 'gm'))].map(([, digits]) => Number(digits));
  const ran = numbers('Total').at(-1) ?? 0;
  const passed = numbers('Passed').at(-1) ?? 0;
  const skipped = numbers('Skipped').at(-1) ?? 0;
  const whole = ran + skipped > 0 && code === 0;
  return { ran, passed, failed: Math.max(ran - passed, whole ? 0 : 1), skipped, log };
}

/** Lines of uvu's own, and what Dawn says of lavapipe's limits whenever it looks for an adapter. */
const USUAL = [
  /^[•✘ ]*\(\d+ \/ \d+\)$/,
  /^ {2}(?:Total|Passed|Skipped|Duration): /,
  /^[• ]*Warning: maxDynamic\w+ artificially reduced from /,
  /^\s*$/,
];

/** What a file wrote apart from what every file writes. */
export function wordsOf(log: string): string {
  return log
    .split('\n')
    .filter((line) => !USUAL.some((usual) => usual.test(line)))
    .join('\n');
}
