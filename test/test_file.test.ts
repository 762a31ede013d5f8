// That the runner of tests cannot be deceived: each of these files goes wrong in a way of its own.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import { runFile, TESTS } from './test_file.js';

// Below the project, where `uvu` is found.
const folder = await mkdtemp(join(TESTS, '.runner-'));
test.after(() => rm(folder, { recursive: true }));

let files = 0;
async function counts(text: string, limit = 20_000): Promise<readonly number[]> {
  const file = join(folder, `${files++}.mjs`);
  await writeFile(file, `import { test } from 'uvu';\n${text}`);
  const { ran, passed, failed, skipped } = await runFile(file, { limit });
  return [ran, passed, failed, skipped];
}

test('tests are counted by what became of them', async () => {
  const text = "test('a', () => {}); test('b', () => { throw new Error('no'); }); test.skip('c'); test.run();";
  assert.deepEqual(await counts(text), [2, 1, 1, 1]);
});

test('a file that runs nothing has failed', async () => {
  assert.deepEqual(await counts("test('a', () => {});"), [0, 0, 1, 0]);
  assert.deepEqual(await counts('test.run();'), [0, 0, 1, 0]);
});

test('a file whose tests are all skipped has not failed', async () => {
  assert.deepEqual(await counts("test.skip('a'); test.run();"), [0, 0, 0, 1]);
});

test('a throw in a hook is a failure, before, around and after the tests', async () => {
  const hooked = (hook: string) =>
    counts(`${hook}(() => { throw new Error('hook'); }); test('a', () => {}); test('b', () => {}); test.run();`);
  const hooks = ['test.before', 'test.before.each', 'test.after.each', 'test.after'];
  const [before, beforeEach, afterEach, after] = await Promise.all(hooks.map(hooked));
  assert.deepEqual(before, [2, 0, 2, 0]);
  assert.equal(beforeEach![2], 2);
  assert.ok(afterEach![2]! > 0);
  assert.ok(after![2]! > 0);
});

test('what breaks down outside of tests has failed', async () => {
  assert.deepEqual(await counts("throw new Error('at once');"), [0, 0, 1, 0]);
  const later = "test('a', () => {}); test.after(() => process.exit(3)); test.run();";
  assert.ok((await counts(later))[2]! > 0);
});

test('a file that never ends is killed', async () => {
  assert.ok(
    (await counts("test('a', () => new Promise(() => { setInterval(() => {}, 1000); })); test.run();", 1500))[2]! > 0,
  );
});

test.run();
