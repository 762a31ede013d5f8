// `retinaface table` and `retinaface reproduce` as a user meets them.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import { realPictures } from '../../src/cli/reproduce/material.js';
import { encodePng } from '../../src/node/codecs.js';
import { readImage } from '../../src/node/files.js';
import { RETINAFACE } from '../helpers/command_line.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'retinaface-table-'));
test.after(() => {
  rmSync(folder, { recursive: true, force: true });
});

const retinaface = (...args: readonly string[]) =>
  spawnSync(process.execPath, [...RETINAFACE, ...args], { cwd: root, encoding: 'utf8' });
const at = (name: string): string => join(folder, name);

const small = ['--synthetic', '4', '--scene', '64', '--size', '64', '--batch', '2', '--epochs', '1', '--evaluate', '0'];
for (const seed of ['1', '2']) {
  const run = ['train', '--config', 'context', '--width', '0.0625', '--seed', seed, '--workdir', at(`run${seed}`)];
  const { status, stderr } = retinaface(...run, ...small);
  assert.equal(status, 0, stderr);
}

/** Writes what `evaluate --weights RUN/best.safetensors --out RUN/evaluation` leaves. */
function evaluation(run: string, figures: object, weights = join(at(run), 'best.safetensors')): void {
  const hash = createHash('sha256').update(readFileSync(weights)).digest('hex');
  mkdirSync(join(at(run), 'evaluation'), { recursive: true });
  const result = { ...figures, protocol: { name: 'published', weights: hash, pictures: 4 } };
  writeFileSync(join(at(run), 'evaluation/result.json'), JSON.stringify(result));
}

test('a run without evaluation is a row of dashes beside the figures of the report', () => {
  const { status, stdout, stderr } = retinaface('table', at('run1'));
  assert.equal(status, 0, stderr);
  const [, , row = ''] = stdout.split('\n');
  const cells = row.split('|').map((cell) => cell.trim());
  assert.deepEqual(cells.slice(1, 11), [
    'context ×0.0625',
    ...['–', '–', '–', '0'],
    '.873 / .883 / .783',
    ...['–', '1', '2', '1'],
  ]);
  assert.notEqual(cells[11], '–');
  assert.ok(Number(cells[12]) > 0);
});

test('several seeds are one row with mean and deviation, as Markdown, JSON and a picture', async () => {
  evaluation('run1', { easy: 0.5, medium: 0.4, hard: null });
  evaluation('run2', { easy: 0.7, medium: 0.4, hard: null });
  const { status, stdout, stderr } = retinaface('table', at('run1'), at('run2'), '--out', at('table.png'));
  assert.equal(status, 0, stderr);
  assert.match(stdout, /context ×0\.0625 \| 0\.600 ± 0\.141 \| 0\.400 ± 0\.000 \| +– \| +2 \|/);
  assert.match(stdout, /Evaluated: .*"checkpoint":"best\.safetensors".*"pictures":4/);
  assert.ok((await readImage(at('table.png'))).width > 800);
  const { rows } = JSON.parse(retinaface('table', at('run1'), at('run2'), '--json').stdout) as {
    rows: { n: number; easy: { mean: number }; hard: null; runs: unknown[] }[];
  };
  assert.equal(rows.length, 1);
  assert.deepEqual([rows[0]!.n, rows[0]!.hard, rows[0]!.runs.length], [2, null, 2]);
  assert.ok(Math.abs(rows[0]!.easy.mean - 0.6) < 1e-12);
});

