// Runs test files, each in a process of its own, and counts. `npm test -- NAME…` picks files whose path holds a name.
// A file that runs no test fails the run. The last line is `N passed, N failed`, with `, N skipped` where some were.
import { readdirSync } from 'node:fs';
import { relative } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('.', import.meta.url));
const wanted = process.argv.slice(2);
const files = readdirSync(root, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
  .map((entry) => `${entry.path}/${entry.name}`)
  .filter((file) => wanted.length === 0 || wanted.some((name) => relative(root, file).includes(name)))
  .sort();

process.env['XDG_RUNTIME_DIR'] ??= '/tmp';
const counts = { passed: 0, failed: 0, skipped: 0 };
const silent = new Set(files);
// The GPU drivers for the CPU use all cores themselves; two files at a time keep the host's part busy too.
const stream = run({ files, concurrency: 2, timeout: 300_000 });
const countOf = (
  data: { readonly skip?: string | boolean | undefined; readonly todo?: string | boolean | undefined },
  kind: 'passed' | 'failed',
) => (data.skip !== undefined ? 'skipped' : kind);
for (const kind of ['passed', 'failed'] as const) {
  stream.on(kind === 'passed' ? 'test:pass' : 'test:fail', (data) => {
    // A file reports itself as a test around its own: that is no test of ours unless the file broke down.
    const isFile = data.nesting === 0 && files.includes(data.name);
    if (isFile && kind === 'passed') return;
    counts[countOf(data, kind)]++;
    if (data.file !== undefined) silent.delete(data.file);
  });
}
stream.compose(new spec()).pipe(process.stdout);
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
