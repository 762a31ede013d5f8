// Runs test files, each in a process of its own, and counts. `npm test -- NAME…` picks files whose path holds a name.
// Those in slow/, browser/, torture/ and scale/ run only where a name says so: `npm run test:slow`, `npm run test:scale` …
// A file that runs no test fails the run. The last line is `N passed, N failed`, with `, N skipped` where some were.
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { compile, removeCompiled } from './compile.js';
import { runFile, TESTS, wordsOf } from './test_file.js';

const MINUTE = 60_000;
const wanted = process.argv.slice(2);
const slow = wanted.some((name) => /^(slow|torture|scale)/.test(name));
const files = readdirSync(TESTS, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts') && !entry.parentPath.includes('node_modules'))
  .map((entry) => join(entry.parentPath, entry.name))
  .filter((file) => {
    const path = relative(TESTS, file);
    return wanted.length === 0
      ? !/^(slow|browser|torture|scale)[/\\]/.test(path)
      : wanted.some((name) => path.includes(name));
  })
  .sort();

const counts = { passed: 0, failed: files.length === 0 ? 1 : 0, skipped: 0 };

async function run(file: string): Promise<void> {
  const began = performance.now();
  const { passed, failed, skipped, log } = await runFile(file, {
    limit: slow ? 30 * MINUTE * (process.env['RETINAFACE_TORTURE'] ? 20 : 1) : 5 * MINUTE,
  });
  counts.passed += passed;
  counts.failed += failed;
  counts.skipped += skipped;
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  const numbers = [
    `${passed} passed`,
    ...(failed ? [`${failed} failed`] : []),
    ...(skipped ? [`${skipped} skipped`] : []),
  ];
  console.log(`${failed > 0 ? '✖' : '✔'} ${relative(TESTS, file)}: ${numbers.join(', ')} (${seconds} s)`);
  const words = failed > 0 ? log : wordsOf(log);
  if (words) console.log(words.replace(/^/gm, '    '));
}

const compiled = process.env['RETINAFACE_TEST_DENO'] === undefined ? await compile() : undefined;
if (compiled !== undefined) process.env['RETINAFACE_TEST_COMPILED'] = compiled;

// The GPU drivers for the CPU use all cores themselves; two files at a time keep the host's part busy too.
const waiting = [...files];
await Promise.all(
  Array.from({ length: slow ? 1 : 2 }, async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) await run(file);
  }),
);
if (compiled !== undefined) removeCompiled(compiled);
const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : '';
console.log(`${counts.passed} passed, ${counts.failed} failed${skipped}`);
process.exitCode = counts.failed > 0 ? 1 : 0;