test('what is no run, damaged, or of other weights is named', () => {
  mkdirSync(at('empty'));
  for (const name of ['log', 'stale', 'torn', 'again']) cpSync(at('run1'), at(name), { recursive: true });
  writeFileSync(join(at('log'), 'log.jsonl'), `{"step":1,"epoch":0}\nnonsense\n{"step":2,"epoch":0}\n`);
  evaluation('stale', { easy: 1, medium: 1, hard: 1 }, join(root, 'package.json'));
  appendFileSync(join(at('torn'), 'evaluation/result.json'), '}');
  const cases: readonly (readonly [runs: readonly string[], message: RegExp])[] = [
    [['empty'], /empty: expected the folder of a training, .* got one without last\.safetensors/],
    [['absent'], /nothing there/],
    [['log'], /log\.jsonl, line 2: .*'nonsense'/],
    [['stale'], /an evaluation of best\.safetensors of this run, got one of other weights/],
    [['torn'], /result\.json: expected an evaluation/],
    [['run1', 'again'], /every seed once, got seed 1/],
  ];
  for (const [runs, message] of cases) {
    const { status, stderr, stdout } = retinaface('table', ...runs.map(at));
    assert.deepEqual([status, stdout], [1, ''], stderr);
    assert.match(stderr, message);
  }
  assert.equal(retinaface('table').status, 2);
  assert.equal(retinaface('table', at('run1'), '--out', 'table.txt').status, 2);
});

test('the ablation in small: a backbone for all, a table, answers and curves; the same command repeats nothing', async () => {
  const args = ['reproduce', '--steps', '2', '--seeds', '1,2', '--foundation', '2', '--out', at('small')];
  const tiny = ['--size', '64', '--width', '0.0625', '--batch', '2', '--scenes', '4', '--held', '2'];
  const first = retinaface(...args, ...tiny, '--variants', 'baseline,context');
  assert.equal(first.status, 0, first.stderr);
  const backbone = join(at('small'), 'backbone.safetensors');
  const made = statSync(backbone).mtimeMs;
  assert.match(first.stdout, /from one backbone, trained for 2 steps/);
  assert.match(first.stdout, /\| baseline +\|.*\| +2 \| +2 \|/);
  assert.match(
    first.stdout,
    /Does the context module help\? context − baseline, drawn scenes: easy .*paired over 2 seeds/,
  );
  const picture = await readImage(at('small/curves.png'));
  assert.deepEqual([picture.width, picture.height], [1280, 960]);
  const result = join(at('small'), 'context-2/result.json');
  const written = statSync(result).mtimeMs;
  const synthetic = (name: string): unknown =>
    (JSON.parse(readFileSync(join(at('small'), name, 'result.json'), 'utf8')) as { synthetic: unknown }).synthetic;
  const figures = synthetic('baseline-1');
  rmSync(join(at('small'), 'baseline-1/result.json'));
  const again = retinaface(...args, ...tiny, '--variants', 'baseline,context', '--json');
  assert.match(again.stderr, /3 of 4 runs kept from before/);
  assert.deepEqual([statSync(result).mtimeMs, statSync(backbone).mtimeMs], [written, made]);
  // A run that is repeated with the same steps and seed gives the same figures.
  assert.equal(again.status, 0, again.stderr);
  assert.equal((JSON.parse(again.stdout) as { runs: object[] }).runs.length, 4);
  assert.deepEqual(synthetic('baseline-1'), figures);
  const other = retinaface(...args, ...tiny, '--variants', 'baseline,context', '--rate', '0.5');
  assert.equal(other.status, 2);
  assert.match(other.stderr, /--out with runs of these settings/);
  rmSync(join(at('small'), 'baseline-1'), { recursive: true });
  rmSync(join(at('small'), 'context-1'), { recursive: true });
  const thinner = retinaface(...args, ...tiny, '--width', '0.125', '--seeds', '1', '--variants', 'baseline');
  assert.equal(thinner.status, 2);
  assert.match(thinner.stderr, /--out with a backbone of these settings/);
  const strange = retinaface(...args, ...tiny, '--loss', 'focal');
  assert.equal(strange.status, 2);
  assert.match(strange.stderr, /--loss to be one of published, report, .*'focal'/s);
});

