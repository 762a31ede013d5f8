// Batch jobs as schedulers drive them: shards, kills at any moment, a full disk, and one file in the end.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import { detect } from '../../src/cli/detect.js';
import { merge } from '../../src/cli/merge.js';
import { randomOf } from '../../src/data/random.js';
import { BatchFolder, listOf } from '../../src/scale/batch_folder.js';
import { rangeOf, readShard } from '../../src/scale/shard.js';
import { testUnless } from '../helpers/unless.js';
import { COMMAND, contentsOf, drawScenes, type Finished, start, type StartOptions } from './retinaface.js';

const KILLS = 10;
const folder = await mkdtemp(join(tmpdir(), 'retinaface-batch-'));
test.after(() => rm(folder, { recursive: true }));

const run = (args: readonly string[], options: StartOptions = {}): Promise<Finished> =>
  start(args, { cwd: folder, ...options }).finished;

async function succeed(args: readonly string[], options: StartOptions = {}): Promise<Finished> {
  const finished = await run(args, options);
  assert.equal(finished.code, 0, finished.stderr);
  return finished;
}

await drawScenes(join(folder, 'pictures'), 60);
const names = (await readdir(join(folder, 'pictures'))).sort().map((name) => `pictures/${name}`);
// Two that fail, one that is listed twice, and an empty line.
await writeFile(join(folder, 'pictures/torn.jpg'), (await readFile(join(folder, names[0]!))).subarray(0, 200));
const listed = [...names.slice(0, 30), 'pictures/torn.jpg', ...names.slice(30), 'pictures/absent.jpg'];
await writeFile(join(folder, 'list.txt'), `${[...listed, '', names[3]!].join('\n')}\n`);

/** A job of every test here: its pictures in parts of four. */
const job = (out: string, ...more: readonly string[]): string[] => [
  ...['detect', 'list.txt', '--out', out, '--part', '4', '--size', '64', '--batch', '3', '--quiet'],
  ...more,
];

/** The same, for a command in this process, which stands elsewhere. */
const inFolder = (args: readonly string[]): string[] =>
  args.map((arg) => (['list.txt', 'pictures', 'whole'].includes(arg) ? join(folder, arg) : arg));

let expected = '';

