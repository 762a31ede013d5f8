import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import { Workdir } from '../../src/cli/train/workdir.js';
import type { Trainer } from '../../src/train/trainer.js';

const root = await mkdtemp(join(tmpdir(), 'retinaface-workdir-'));
test.after(() => rm(root, { recursive: true }));

/** Asked for nothing where there is no checkpoint to take up. */
const trainer = {} as unknown as Trainer;

test('a folder that cannot be made is an error that says so', async () => {
  await assert.rejects(Workdir.open('/proc/retinaface/run', trainer, '{}'), {
    name: 'FileError',
    message: /make the folder \/proc\/retinaface\/run.*Name another folder/,
  });
});

const step = (index: number) => ({ step: index, epoch: 0, total: 1 / index });

test('a log that cannot be written ends a training at the next save, which does not come behind it', async () => {
  const folder = join(root, 'run');
  const { workdir } = await Workdir.open(folder, trainer, '{}');
  workdir.record(step(1));
  await workdir.settle();
  const log = workdir.file('log.jsonl');
  await rm(log);
  await mkdir(log);
  workdir.record(step(2));
  workdir.record(step(3));
  // An error that nobody waits for would end the process here.
  await workdir.settle();
  const told = { name: 'FileError', message: /write the log of .*run.*EISDIR/ };
  await assert.rejects(workdir.save(new Uint8Array(8), 'last'), told);
  await assert.rejects(workdir.draw(), told);
  assert.deepEqual((await readdir(folder)).sort(), ['events.tfevents', 'log.jsonl']);
});

test('once what was recorded has settled, another may open the folder', async () => {
  const folder = join(root, 'again');
  const { workdir } = await Workdir.open(folder, trainer, '{}');
  for (let i = 1; i <= 20; i++) workdir.record(step(i));
  await workdir.settle();
  assert.equal((await readFile(workdir.file('log.jsonl'), 'utf8')).trim().split('\n').length, 20);
  // Without a checkpoint it begins anew, and nothing of before is written behind that.
  const next = await Workdir.open(folder, trainer, '{}');
  next.workdir.record(step(1));
  await next.workdir.settle();
  assert.equal((await readFile(workdir.file('log.jsonl'), 'utf8')).trim().split('\n').length, 1);
});

test.run();
