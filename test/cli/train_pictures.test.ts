// Trainings on pictures of folders, each in a process of its own.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import { formatJsonLines, parseJsonLines } from '../../src/data/labels.js';
import { syntheticScene } from '../../src/data/synthetic.js';
import { encodePng } from '../../src/node/codecs.js';
import { RETINAFACE } from '../helpers/command_line.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'retinaface-pictures-'));
test.after(() => {
  rmSync(folder, { recursive: true, force: true });
});

const command = [...RETINAFACE, 'train', '--config', 'published-mobilenet0.25'];
const small = ['--size', '64', '--batch', '2', '--schedule', 'constant:0.001'];

const run = (args: readonly string[]) => spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });

/** Steps of a run's log, each as its numbers but for the speed. */
const logOf = (workdir: string) =>
  readFileSync(join(workdir, 'log.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => ({ ...(JSON.parse(line) as Record<string, number>), imagesPerSecond: 0, seconds: 0 }));

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
  const weights = 'synthetic';
  const first = run([...own, '--workdir', join(folder, 'own'), '--compare', weights]);
  assert.equal(first.status, 0, first.stderr);
  assert.match(first.stderr, /skipped 2\.png/);
  assert.match(first.stderr, /1 of 4 pictures skipped/);
  assert.equal(first.stderr.match(/held-out 5\.png is left out/g)?.length, 1);
  assert.match(first.stderr, /1 of 2 held-out pictures left out/);
  const figure = String.raw`(\d\.\d{4}|none)`;
  const three = `${figure} from 50 px, ${figure} from 24 px, ${figure} all`;
  assert.match(first.stderr, new RegExp(`^epoch 1: average precision ${three}.* on 1 pictures kept out`, 'm'));
  assert.match(first.stderr, new RegExp(`^${weights}: ${three}`, 'm'));
  assert.match(first.stderr, /held out: .*fnv1a32.*share 0\.34/);
  const heldOut = readFileSync(join(folder, 'own', 'held-out', 'pictures.jsonl'), 'utf8');
  assert.deepEqual(
    parseJsonLines(heldOut).samples.map(({ name }) => name),
    ['3.png'],
  );
  const last = JSON.parse(
    readFileSync(join(folder, 'own', 'log.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .at(-1)!,
  ) as object;
  for (const name of ['AP', 'AP from 50 px', 'AP from 24 px', 'AP, synthetic']) assert.ok(name in last, name);
  // Measured once: what was kept is what is said.
  const kept = join(folder, 'own', 'compared.json');
  const compared = JSON.parse(readFileSync(kept, 'utf8')) as { figures: Record<string, number> };
  writeFileSync(kept, JSON.stringify({ ...compared, figures: { AP: 0.1234 } }));
  const again = run([...own, '--workdir', join(folder, 'own'), '--compare', weights]);
  assert.match(again.stderr, /^synthetic: average precision 0\.1234 all$/m);
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

test.run();
