import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import { formatJsonLines, parseJsonLines } from '../../src/data/labels.js';
import { train, withTrainingRemedy } from '../../src/cli/train.js';
import { syntheticScene } from '../../src/data/synthetic.js';
import { parseSchedule } from '../../src/train/schedule.js';
import { configurations } from '../../src/retinaface/config.js';
import { DeviceLostError, FileError } from '../../src/gpu/errors.js';
import { encodePng } from '../../src/node/codecs.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'retinaface-train-'));
test.after(() => {
  rmSync(folder, { recursive: true, force: true });
});

const command = ['--import', 'tsx', 'src/cli/main.ts', 'train', '--config', 'published-mobilenet0.25'];
const small = ['--size', '64', '--batch', '2', '--epochs', '3', '--schedule', 'constant:0.001', '--evaluation', '2'];
const scenes = [...command, ...small, '--synthetic', '8', '--save-every', '1'];

const run = (args: readonly string[]) => spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });

const TIMES = ['imagesPerSecond', 'seconds'];

/** Steps of a run's log, each as its numbers but for the speed. */
const logOf = (workdir: string) =>
  readFileSync(join(workdir, 'log.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => {
      const entry = JSON.parse(line) as Record<string, number>;
      return Object.fromEntries(Object.entries(entry).filter(([key]) => !TIMES.includes(key)));
    });

