// Trainings killed at random moments, while they save among others, and trainings whose disk is full: each goes on to the very
// bits of one that nothing happened to.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, watch } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import type { Random } from '../../src/tensor/random.js';
import { readPosition } from '../../src/train/checkpoint.js';
import { readLog, resumeEvents } from '../../src/train/event_log.js';
import { readSafetensors } from '../../src/weights/safetensors.js';
import { testUnless } from '../helpers/unless.js';
import { COMMAND, start } from '../scale/retinaface.js';
import { figures, randomOfCase, times } from './harness.js';

const KILLS = times(6, 100);
/** Kills in a row before a training may end. */
const MOST_IN_A_ROW = 6;
const FULL_DISKS = times(1, 20);

const folder = mkdtempSync(join(tmpdir(), 'retinaface-killed-'));
process.on('exit', () => {
  rmSync(folder, { recursive: true, force: true });
});

/** Six steps, each saved, and two evaluations. */
const training = (workdir: string): string[] => [
  ...['train', '--config', 'published-mobilenet0.25', '--synthetic', '6', '--size', '64', '--batch', '2'],
  ...['--epochs', '2', '--save-every', '1', '--evaluation', '2', '--workers', '0', '--schedule', 'constant:0.001'],
  ...['--quiet', '--workdir', workdir],
];

const isTemporary = (name: string): boolean => name.endsWith('.tmp');

/** What a training left: its weights to the bit, its log but for the times, and which files. */
function stateOf(workdir: string): object {
  const hash = (name: string): string => createHash('sha256').update(readFileSync(join(workdir, name))).digest('hex'); // prettier-ignore
  const log = readLog(readFileSync(join(workdir, 'log.jsonl'), 'utf8'));
  const events = readFileSync(join(workdir, 'events.tfevents'));
  assert.equal(resumeEvents(events, { step: Infinity }).length, events.length, 'a whole file of events');
  return {
    names: readdirSync(workdir).sort(),
    last: hash('last.safetensors'),
    best: hash('best.safetensors'),
    log: log.map((entry) => ({ ...entry, seconds: 0, imagesPerSecond: 0 })),
    // As many records of the same scalars; the clock is in each.
    events: events.length,
  };
}

/** Steps that are saved. */
function savedSteps(workdir: string): number {
  const file = join(workdir, 'last.safetensors');
  if (!existsSync(file)) return 0;
  return readPosition(readSafetensors(readFileSync(file), file).metadata, file).position.step;
}

const slowDisk = { NODE_OPTIONS: `--import=${new URL('./slow_disk.mjs', import.meta.url).href}` };

/** When a training is killed: at a moment of the clock, some time after a step was saved, or while a file is being written. */
const MOMENTS = ['clock', 'saved', 'writing', 'writing'] as const;
type Moment = (typeof MOMENTS)[number];

/** Arms such a kill; answers what disarms it. */
function killAt(moment: Moment, kill: () => void, workdir: string, random: Random, time: number): () => void {
  if (moment === 'clock') {
    const timer = setTimeout(kill, time * random.next());
    return () => {
      clearTimeout(timer);
    };
  }
  let left = random.int(moment === 'saved' ? 6 : 10);
  const delay = moment === 'saved' ? 60 * random.next() : 30 * random.next();
  const watcher = watch(workdir, (_, name) => {
    const awaited = name !== null && (moment === 'saved' ? name === 'last.safetensors' : isTemporary(name));
    if (!awaited || left-- > 0) return;
    watcher.close();
    setTimeout(kill, delay);
  });
  return () => {
    watcher.close();
  };
}

const whole = join(folder, 'whole');
let time = 0;
let expected: object = {};

test('a training writes the same bits each time', async () => {
  for (const name of ['first', 'whole']) {
    const began = performance.now();
    const { code, stderr } = await start(training(join(folder, name)), { cwd: folder }).finished;
    assert.equal(code, 0, stderr);
    // Of the second: the driver knows the kernels then.
    time = performance.now() - began;
  }
  expected = stateOf(whole);
  assert.deepEqual(stateOf(join(folder, 'first')), expected);
});

test('trainings that are killed go on to the bits of one that is not', async () => {
  let [kills, halves, chains, atWork] = [0, 0, 0, 0];
  for (; kills < KILLS; chains++) {
    const workdir = join(folder, 'killed');
    mkdirSync(workdir);
    let saved = 0;
    for (let inARow = 0; ; inARow++) {
      const random = randomOfCase('kills', kills);
      const moment = random.pick(MOMENTS);
      const { child, finished } = start(training(workdir), {
        cwd: folder,
        env: moment === 'writing' ? slowDisk : {},
      });
      const last = kills >= KILLS || inARow >= MOST_IN_A_ROW;
      const forget = last ? undefined : killAt(moment, () => child.kill('SIGKILL'), workdir, random, time);
      const { code, stderr } = await finished;
      forget?.();
      if (code === 0) break;
      assert.equal(code, null, stderr);
      kills++;
      if (readdirSync(workdir).some(isTemporary)) halves++;
      const now = savedSteps(workdir);
      assert.ok(now >= saved, `step ${saved} was saved, and is lost: ${now}`);
      if (now > 0) atWork++;
      saved = now;
    }
    assert.deepEqual(stateOf(workdir), expected, `training ${chains}, after ${kills} kills`);
    rmSync(workdir, { recursive: true });
  }
  figures('trainings killed', { kills, trainings: chains, 'with something saved': atWork, 'with a file half-written': halves }); // prettier-ignore
  assert.ok(halves > 0, 'none was killed while it wrote a file');
  assert.ok(atWork > KILLS / 4, `only ${atWork} of ${kills} were killed after their first step`);
});

const mount = ['-rm', 'sh', '-c', 'mkdir -p "$0" && mount -t tmpfs -o size=64k tmpfs "$0"', join(folder, 'tried')];
const noMount = spawnSync('unshare', mount).status === 0 ? undefined : 'no file system of its own can be mounted here';

testUnless(noMount)('a training whose disk is full leaves nothing half-written, and goes on once there is room', () => {
  const kibibytes = statSync(join(whole, 'last.safetensors')).size / 1024;
  // A command that fails otherwise than it should ends with a number of its own.
  const script = `
    cd "$0" && mkdir -p small && mount -t tmpfs -o size=$SIZE tmpfs small || exit 90
    for again in $TIMES; do
      "$@"; code=$?
      [ $code -eq 1 ] || exit 91
      ls -A small/run | grep -q tmp && exit 92
    done
    mount -o remount,size=64m small && "$@" || exit 93
    cp -r small/run full`;
  for (let i = 0; i < FULL_DISKS; i++) {
    const random = randomOfCase('full disks', i);
    // Up to two checkpoints and most of a third: the last, the best, and the one that is being written.
    const size = `${Math.round(20 + 2.9 * kibibytes * random.next())}k`;
    const env = { ...process.env, SIZE: size, TIMES: random.chance(0.5) ? '1 2' : '1' };
    const { status, stderr } = spawnSync('unshare', ['-rm', 'sh', '-c', script, folder, ...COMMAND, ...training('small/run')], { encoding: 'utf8', env }); // prettier-ignore
    assert.equal(status, 0, `on a disk of ${size}: ${stderr}`);
    assert.match(stderr, /ENOSPC[^\n]*Make room on the disk/);
    assert.deepEqual(stateOf(join(folder, 'full')), expected, `on a disk of ${size}`);
    rmSync(join(folder, 'full'), { recursive: true });
  }
  figures('trainings on a full disk', { trainings: FULL_DISKS });
});

test.run();
