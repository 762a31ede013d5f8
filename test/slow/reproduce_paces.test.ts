import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import { heldScenes, type Teaching, teachScenes } from '../../src/cli/reproduce/material.js';
import { measuredPaces } from '../../src/cli/reproduce/paces.js';
import { type Settings, taught, trainOne, VARIANTS } from '../../src/cli/reproduce/runs.js';
import { syntheticScene } from '../../src/data/synthetic.js';
import { testDevice as device } from '../helpers/device.js';

const out = mkdtempSync(join(tmpdir(), 'retinaface-paces-'));
test.after(() => {
  rmSync(out, { recursive: true, force: true });
});

const settings: Settings = {
  budget: { seconds: 30 },
  ...{ foundation: null, finish: null, real: null, loss: 'published', paced: true },
  ...{ width: 0.25, size: 64, batch: 2, scenes: 2, held: 1, rate: 0.02, clip: 30 },
};
const scenes = [0, 1].map((i) => syntheticScene(3, i, { size: 80 }));
const teaching: Teaching = teachScenes({
  training: scenes,
  held: heldScenes([syntheticScene(4, 0, { size: 64 })], 64),
});
const study = { out, settings, say: () => undefined };
const file = join(out, 'paces.json');

test('minutes counted by steps are so many steps, whatever the clock says, and equal seeds give equal bits', async () => {
  const weights: Buffer[] = [];
  for (const name of ['first', 'second']) {
    const folder = join(out, name);
    const { steps, seconds, log } = await trainOne(
      { ...study, out: folder },
      {
        ...{ variant: 'baseline', seed: 5, taught: taught('baseline', settings), device, teaching },
        ...{ scenes: [], real: undefined, backbone: undefined, pace: 7.5 },
      },
    );
    assert.deepEqual([steps, seconds], [4, 30]);
    assert.deepEqual(
      log.filter((entry) => 'total' in entry).map(({ spent }) => spent),
      [7.5, 15, 22.5, 30],
    );
    weights.push(readFileSync(join(folder, 'baseline-5', 'scenes.safetensors')));
  }
  assert.ok(weights[0]!.equals(weights[1]!));
});

test("each network's steps are timed once, and the times kept for the settings and the adapter they are of", async () => {
  const give = { device, teaching, kept: 0 };
  const paces = await measuredPaces(study, give, { rounds: 1, seconds: 1e-6 });
  assert.deepEqual(Object.keys(paces), [...VARIANTS, 'backbone']);
  assert.ok(Object.values(paces).every((pace) => pace > 0 && pace < 60));
  assert.deepEqual(await measuredPaces(study, { ...give, kept: 3 }), paces);
  assert.ok(readdirSync(out).includes('paces.json'));
  await assert.rejects(measuredPaces({ ...study, settings: { ...settings, size: 96 } }, give), {
    name: 'ArgumentError',
    message: /"size":96.*"size":64/s,
  });
});

test('times that are damaged, or gone although runs were counted by them, are errors', async () => {
  for (const damaged of ['{', '[]', '{"paces":{"baseline":1}}']) {
    writeFileSync(file, damaged);
    await assert.rejects(measuredPaces(study, { device, teaching, kept: 0 }), {
      name: 'FileError',
      message: /the seconds of a step of each network/,
    });
  }
  rmSync(file);
  await assert.rejects(measuredPaces(study, { device, teaching, kept: 3 }), {
    name: 'FileError',
    message: /the 3 runs in .* were counted/,
  });
});

test.run();