/** A folder of four real pictures, of which the fourth alone has a face that is easy. */
async function realFolder(): Promise<string> {
  mkdirSync(at('real/faces'), { recursive: true });
  const drawn = await readImage(join(root, 'fixtures/pictures/scene_1.jpg'));
  const list = ['a', 'b', 'c', 'd'].map((name, i) => {
    const [width, height] = [100 + i, 90];
    const data = Uint8Array.from({ length: 4 * width * height }, (_, k) => drawn.data[k]!);
    writeFileSync(at(`real/faces/${name}.png`), encodePng({ data, width, height }));
    const [easy, medium] = name === 'd' ? [[1], []] : [[], [1]];
    return { name, boxes_xywh: [[20, 20, 40, 50]], easy, medium, hard: [1] };
  });
  writeFileSync(at('real/faces_annotations.json'), JSON.stringify(list));
  return at('real');
}

const real = await realFolder();

test('every fourth real picture is measured on, the others are learnt from', async () => {
  const { training, held, identity } = await realPictures(real, true);
  assert.deepEqual(
    training.map(({ picture: { width }, faces }) => [width, faces]),
    [100, 101, 102].map((width) => [width, [{ box: [20, 20, 60, 70] }]]),
  );
  assert.deepEqual([held.source.length, held.source.name(0), held.truth.pictures.length], [1, 'd', 1]);
  assert.equal((await held.source.load(0)).width, 103);
  const untaught = await realPictures(real, false);
  assert.deepEqual([untaught.training.length, untaught.identity], [0, identity]);
});

test('given real pictures, runs go on with three of four of them and are measured on the fourth', () => {
  const tiny = [
    '--size',
    '64',
    '--width',
    '0.0625',
    '--batch',
    '2',
    '--scenes',
    '4',
    '--held',
    '2',
    '--foundation',
    '0',
  ];
  const run = ['reproduce', '--steps', '2', '--seeds', '1', '--variants', 'baseline', ...tiny, '--json'];
  const out = ['--out', at('finished')];
  const { status, stdout, stderr } = retinaface(...run, '--real', real, '--finish', '3', ...out);
  assert.equal(status, 0, stderr);
  interface Figures {
    readonly easy: number | null;
    readonly medium: number | null;
    readonly steps: number;
  }
  const { runs } = JSON.parse(stdout) as { runs: { steps: number; real: Figures; finished: Figures }[] };
  assert.equal(runs.length, 1);
  const [{ steps, real: before, finished }] = runs as [(typeof runs)[number]];
  assert.deepEqual([steps, finished.steps], [2, 3]);
  for (const { easy, medium } of [before, finished]) assert.ok(easy !== null && medium === null);
  assert.match(readFileSync(at('finished/table.md'), 'utf8'), /on real pictures, taught by others as well/);
  const log = readFileSync(at('finished/baseline-1/log.jsonl'), 'utf8').trim().split('\n');
  const entries = log.map((line) => JSON.parse(line) as { step: number; total?: number; realHard?: number });
  const taught = entries.filter(({ total }) => total !== undefined);
  assert.deepEqual(
    taught.map(({ step }) => step),
    [1, 2, 3, 4, 5],
  );
  assert.equal(entries.at(-1)!.step, 5);
  assert.ok('realHard' in entries.at(-1)!);
  const [scenes, after] = ['scenes', 'real'].map((name) => readFileSync(at(`finished/baseline-1/${name}.safetensors`)));
  assert.notDeepEqual(scenes, after);

  const annotations = at('real/faces_annotations.json');
  const list = JSON.parse(readFileSync(annotations, 'utf8')) as { boxes_xywh: number[][] }[];
  list[3]!.boxes_xywh[0]![0] = 21;
  writeFileSync(annotations, JSON.stringify(list));
  const others = retinaface(...run, '--real', real, '--finish', '3', ...out);
  assert.equal(others.status, 2);
  assert.match(others.stderr, /--out with runs of these settings/);
  const alone = retinaface(...run, '--finish', '3', ...out);
  assert.equal(alone.status, 2);
  assert.match(alone.stderr, /--finish beside --real/);
  writeFileSync(annotations, JSON.stringify(list.slice(0, 3)));
  const few = retinaface(...run, '--real', real, '--out', at('few'));
  assert.equal(few.status, 1);
  assert.match(few.stderr, /at least 4 pictures.*kept out of training/s);
});

test.run();