test('shards, merged in the order of the list, are what detect --json says of each picture', async () => {
  const one = await run(['detect', '-', '--json', '--size', '64', '--quiet'], { input: `${listed.join('\n')}\n` });
  assert.equal(one.code, 1, 'two pictures fail');
  expected = one.stdout;
  assert.equal(expected.trim().split('\n').length, listed.length);
  assert.match(expected, /"faces":\[\{"score"/);
  for (const shard of ['2/3', '0/3']) await succeed(job('three', '--shard', shard));
  const early = await run(['merge', 'three']);
  assert.equal(early.code, 1);
  assert.match(early.stderr, /expected all 3 shards, complete, got 2 of them, missing: 1\/3\. Run the commands/);
  assert.equal(early.stdout, '');
  await succeed(job('elsewhere', '--shard', 'auto'), { env: { JOB_COMPLETION_INDEX: '1', JOB_COMPLETIONS: '3' } });
  const merged = await succeed(['merge', 'three', 'elsewhere']);
  assert.equal(merged.stdout, expected);
  assert.match(merged.stderr, /62 pictures of 3 shards; 2 of them failed/);
  await succeed(['merge', 'three', 'elsewhere/shard-0001-of-0003', '--out', 'three.jsonl']);
  assert.equal(await readFile(join(folder, 'three.jsonl'), 'utf8'), expected);
  const failed = (await readFile(join(folder, 'elsewhere/shard-0001-of-0003/failed.jsonl'), 'utf8')).trim().split('\n');
  assert.deepEqual(
    failed.map((line) => (JSON.parse(line) as { file: string }).file),
    ['pictures/torn.jpg'],
  );
});

test(`a job that is killed at ${KILLS} moments goes on, and leaves the same bytes as one that was not`, async () => {
  const began = performance.now();
  await succeed(job('whole'));
  const time = performance.now() - began;
  const whole = await contentsOf(join(folder, 'whole'));
  assert.equal(Object.keys(whole).length, Math.ceil(listed.length / 4) + 2);
  const random = randomOf(1, 0, 0);
  let kills = 0;
  let moved = 0;
  for (let round = 0; kills < KILLS; round++) {
    const out = `killed-${round}`;
    for (let done = false; !done;) {
      const before = Object.keys(await contentsOf(join(folder, out)).catch(() => ({}))).length;
      const { child, finished } = start(job(out), { cwd: folder });
      // Work begins late in a process's life: two thirds of the moments fall into it.
      const moment = time * (kills % 3 === 0 ? random.next() * 0.6 : 0.6 + 0.4 * random.next());
      const timer = setTimeout(() => child.kill('SIGKILL'), kills < KILLS ? moment : 600_000);
      const { code, stderr } = await finished;
      clearTimeout(timer);
      if (code === null) kills++;
      else assert.equal(code, 0, stderr);
      if (Object.keys(await contentsOf(join(folder, out)).catch(() => ({}))).length > before) moved++;
      done = code === 0;
    }
    assert.deepEqual(await contentsOf(join(folder, out)), whole);
  }
  assert.ok(moved > 1, 'some were killed at work');
});

const mount = ['-rm', 'sh', '-c', 'mkdir -p "$0" && mount -t tmpfs -o size=64k tmpfs "$0"', join(folder, 'tried')];
const noMount = spawnSync('unshare', mount).status === 0 ? undefined : 'no file system of its own can be mounted here';

testUnless(noMount)('on a full disk nothing half-written stays, and the job goes on once there is room', async () => {
  const script = `
    cd "$0" && mkdir -p small && mount -t tmpfs -o size=24k tmpfs small || exit 90
    "$@"; code=$?
    [ $code -eq 1 ] || exit 91
    ls -A small/*/ | grep tmp && exit 92
    ls small/*/part-000000.jsonl && ! ls small/*/failed.jsonl || exit 93
    mount -o remount,size=8m small && "$@" && cp -r small copied`;
  const { status, stderr } = spawnSync('unshare', ['-rm', 'sh', '-c', script, folder, ...COMMAND, ...job('small')], {
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
  assert.match(stderr, /ENOSPC[^\n]*Make room on the disk/);
  assert.deepEqual(await contentsOf(join(folder, 'copied')), await contentsOf(join(folder, 'whole')));
});

test('a folder of another job is left as it is; what was done is not done again', async () => {
  const before = await contentsOf(join(folder, 'whole'));
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [job('whole', '--score', '0.6'), /whose options is .*"scoreThreshold":0\.5.*got .*0\.6/],
    [job('whole', '--weights', 'synthetic'), /whose weights is/],
    [
      ['detect', 'pictures', '--out', 'whole', '--part', '4', '--size', '64'],
      /whose list is .*"pictures":62.*"pictures":61/,
    ],
  ];
  for (const [args, message] of cases)
    await assert.rejects(detect.run(inFolder(args).slice(1)), { name: 'FileError', message });
  // No device and no picture is looked at.
  await rm(join(folder, 'pictures'), { recursive: true });
  await succeed(job('whole'), { env: { VK_DRIVER_FILES: '/absent' } });
  assert.deepEqual(await contentsOf(join(folder, 'whole')), before);
});

test('merge refuses what does not belong together, and what was changed', async () => {
  await cp(join(folder, 'whole'), join(folder, 'changed'), { recursive: true });
  const part = join(folder, 'changed/shard-0000-of-0001/part-000003.jsonl');
  await writeFile(part, (await readFile(part, 'utf8')).replace('"file"', '"File"'));
  await mkdir(join(folder, 'empty'), { recursive: true });
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['changed'], /part-000003\.jsonl: expected a line of each of its pictures/],
    [['whole', 'changed'], /expected each shard once/],
    [['whole', 'three'], /expected shards of one job.*whose shard is/],
    [['empty'], /expected folders with shards of a job, got none in .*empty/],
    [['absent'], /expected a folder that can be read: .*absent/],
  ];
  for (const [folders, message] of cases) {
    for (const out of [[], ['--out', join(folder, 'merged.jsonl')]]) {
      const error = { name: 'FileError', message };
      await assert.rejects(merge.run([...folders.map((name) => join(folder, name)), ...out]), error);
    }
  }
  assert.ok(!(await readdir(folder)).some((name) => name.includes('merged.jsonl')));
});

test('shards of a list are the list, each picture once, as even as can be', () => {
  for (const length of [0, 1, 2, 7, 62, 1000, 2 ** 40]) {
    for (const count of [1, 2, 3, 7, 64]) {
      let at = 0;
      const sizes = [];
      for (let index = 0; index < count; index++) {
        const { first, end } = rangeOf({ index, count }, length);
        assert.equal(first, at);
        at = end;
        sizes.push(end - first);
      }
      assert.equal(at, length);
      assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1);
    }
  }
});

