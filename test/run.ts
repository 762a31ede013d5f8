// Runs test files, each in a process of its own, and counts. `npm test -- NAME…` picks files whose path holds a name.
// Those in slow/ and browser/ run only where a name says so: `npm run test:slow`, `npm run test:browser`.
// A file that runs no test fails the run. The last line is `N passed, N failed`, with `, N skipped` where some were.
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('.', import.meta.url));
const wanted = process.argv.slice(2);
const slow = wanted.some((name) => name.startsWith('slow'));
const files = readdirSync(root, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
  .map((entry) => join(entry.parentPath, entry.name))
  .filter((file) => {
    const path = relative(root, file);
    return wanted.length === 0 ? !/^(slow|browser)[/\\]/.test(path) : wanted.some((name) => path.includes(name));
  })
  .sort();

process.env['XDG_RUNTIME_DIR'] ??= '/tmp';
const counts = { passed: 0, failed: 0, skipped: 0 };
const silent = new Set(files);
// The GPU drivers for the CPU use all cores themselves; two files at a time keep the host's part busy too.
const stream = run({ files, concurrency: slow ? 1 : 2, timeout: slow ? 1_800_000 : 300_000 });
interface TestEvent {
  readonly name: string;
  readonly nesting: number;
  readonly file?: string | undefined;
  readonly skip?: string | boolean | undefined;
}

function count(event: TestEvent, kind: 'passed' | 'failed'): void {
  // A file reports itself as a test around its own: that is no test of ours unless the file broke down.
  if (event.nesting === 0 && files.includes(event.name) && kind === 'passed') return;
  counts[event.skip === undefined ? kind : 'skipped']++;
  if (event.file !== undefined) silent.delete(event.file);
}

stream.on('test:pass', (event: TestEvent) => {
  count(event, 'passed');
});
stream.on('test:fail', (event: TestEvent) => {
  count(event, 'failed');
});
stream.compose<NodeJS.ReadWriteStream>(new spec()).pipe(process.stdout);
stream.on('end', () => {
  // After the reporter has written its own summary.
  setImmediate(() => {
    for (const file of silent) {
      console.log(`no test ran in ${relative(root, file)}`);
      counts.failed++;
    }
    if (files.length === 0) counts.failed++;
    const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : '';
    console.log(`${counts.passed} passed, ${counts.failed} failed${skipped}`);
    process.exitCode = counts.failed > 0 ? 1 : 0;
  });
});