test('a run that was killed goes on by the same command, bit for bit', async () => {
  const [whole, killed] = [join(folder, 'whole'), join(folder, 'killed')];
  const first = run([...scenes, '--workdir', whole]);
  assert.equal(first.status, 0, first.stderr);
  const child = spawn(process.execPath, [...scenes, '--workdir', killed], { cwd: root, stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  while (!existsSync(join(killed, 'last.safetensors'))) await sleep(5);
  child.kill('SIGKILL');
  await ended;
  const second = run([...scenes, '--workdir', killed]);
  assert.equal(second.status, 0, second.stderr);
  assert.match(second.stderr, /going on after step/);
  const bytes = (workdir: string) => readFileSync(join(workdir, 'last.safetensors'));
  // The header names no folder and no time: files of equal runs are equal.
  assert.ok(bytes(whole).equals(bytes(killed)));
  assert.deepEqual(logOf(whole), logOf(killed));
  assert.equal(logOf(whole).filter((entry) => 'total' in entry).length, 12);
  for (const name of ['best.safetensors', 'events.tfevents', 'curves.png'])
    assert.ok(existsSync(join(whole, name)), name);
});

test('another command in the same folder is refused, and harms nothing', () => {
  const workdir = join(folder, 'whole');
  const before = readFileSync(join(workdir, 'last.safetensors'));
  const other = run([...scenes, '--workdir', workdir, '--seed', '2']);
  assert.equal(other.status, 2);
  assert.match(other.stderr, /same command/);
  assert.ok(readFileSync(join(workdir, 'last.safetensors')).equals(before));
});

test('Ctrl-C saves and ends; the curves are drawn before', async () => {
  const workdir = join(folder, 'interrupted');
  const child = spawn(process.execPath, [...scenes, '--workdir', workdir, '--epochs', '1000'], {
    cwd: root,
    stdio: 'ignore',
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  while (!existsSync(join(workdir, 'curves.png'))) await sleep(20);
  assert.equal(child.exitCode, null);
  child.kill('SIGINT');
  assert.equal(await ended, 0);
  assert.ok(existsSync(join(workdir, 'last.safetensors')));
});

/** Keeps 3.png and 5.png of six out of training. */
const HOLDOUT = ['--holdout', '34%'];

/** Options of a training on six drawn pictures in a folder, none held out; the damaged ones are no pictures. */
function ownPictures(name: string, damaged: readonly number[]): string[] {
  const pictures = join(folder, name);
  mkdirSync(pictures);
  const samples = Array.from({ length: 6 }, (_, i) => {
    const { picture, faces } = syntheticScene(3, i, { size: 96 });
    writeFileSync(join(pictures, `${i}.png`), damaged.includes(i) ? 'no picture' : encodePng(picture));
    return { name: `${i}.png`, faces };
  });
  const labels = join(folder, `${name}.jsonl`);
  writeFileSync(labels, formatJsonLines(samples));
  return [...command, ...small, '--images', pictures, '--labels', labels, '--epochs', '1'];
}

test("one's own pictures with JSON lines are learnt from; those that cannot be read are named and left out", () => {
  const own = [...ownPictures('pictures', [2, 5]), ...HOLDOUT];
  const first = run([...own, '--workdir', join(folder, 'own')]);
  assert.equal(first.status, 0, first.stderr);
  assert.match(first.stderr, /skipped 2\.png/);
  assert.match(first.stderr, /1 of 4 pictures skipped/);
  assert.equal(first.stderr.match(/held-out 5\.png is left out/g)?.length, 1);
  assert.match(first.stderr, /1 of 2 held-out pictures left out/);
  assert.match(first.stderr, /average precision [\d.]+ on 1 pictures kept out/);
  assert.match(first.stderr, /held out: .*fnv1a32.*share 0\.34/);
  const heldOut = readFileSync(join(folder, 'own', 'held-out', 'pictures.jsonl'), 'utf8');
  assert.deepEqual(
    parseJsonLines(heldOut).samples.map(({ name }) => name),
    ['3.png'],
  );
  const strict = run([...own, '--workdir', join(folder, 'strict'), '--skip-limit', '0', '--quiet']);
  assert.equal(strict.status, 1);
  assert.doesNotMatch(strict.stderr, /skipped 2/);
  assert.match(strict.stderr, /^retinaface train: .*at most 0 that cannot be read.*2\.png.*--skip-limit/m);
});

test('--quiet says what was left out, at the end', () => {
  const quiet = run([...ownPictures('quiet', [5]), ...HOLDOUT, '--workdir', join(folder, 'quiet-run'), '--quiet']);
  assert.equal(quiet.status, 0, quiet.stderr);
  assert.match(quiet.stderr, /^2 of 2 steps done.*, 1 of 2 held-out pictures left out as unreadable: .*\n$/m);
  assert.doesNotMatch(quiet.stderr, /5\.png|^epoch/m);
});

test('held-out pictures of which none can be read are an error before the first step', () => {
  const workdir = join(folder, 'blind');
  const { status, stderr } = run([...ownPictures('unreadable', [3, 5]), ...HOLDOUT, '--workdir', workdir]);
  assert.equal(status, 1);
  assert.match(stderr, /at least one of 2 held-out pictures.*3\.png/);
  assert.ok(!existsSync(workdir));
  const all = run([...ownPictures('held', []), '--workdir', workdir, '--holdout', '95%']);
  assert.equal(all.status, 2);
  assert.match(all.stderr, /pictures of .*held\.jsonl to learn from.*all 6 held out/);
});

test('several sources, one of them without faces, and scenes are learnt from without a hold-out, bit for bit', async () => {
  const own = ownPictures('first', []);
  const [pictures, labels] = [join(folder, 'first'), join(folder, 'bare.jsonl')];
  writeFileSync(labels, formatJsonLines([0, 1, 2, 3].map((i) => ({ name: `${i}.png`, faces: [] }))));
  const others = ['--images', pictures, '--labels', `${labels},weight=0.5`, '--synthetic', '9,share=20%'];
  const options = [...own, ...others, '--epochs', '2', '--save-every', '1'];
  const [whole, killed] = [join(folder, 'several'), join(folder, 'several-killed')];
  const first = run([...options, '--workdir', whole, '--workers', '0']);
  assert.equal(first.status, 0, first.stderr);
  assert.match(first.stderr, /loss published-negatives/);
  assert.match(first.stderr, /^bare +4 +0 +0 +0 +0 +0 +2$/m);
  assert.match(first.stderr, /^scenes +9 +2$/m);
  const child = spawn(process.execPath, [...options, '--workdir', killed], { cwd: root, stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  while (!existsSync(join(killed, 'last.safetensors'))) await sleep(5);
  child.kill('SIGKILL');
  await ended;
  const second = run([...options, '--workdir', killed, '--workers', '2']);
  assert.equal(second.status, 0, second.stderr);
  // 6 pictures, half of 4 and a fifth of all: 10 draws, 5 steps.
  assert.equal(logOf(whole).length, 10);
  assert.deepEqual(logOf(whole), logOf(killed));
  assert.ok(readFileSync(join(whole, 'last.safetensors')).equals(readFileSync(join(killed, 'last.safetensors'))));
});

test('a dry run says what a training takes, and writes nothing', () => {
  const workdir = join(folder, 'dry');
  const { status, stdout } = run([...scenes, '--workdir', workdir, '--dry-run']);
  assert.equal(status, 0);
  assert.match(stdout, /parameters +426,608/);
  assert.match(stdout, /device memory +\d+ MiB/);
  const firstLoss = (text: string): string | undefined => /first loss ([\d.]+)/.exec(text)?.[1];
  const stretched = run([...scenes, '--workdir', workdir, '--dry-run', '--stretch', '2']);
  assert.ok(firstLoss(stretched.stdout));
  assert.notEqual(firstLoss(stretched.stdout), firstLoss(stdout));
  assert.ok(!existsSync(workdir));
});

test('a device that is too small, or lost, is told with the options to change', () => {
  const large = ['--scene', '32', '--size', '4096', '--batch', '64'];
  const { status, stderr } = run([...scenes, ...large, '--workdir', join(folder, 'large')]);
  assert.equal(status, 1);
  assert.match(stderr, /lower --batch and raise --accumulate/);
  const problem = {
    operation: 'use the device',
    expected: 'a working one',
    got: 'a lost one',
    remedy: 'Open another.',
  };
  const lost = withTrainingRemedy(new DeviceLostError(problem));
  assert.ok(lost instanceof DeviceLostError);
  assert.match(lost.message, /same command to go on.*--batch/);
  const other = new FileError(problem);
  assert.equal(withTrainingRemedy(other), other);
});

test('wrong options are named', () => {
  const without = run([...command, '--workdir', join(folder, 'none')]);
  assert.equal(without.status, 2);
  assert.match(without.stderr, /a source or several: --data DIR, --images DIR with --labels FILE, --synthetic N/);
  const schedule = run([...scenes, '--workdir', join(folder, 'none'), '--schedule', 'fast']);
  assert.equal(schedule.status, 2);
  const loss = run([...scenes, '--workdir', join(folder, 'none'), '--loss', 'mine']);
  assert.match(loss.stderr, /one of report, report-strict, paper, published, published-negatives/);
  const stretch = run([...scenes, '--workdir', join(folder, 'none'), '--stretch', '2', '--no-augment']);
  assert.equal(stretch.status, 2);
  assert.match(stretch.stderr, /expected --stretch or --no-augment, got both/);
  const skips = run([...scenes, '--workdir', join(folder, 'none'), '--skip-limit', '0.5']);
  assert.match(skips.stderr, /--skip-limit to be a whole number of at least 0/);
  assert.ok(!existsSync(join(folder, 'none')));
});

test('beside every configuration stands a command that trains it, with options that exist', () => {
  const text = readFileSync(join(root, 'src/retinaface/config.ts'), 'utf8');
  const commands = [...text.matchAll(/`retinaface train ([^`]+)`/g)].map(([, args]) => args!.split(' '));
  const trained = commands.map((args) => args[args.indexOf('--config') + 1]);
  assert.deepEqual([...new Set(trained)].sort(), Object.keys(configurations).sort());
  for (const form of ['report', 'paper', 'constant:', 'cosine:', 'step:', 'piecewise:', '+warmup:'])
    assert.ok(train.help.includes(` ${form}`), form);
  for (const args of commands) {
    for (const option of args.filter((arg) => arg.startsWith('--')))
      assert.ok(train.help.includes(`${option} `), option);
    const schedule = args.indexOf('--schedule');
    if (schedule >= 0) parseSchedule(args[schedule + 1]!);
  }
});

test.run();
