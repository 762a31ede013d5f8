import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import { BENCH } from '../helpers/command_line.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

const folder = mkdtempSync(join(tmpdir(), 'retinaface-bench-'));
test.after(() => {
  rmSync(folder, { recursive: true, force: true });
});

const bench = (...args: readonly string[]) =>
  spawnSync(process.execPath, [...BENCH, ...args], { cwd: root, encoding: 'utf8' });

test('bench says how it is used, and what is wrong with other arguments, without measuring anything', () => {
  const help = bench('--help');
  assert.equal(help.status, 0);
  assert.match(help.stdout, /--compare OLD NEW/);
  const wrong = bench('--jsno', 'x');
  assert.equal(wrong.status, 2);
  assert.match(wrong.stderr, /^bench: expected options that it has, got .*'--jsno'[^\n]*\n$/);
});

test('two runs are compared, and what is slower beyond noise ends the comparison with exit code 1', () => {
  const file = (name: string, rows: readonly (readonly [string, number, number, number])[]): string => {
    const path = join(folder, name);
    writeFileSync(
      path,
      rows.map(([row, p10, median, p90]) => JSON.stringify({ name: row, p10, median, p90 })).join('\n'),
    );
    return path;
  };
  const old = file('old', [
    ['steady', 9, 10, 11],
    ['noisy', 5, 10, 20],
    ['slow', 9, 10, 11],
  ]);
  const now = file('now', [
    ['steady', 10, 11, 12],
    ['noisy', 12, 13, 14],
    ['slow', 12, 13, 14],
    ['fresh', 1, 1, 1],
  ]);
  const plain = bench('--compare', old, now);
  assert.equal(plain.status, 0);
  assert.match(plain.stdout, /slow +10\.00 → +13\.00 ms {2}0\.77× as fast\n/);
  assert.match(plain.stdout, /fresh .*new/);
  const strict = bench('--compare', old, now, '--fail-over', '1.15');
  assert.equal(strict.status, 1);
  assert.match(strict.stderr, /1 rows take more than 1\.15 times as long as before: slow\n/);
  assert.equal(bench('--compare', old, now, '--fail-over', '1.5').status, 0);
  assert.equal(bench('--compare', old, now, '--fail-over', 'x').status, 2);
  assert.equal(bench('--fail-over', '1.15').status, 2);
});

test.run();
