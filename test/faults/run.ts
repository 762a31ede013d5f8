// Puts each deliberate fault into its kernel and runs the test that must notice it, in a process of its own. Each such test
// is run without a fault, too: there it must pass. `npm run test:faults -- WORD…` takes the faults whose kernel or words
// hold a word. The last line is `N passed, N failed`, with `, N skipped` for kernels that this device cannot run.
import { compile, removeCompiled } from '../compile.js';
import { type FileOutcome, runFile } from '../test_file.js';
import { FAULTS, type Fault } from './faults.js';

/** Runs the tests of a file whose names begin so, with a fault or without. */
function check(file: string, test: string, fault?: string): Promise<FileOutcome> {
  return runFile(`test/${file}`, {
    limit: 120_000,
    imports: ['./test/faults/inject.ts'],
    env: { RETINAFACE_TEST: test, ...(fault !== undefined && { RETINAFACE_FAULT: fault }) },
  });
}

const counts = { passed: 0, failed: 0, skipped: 0 };

function report(result: keyof typeof counts, words: string, log = ''): void {
  counts[result]++;
  console.log(`${{ passed: '✔', failed: '✖', skipped: '﹣' }[result]} ${words}`);
  if (log) console.log(log.replace(/^/gm, '    '));
}

async function control({ file, test, needs }: Fault): Promise<void> {
  const { ran, failed, log } = await check(file, test);
  const name = `without a fault: ${file}, ${test}`;
  if (ran > 0 && failed === 0) report('passed', name);
  else if (ran === 0 && needs) report('skipped', `${name} (no ${needs})`);
  else report('failed', name, ran === 0 ? `no test has such a name\n${log}` : log);
}

async function verify({ what, kernel, file, test, needs }: Fault): Promise<void> {
  const { ran, failed, log } = await check(file, test, what);
  const name = `${kernel}: ${what}`;
  // A kernel that does not compile would fail every test: only a wrong result counts.
  if (log.includes('KernelError')) report('failed', `${name}: the kernel does not compile`, log);
  else if (ran > 0 && failed > 0 && log.includes('ERR_ASSERTION')) report('passed', name);
  else if (ran === 0 && needs) report('skipped', `${name} (no ${needs})`);
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
const compiled = (process.env['RETINAFACE_TEST_COMPILED'] = await compile());
// Two at a time: one links and loads while the other computes.
await Promise.all(
  [0, 1].map(async () => {
    for (let next = work.shift(); next; next = work.shift()) await next();
  }),
);
removeCompiled(compiled);
const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : '';
console.log(`${counts.passed} passed, ${counts.failed} failed${skipped}`);
process.exitCode = counts.failed > 0 || counts.passed === 0 ? 1 : 0;
