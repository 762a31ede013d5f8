import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import { labelsOption, scenesOption, shareOption } from '../../src/cli/train/options.js';
import { type SourcesOptions, TrainingSources } from '../../src/cli/train/sources.js';
import { isHeldOut } from '../../src/data/holdout.js';
import { formatJsonLines, parseJsonLines } from '../../src/data/labels.js';
import { syntheticScene } from '../../src/data/synthetic.js';
import { ArgumentError } from '../../src/gpu/errors.js';
import { encodePng } from '../../src/node/codecs.js';

const folder = mkdtempSync(join(tmpdir(), 'retinaface-sources-'));
test.after(() => {
  rmSync(folder, { recursive: true, force: true });
});
const silent = (): void => undefined;

/** Labels of `count` pictures with a face each, half of those with landmarks; without pictures. */
function labels(name: string, count: number, faces = true): string {
  const samples = Array.from({ length: count }, (_, i) => ({
    name: `${i}.jpg`,
    faces: faces
      ? [{ box: [0, 0, 9, 9] as const, ...(i % 2 === 0 ? { landmarks: [1, 2, 3, 4, 5, 6, 7, 8, 9, 1] } : {}) }]
      : [],
  }));
  const file = join(folder, name);
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, formatJsonLines(samples));
  return file;
}

const source = (path: string, weight = 1, holdout?: boolean) => ({ path, images: folder, weight, holdout });
const read = (options: Partial<SourcesOptions>) =>
  TrainingSources.read(
    {
      labels: [],
      scenes: undefined,
      sceneSize: 64,
      heldSceneSize: 48,
      holdout: 0,
      evaluationScenes: 2,
      seed: 1,
      ...options,
    },
    silent,
  );

test('what stands behind a path weighs it and says whether it is held out', () => {
  assert.deepEqual(labelsOption('--labels', 'a,b.jsonl'), { path: 'a,b.jsonl', weight: 1, holdout: undefined });
  assert.deepEqual(labelsOption('--labels', 'a.jsonl,weight=0.5,holdout=no'), {
    path: 'a.jsonl',
    weight: 0.5,
    holdout: false,
  });
  assert.deepEqual(labelsOption('--data', 'wider,holdout=yes'), { path: 'wider', weight: 1, holdout: true });
  for (const wrong of ['a,weight=0', 'a,weight=', 'a,weight=x', 'a,holdout=maybe', ',weight=2'])
    assert.throws(() => labelsOption('--labels', wrong), ArgumentError, wrong);
});

test('shares are percentages or fractions', () => {
  assert.deepEqual(
    ['20%', '0.2', '0', '12.5%'].map((text) => shareOption(text, 'train', '--holdout')),
    [0.2, 0.2, 0, 0.125],
  );
  for (const wrong of ['20', '1', '100%', '-1%', '', 'x%', '-0.1'])
    assert.throws(() => shareOption(wrong, 'train', '--holdout'), /--holdout to be a share, as 20% or 0\.2/, wrong);
  assert.deepEqual(scenesOption('40,share=25%', 'train', '--synthetic'), { count: 40, share: 0.25 });
  assert.deepEqual(scenesOption('40', 'train', '--synthetic'), { count: 40, share: undefined });
  for (const wrong of ['0', 'x', '40,share=2', '40,weight=2'])
    assert.throws(() => scenesOption(wrong, 'train', '--synthetic'), ArgumentError);
});

test('sources keep their weights, and scenes their share', async () => {
  const [many, few] = [labels('many.jsonl', 30), labels('few.jsonl', 5)];
  const sources = await read({ labels: [source(many), source(few, 2)], scenes: { count: 100, share: 0.2 } });
  assert.deepEqual(
    sources.training.map(({ source: { kind }, weight }) => [kind, weight]),
    [
      ['folder', 1],
      ['folder', 2],
      // 10 of 50 draws.
      ['synthetic', 0.1],
    ],
  );
  const once = await read({ labels: [source(few)], scenes: { count: 100, share: undefined } });
  assert.equal(once.training[1]!.weight, 1);
});

test('the share that is held out is told by the names, whatever the order, where a source has faces or is said to be', async () => {
  const [faces, spared] = [labels('faces.jsonl', 40), labels('spared.jsonl', 40)];
  const textures = labels('textures.jsonl', 40, false);
  const options = { labels: [source(faces), source(spared, 1, false), source(textures)], holdout: 0.25 };
  const sources = await read(options);
  const names = Array.from({ length: 40 }, (_, i) => `${i}.jpg`);
  const held = names.filter((name) => isHeldOut(name, 0.25));
  const learnt = sources.training.map(({ source: of }) =>
    of.kind === 'folder' ? of.samples.map(({ name }) => name) : [],
  );
  assert.deepEqual(learnt, [names.filter((name) => !held.includes(name)), names, names]);
  assert.ok(held.length > 0 && sources.faceless);
  assert.match(sources.rule!, /fnv1a32.*share 0\.25/);
  const out = join(folder, 'held');
  await sources.writeHeld(out);
  assert.deepEqual(
    parseJsonLines(readFileSync(join(out, 'faces.jsonl'), 'utf8')).samples.map(({ name }) => name),
    held,
  );
  const row = /^faces +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+)$/m.exec(sources.table())!.slice(1).map(Number);
  const marked = held.filter((name) => parseInt(name) % 2 === 0).length;
  const kept = 40 - held.length;
  assert.deepEqual(row, [kept, kept, 20 - marked, held.length, held.length, marked, kept]);
});

test('other labels are another training', async () => {
  const [first, other] = [labels('a/labels.jsonl', 8), labels('b/labels.jsonl', 9)];
  const digests = await Promise.all(
    [[first], [first], [other], [first, other]].map(
      async (files) => (await read({ labels: files.map((file) => source(file)) })).digest,
    ),
  );
  assert.equal(digests[0], digests[1]);
  assert.equal(new Set(digests).size, 3);
});

test('held-out pictures of two sources stay apart by the names of their files', async () => {
  const files = ['c/labels.jsonl', 'd/labels.jsonl'].map((name) => labels(name, 3));
  const { picture } = syntheticScene(1, 0, { size: 32 });
  for (const i of [0, 1, 2]) writeFileSync(join(folder, `${i}.jpg`), encodePng(picture));
  const sources = await read({ labels: files.map((file) => source(file)), holdout: 0.7 });
  const held = (await sources.held(silent))!;
  assert.deepEqual(
    held.samples.map(({ name }) => name.replace(/\/.*/, '')),
    [...held.bySource[0]!.samples.map(() => 'labels'), ...held.bySource[1]!.samples.map(() => 'labels-2')],
  );
  assert.equal((await held.source.load(held.source.length - 1)).width, 32);
});

test('nothing to learn, and nothing held out though it was asked for, are errors', async () => {
  const one = labels('one.jsonl', 1);
  const empty = labels('empty.jsonl', 0);
  await assert.rejects(read({ labels: [source(empty)] }), /pictures of .*empty\.jsonl to learn from.*none/);
  // The only name is held out by every share above its place, and by none below.
  await assert.rejects(read({ labels: [source(one)], holdout: 0.999 }), /all 1 held out/);
  await assert.rejects(read({ labels: [source(one)], holdout: 1e-9 }), /pictures among 1e-7% of all.*none/);
});

test.run();
