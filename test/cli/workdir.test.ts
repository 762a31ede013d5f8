import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
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

test.run();
