import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import { teachPhotographs } from '../../src/cli/reproduce/material.js';
import { TrainingSources } from '../../src/cli/train/sources.js';
import { holdoutPlace } from '../../src/data/holdout.js';
import { formatJsonLines } from '../../src/data/labels.js';
import { syntheticScene } from '../../src/data/synthetic.js';
import { encodePng } from '../../src/node/codecs.js';
import { RetinaFace } from '../../src/node/retinaface.js';
import { freeBatch } from '../../src/train/trainer.js';
import { testDevice as device } from '../helpers/device.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'retinaface-photographs-'));
test.after(() => {
  rmSync(folder, { recursive: true, force: true });
});
const silent = (): void => undefined;

const samples = Array.from({ length: 8 }, (_, i) => {
  const { picture, faces } = syntheticScene(3, i, { size: 96 });
  writeFileSync(join(folder, `${i}.png`), encodePng(picture));
  return { name: `${i}.png`, faces };
});
const labels = join(folder, 'faces.jsonl');
writeFileSync(labels, formatJsonLines(samples));

const sourcesOf = (holdout: number) =>
  TrainingSources.read(
    {
      labels: [{ path: labels, images: folder, weight: 1, holdout: undefined }],
      scenes: undefined,
      sceneSize: 64,
      heldSceneSize: 64,
      holdout,
      evaluationScenes: 1,
      seed: 1,
    },
    silent,
  );

test('runs on photographs are measured on the first of those held out, by their place among all', async () => {
  const { held } = await teachPhotographs(await sourcesOf(0.5), { most: 2, say: silent });
  const places = samples.map(({ name }) => holdoutPlace(name)).filter((place) => place < 0.5);
  const first = places.toSorted((a, b) => a - b).slice(0, 2);
  const names = [0, 1].map((i) => held.source.name(i));
  assert.deepEqual([names.map(holdoutPlace), held.source.length], [first, 2]);
  assert.deepEqual(
    held.truth.pictures.map(({ name }) => `${name}.png`),
    names,
  );
  assert.equal((await held.source.load(0)).width, 96);
  await assert.rejects(async () => teachPhotographs(await sourcesOf(0), { most: 2, say: silent }), /to measure on/);
});

test('a step of a run has the same pictures whenever it is made', async () => {
  const { open } = await teachPhotographs(await sourcesOf(0.5), { most: 2, say: silent });
  using model = new RetinaFace(device, 'published-mobilenet0.25');
  model.initialise(1);
  const inputs: unknown[] = [];
  for (const steps of [[0, 1, 2, 3], [3]]) {
    const run = open(model, { batch: 2, size: 32, seed: 4 });
    for (const step of steps) {
      const batch = await run.batch(step);
      if (step === 3) inputs.push(await batch.x.read());
      freeBatch(batch);
    }
    await run.close();
  }
  assert.deepEqual(inputs[0], inputs[1]);
});

test('reproduce:real without photographs says what to name, and writes nothing', () => {
  const { status, stderr } = spawnSync(process.execPath, ['tools/reproduce_real.mjs'], { cwd: root, encoding: 'utf8' });
  assert.equal(status, 2);
  assert.match(stderr, /expected --images DIR --labels FILE/);
});

test.run();
