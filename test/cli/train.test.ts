import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import { train, withTrainingRemedy } from '../../src/cli/train.js';
import { parseSchedule } from '../../src/train/schedule.js';
import { configurations } from '../../src/retinaface/config.js';
import { DeviceLostError, FileError } from '../../src/gpu/errors.js';
import { RETINAFACE } from '../helpers/command_line.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'retinaface-train-'));
test.after(() => {
  rmSync(folder, { recursive: true, force: true });
});

const command = [...RETINAFACE, 'train', '--config', 'published-mobilenet0.25'];
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
