import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import { sharedBackbone } from '../../src/cli/reproduce/runs.js';

test('runs that are kept and a backbone that is gone are an error: another would make later runs another study', async () => {
  const out = await mkdtemp(join(tmpdir(), 'retinaface-study-'));
  const settings = { foundation: { steps: 1 }, width: 0.25, size: 96, batch: 8, scenes: 4 };
  const study = { out, settings, say: () => undefined } as unknown as Parameters<typeof sharedBackbone>[0];
  const rest = { kept: 3 } as unknown as Parameters<typeof sharedBackbone>[1];
  await assert.rejects(sharedBackbone(study, rest), {
    name: 'FileError',
    message: /that the 3 runs in .* have started from/,
  });
  await rm(out, { recursive: true });
});

test.run();
