import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';

const root = fileURLToPath(new URL('../..', import.meta.url));

test('bench says how it is used, and what is wrong with other arguments, without measuring anything', () => {
  const bench = (...args: readonly string[]) =>
    spawnSync(process.execPath, ['--import', 'tsx', 'bench/run.ts', ...args], { cwd: root, encoding: 'utf8' });
  const help = bench('--help');
  assert.equal(help.status, 0);
  assert.match(help.stdout, /--compare OLD NEW/);
  const wrong = bench('--jsno', 'x');
  assert.equal(wrong.status, 2);
  assert.match(wrong.stderr, /^bench: expected options that it has, got .*'--jsno'[^\n]*\n$/);
});

test.run();
