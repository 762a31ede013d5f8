// Puts each deliberate fault into its kernel and runs the test that must notice it, in a process of its own. Each such test
// is run without a fault, too: there it must pass. `npm run test:faults -- WORD…` takes the faults whose kernel or words
// hold a word. The last line is `N passed, N failed`, with `, N skipped` for kernels that this device cannot run.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { FAULTS, type Fault } from './faults.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const TIMEOUT = 120_000;

interface Outcome {
  readonly passed: number;
  readonly failed: number;
  readonly log: string;
}

/** Runs the tests of a file whose names begin so, with a fault or without. */
function check(file: string, test: string, fault?: string): Promise<Outcome> {
  const pattern = `^${test.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}`;
  const child = spawn(
    process.execPath,
    [
      ...['--import', 'tsx', '--import', './test/faults/inject.ts', '--test-reporter=tap'],
      ...[`--test-name-pattern=${pattern}`, `test/${file}`],
    ],
    {
      cwd: root,
      env: { XDG_RUNTIME_DIR: '/tmp', ...process.env, ...(fault !== undefined && { RETINAFACE_FAULT: fault }) },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: TIMEOUT,
    },
  );
  let log = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      log += text;
    });
  }
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', () => {
      const count = (word: string) => Number(new RegExp(`^# ${word} (\\d+)`, 'm').exec(log)?.[1] ?? 0);
      resolve({ passed: count('pass'), failed: count('fail'), log });
    });
  });
}

const counts = { passed: 0, failed: 0, skipped: 0 };

function report(result: keyof typeof counts, words: string, log = ''): void {
  counts[result]++;
  console.log(`${{ passed: '✔', failed: '✖', skipped: '﹣' }[result]} ${words}`);
  if (log) console.log(log.replace(/^/gm, '    '));
}

async function control({ file, test, needs }: Fault): Promise<void> {
  const { passed, failed, log } = await check(file, test);
  const name = `without a fault: ${file}, ${test}`;
  if (passed > 0 && failed === 0) report('passed', name);
  else if (passed + failed === 0 && needs) report('skipped', `${name} (no ${needs})`);
  else report('failed', name, passed + failed === 0 ? 'no test has such a name' : log);
}

async function verify({ what, kernel, file, test, needs }: Fault): Promise<void> {
  const { passed, failed, log } = await check(file, test, what);
  const name = `${kernel}: ${what}`;
  // A kernel that does not compile would fail every test: only a wrong result counts.
  if (log.includes('KernelError')) report('failed', `${name}: the kernel does not compile`, log);
  else if (failed > 0 && log.includes('ERR_ASSERTION')) report('passed', name);
  else if (passed + failed === 0 && needs) report('skipped', `${name} (no ${needs})`);
  else report('failed', `${name}: not noticed by ${file}, ${test}`, failed > 0 ? log : '');
}

const words = process.argv.slice(2);
const chosen = FAULTS.filter(
  ({ what, kernel }) => words.length === 0 || words.some((word) => what.includes(word) || kernel.includes(word)),
);
const controls = new Map(chosen.map((fault) => [`${fault.file} ${fault.test}`, fault]));
const work = [
  ...[...controls.values()].map((fault) => () => control(fault)),
  ...chosen.map((fault) => () => verify(fault)),
];
// Two at a time: one links and loads while the other computes.
await Promise.all(
  [0, 1].map(async () => {
    for (let next = work.shift(); next; next = work.shift()) await next();
  }),
);
const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : '';
console.log(`${counts.passed} passed, ${counts.failed} failed${skipped}`);
process.exitCode = counts.failed > 0 || counts.passed === 0 ? 1 : 0;