test('a shard keeps to the ways of computing that it was begun with, on each adapter', async () => {
  const { shard, list } = { shard: { index: 0, count: 1 }, list: listOf(['a.jpg']) };
  const batch = { shard, list, part: 1, options: {}, weights: { sha256: '' }, configuration: null, program: '1' };
  const out = join(folder, 'tuned');
  const first = await BatchFolder.open(out, batch, ['a.jpg']);
  assert.deepEqual(await first.searchOn({ name: 'one', choices: { conv: 'direct' } }), { conv: 'direct' });
  const second = await BatchFolder.open(out, batch, ['a.jpg']);
  assert.deepEqual(await second.searchOn({ name: 'one', choices: { conv: 'winograd' } }), { conv: 'direct' });
  assert.deepEqual(await second.searchOn({ name: 'two', choices: {} }), {});
  await second.write(0, [{ file: 'b.jpg' }]);
  await assert.rejects(second.complete(), {
    name: 'FileError',
    message: /part-000000\.jsonl: expected a line of each/,
  });
});

test('a shard is what the command or the scheduler says', () => {
  const slurm = { SLURM_ARRAY_TASK_ID: '3', SLURM_ARRAY_TASK_MIN: '0' };
  const known: readonly (readonly [string, Record<string, string>, readonly [number, number]])[] = [
    ['0/1', {}, [0, 1]],
    ['7/8', {}, [7, 8]],
    ['auto', { JOB_COMPLETION_INDEX: '2', JOB_COMPLETIONS: '5' }, [2, 5]],
    ['auto/5', { JOB_COMPLETION_INDEX: '2' }, [2, 5]],
    ['auto', { ...slurm, SLURM_ARRAY_TASK_MAX: '7', SLURM_ARRAY_TASK_COUNT: '8' }, [3, 8]],
    // Some tasks of an array alone, submitted again.
    ['auto/8', { ...slurm, SLURM_ARRAY_TASK_MAX: '5', SLURM_ARRAY_TASK_COUNT: '2' }, [3, 8]],
    ['auto', { AWS_BATCH_JOB_ARRAY_INDEX: '0', AWS_BATCH_JOB_ARRAY_SIZE: '4' }, [0, 4]],
  ];
  for (const [given, env, [index, count]] of known) assert.deepEqual(readShard(given, env), { index, count }, given);
  const wrong: readonly (readonly [string, Record<string, string>, RegExp])[] = [
    ['8/8', {}, /a shard of 0 to N - 1.*got 8 of 8/],
    ['1', {}, /to be I\/N, auto or auto\/N, got '1'/],
    ['-1/2', {}, /to be I\/N/],
    ['0/0', {}, /got 0 of 0/],
    ['auto', {}, /got none of JOB_COMPLETION_INDEX/],
    ['auto', { JOB_COMPLETION_INDEX: '2' }, /JOB_COMPLETIONS in Kubernetes.*got the index 2 alone/],
    ['auto', { ...slurm, SLURM_ARRAY_TASK_MAX: '5', SLURM_ARRAY_TASK_COUNT: '2' }, /got the index 3 alone/],
    ['auto/2', { JOB_COMPLETION_INDEX: '2' }, /got 2 of 2/],
  ];
  for (const [given, env, message] of wrong)
    assert.throws(() => readShard(given, env), { name: 'ArgumentError', message });
});

test('--out and --shard say what does not go with them', async () => {
  const cases: readonly (readonly [readonly [string, ...string[]], RegExp])[] = [
    [['detect', 'list.txt', '--shard', '0/2'], /expected --out beside --shard/],
    [['detect', 'list.txt', '--out', 'x', '--draw', 'y'], /--out without --draw/],
    [['detect', '--out', 'x'], /expected pictures, got none/],
    [['merge'], /expected folders, got none/],
  ];
  for (const [[name, ...args], message] of cases)
    await assert.rejects((name === 'merge' ? merge : detect).run(args), { name: 'ArgumentError', message });
});

test.run();
