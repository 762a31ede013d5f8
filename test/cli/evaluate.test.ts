// `retinaface evaluate` as a user meets it: figures on stdout, words on stderr, files whole or not at all.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import { evaluate as command } from '../../src/cli/evaluate.js';
import { ArgumentError, RetinaFaceError } from '../../src/gpu/errors.js';
import { encodePng } from '../../src/node/codecs.js';
import { readImage } from '../../src/node/files.js';
import { cells, chars, compressed, doubles, matlabFile } from '../evaluate/matlab_files.js';
import { RETINAFACE } from '../helpers/command_line.js';
import { noSharedData, sharedData } from '../helpers/shared_data.js';
import { testUnless } from '../helpers/unless.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = await mkdtemp(join(tmpdir(), 'retinaface-evaluate-'));
test.after(() => rm(folder, { recursive: true }));

interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

delete process.env['RETINAFACE_WEIGHTS'];

async function evaluate(...args: readonly string[]): Promise<Finished> {
  const child = spawn(process.execPath, [...RETINAFACE, 'evaluate', ...args], { cwd: folder });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text: Buffer) => (stdout += text.toString()));
  child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, stdout, stderr };
}

interface Figures {
  readonly easy: number | null;
  readonly medium: number | null;
  readonly hard: number | null;
  readonly protocol: Readonly<Record<string, unknown>>;
}

const figuresOf = ({ stdout, stderr }: Finished): Figures => {
  assert.notEqual(stdout, '', stderr);
  return JSON.parse(stdout) as Figures;
};

/** Everything below a folder, hidden files too. */
const listing = async (path: string): Promise<string[]> => (await readdir(path, { recursive: true })).sort();

/** Official ground truth of two pictures of one event: a face each, that of the second is not easy. */
async function smallTruth(name: string): Promise<string> {
  const path = join(folder, name);
  await mkdir(path, { recursive: true });
  const file = (list: string, rows: readonly Uint8Array[]): Uint8Array =>
    matlabFile([
      compressed(cells([chars('0--Parade')], 'event_list')),
      compressed(cells([cells([chars('one'), chars('two')])], 'file_list')),
      compressed(cells([cells(rows)], list)),
    ]);
  const face = doubles([10, 10, 20, 20], [1, 4]);
  const [counts, ignored] = [doubles([1], [1, 1]), doubles([], [0, 0])];
  await writeFile(join(path, 'wider_face_val.mat'), file('face_bbx_list', [face, face]));
  await writeFile(join(path, 'wider_easy_val.mat'), file('gt_list', [counts, ignored]));
  await writeFile(join(path, 'wider_medium_val.mat'), file('gt_list', [counts, counts]));
  await writeFile(join(path, 'wider_hard_val.mat'), file('gt_list', [counts, counts]));
  return name;
}

async function smallPredictions(name: string, files: Readonly<Record<string, string>> = {}): Promise<string> {
  const given = { one: 'one\n1\n10 10 20 20 0.9\n', two: 'two\n1\n100 10 20 20 0.1\n', ...files };
  await mkdir(join(folder, name, '0--Parade'), { recursive: true });
  for (const [file, text] of Object.entries(given)) {
    if (text !== '') await writeFile(join(folder, name, '0--Parade', `${file}.txt`), text);
  }
  return name;
}

const truth = await smallTruth('truth');

test('predictions are held against official files; figures alone go to stdout', async () => {
  const predictions = await smallPredictions('predictions');
  const result = await evaluate('--ground-truth', truth, '--predictions', predictions, '--json', '--out', 'report');
  assert.equal(result.code, 0);
  const { easy, medium, hard, protocol } = figuresOf(result);
  assert.deepEqual([easy, medium, hard], [1, 0.5, 0.5]);
  assert.deepEqual([protocol['subsets'], protocol['pictures'], protocol['iouThreshold']], ['lists', 2, 0.5]);
  assert.deepEqual(await listing(join(folder, 'report')), ['curves.png', 'curves.svg', 'result.json']);
  const written = JSON.parse(await readFile(join(folder, 'report/result.json'), 'utf8')) as Figures & {
    readonly curves: Readonly<Record<string, { readonly recall: number[] }>>;
  };
  assert.deepEqual([written.easy, written.curves['hard']?.recall.length], [1, 1000]);
  const chart = await readImage(join(folder, 'report/curves.png'));
  assert.deepEqual([chart.width, chart.height], [800, 600]);
  const words = await evaluate('--ground-truth', truth, '--predictions', predictions);
  assert.match(words.stdout, /^easy {4}1\.0000 {2}1 faces\nmedium {2}0\.5000/);
});

test('without lists of faces that count, figures are by the heights of their boxes', async () => {
  const predictions = await smallPredictions('heights');
  const faces = [{ box: [10, 10, 30, 30] }, { box: [40, 0, 80, 60] }];
  const lines = [
    { image: '0--Parade/one.jpg', faces },
    { image: '0--Parade/two.jpg', faces: [] },
  ];
  const labels = join(folder, 'heights.jsonl');
  await writeFile(labels, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  const words = await evaluate('--ground-truth', labels, '--predictions', predictions);
  const rows = 'from 50 px  0.0000  1 faces\nfrom 24 px  0.0000  1 faces\nall         0.5000  2 faces\n';
  assert.ok(words.stdout.startsWith(rows), words.stdout);
  const { stdout } = await evaluate('--ground-truth', labels, '--predictions', predictions, '--json');
  const { heights } = JSON.parse(stdout) as { heights: { precisions: readonly { readonly faces: number }[] } };
  assert.deepEqual(
    heights.precisions.map((each) => each.faces),
    [1, 1, 2],
  );
});

test('given pictures, the worst faults are shown beside the figures', async () => {
  await smallPredictions('shown');
  await mkdir(join(folder, 'pictures/0--Parade'), { recursive: true });
  const png = encodePng({ data: new Uint8Array(4 * 150 * 50).fill(99), width: 150, height: 50 });
  for (const name of ['one', 'two']) await writeFile(join(folder, `pictures/0--Parade/${name}.png`), png);
  const given = ['--ground-truth', truth, '--predictions', 'shown', '--images', 'pictures', '--out', 'faults'];
  assert.equal((await evaluate(...given)).code, 0);
  const page = await readFile(join(folder, 'faults/worst.html'), 'utf8');
  assert.match(page, /worst\/miss_01\.jpg.*0--Parade\/two: 20×20 pixels/);
  assert.match(page, /worst\/false_alarm_01\.jpg.*0--Parade\/two: score 0\.100, 20×20 pixels/);
  const { width, height } = await readImage(join(folder, 'faults/worst/miss_01.jpg'));
  assert.deepEqual([width, height], [192, 192]);
});

testUnless(noSharedData)('the official set gives the official figures, all digits', async () => {
  const data = (path: string) => sharedData(`wider/${path}`);
  const start = performance.now();
  const result = await evaluate('--ground-truth', data('ground_truth'), '--predictions', data('predictions'), '--json');
  assert.equal(result.code, 0);
  const { easy, medium, hard } = figuresOf(result);
  assert.deepEqual([easy, medium, hard], [0.9448373912694071, 0.9244706568389409, 0.8153250447873874]);
  assert.ok(performance.now() - start < 20_000);
});

test('what is damaged, missing or of another set is named, and nothing is written', async () => {
  const cut = await smallTruth('cut');
  const mat = join(folder, cut, 'wider_face_val.mat');
  await writeFile(mat, (await readFile(mat)).subarray(0, 250));
  const listless = await smallTruth('listless');
  await rm(join(folder, listless, 'wider_hard_val.mat'));
  const good = await smallPredictions('good');
  const cases: readonly (readonly [truth: string, predictions: string, message: RegExp])[] = [
    [cut, good, /cut\/wider_face_val\.mat: expected .* at byte \d+/],
    [listless, good, /wider_hard_val\.mat/],
    ['absent', good, /absent/],
    [truth, 'absent', /absent/],
    [truth, await smallPredictions('torn', { two: 'two\n3\n1 2 3 4 0.5\n' }), /torn\/0--Parade\/two\.txt, line \d/],
    [truth, await smallPredictions('foreign', { two: 'three\n0\n' }), /two\.txt, line 1: expected the name 'two'/],
    [truth, await smallPredictions('few', { two: '' }), /none of 0--Parade\/two/],
    [truth, await smallPredictions('many', { four: 'four\n0\n' }), /got 0--Parade\/four/],
  ];
  const inFolder = (path: string): string => join(folder, path);
  const out = inFolder('none');
  for (const [ground, predictions, message] of cases) {
    const args = ['--ground-truth', inFolder(ground), '--predictions', inFolder(predictions), '--out', out];
    await assert.rejects(command.run(args), (error) => {
      assert.ok(error instanceof RetinaFaceError && !(error instanceof ArgumentError), String(error));
      assert.match(error.message, message);
      return true;
    });
  }
  const result = await evaluate('--ground-truth', truth, '--predictions', 'torn', '--json', '--out', 'none');
  assert.equal(result.code, 1);
  assert.match(result.stderr, /torn\/0--Parade\/two\.txt, line 4/);
  assert.equal(result.stdout, '');
  await assert.rejects(readdir(out));
});

test('wrong usage exits with 2 and says what is wrong', async () => {
  const given = ['--ground-truth', truth];
  const searched = [...given, '--weights', 'a', '--images', 'b'];
  const cases: readonly (readonly [args: readonly string[], message: RegExp])[] = [
    [[], /no --ground-truth/],
    [given, /got none/],
    [[...given, '--predictions', 'a', '--merge', 'b'], /several/],
    [[...given, '--weights', 'a'], /--images/],
    [[...searched, '--shard', '1/2'], /--out/],
    [[...searched, '--out', 'c', '--shard', '3/2'], /--shard I\/N/],
    [[...searched, '--size', '1600:20'], /--size/],
    [[...searched, '--size', '32768'], /--size .*32,?767/],
    [[...searched, '--size', '1600:40000'], /--size .*32,?767/],
    [[...searched, '--scales', '1,x'], /--scales/],
    [[...searched, '--protocol', 'mine'], /published, report/],
    [[...given, '--predictions', 'a', 'stray'], /stray/],
    [[...given, '--predictions', 'a', '--flip', '--scales', '1,2'], /got --flip, --scales with --predictions/],
    [[...given, '--predictions', 'a', '--config', 'context', '--batch', '2'], /got --config, --batch with/],
    [[...given, '--predictions', 'a', '--score-threshold', '0.1', '--nms', '0.3', '--top-k', '9'], /--top-k with/],
    [[...given, '--merge', 'a', '--size', '640', '--protocol', 'report'], /got --protocol, --size with --merge/],
  ];
  for (const [args, message] of cases) {
    await assert.rejects(command.run(args), (error) => {
      assert.ok(error instanceof ArgumentError, String(error));
      assert.match(error.message, message);
      return true;
    });
  }
  const result = await evaluate(...given);
  assert.equal(result.code, 2);
  assert.match(result.stderr, /--predictions, --weights with --images, or --merge/);
  assert.equal(result.stdout, '');
});

test('a picture that cannot be read is named; those before it are kept, and the search goes on there', async () => {
  const fixtures = join(root, 'fixtures');
  const lines = (await readFile(join(fixtures, 'pictures/scenes.jsonl'), 'utf8')).split('\n').slice(0, 2);
  await writeFile(join(folder, 'scenes.jsonl'), lines.join('\n'));
  await mkdir(join(folder, 'scenes'));
  await cp(join(fixtures, 'pictures/scene_1.jpg'), join(folder, 'scenes/scene_1.jpg'));
  const whole = await readFile(join(fixtures, 'pictures/scene_2.jpg'));
  await writeFile(join(folder, 'scenes/scene_2.jpg'), whole.subarray(0, whole.length >> 1));
  const given = ['--ground-truth', 'scenes.jsonl', '--images', 'scenes', '--out', 'found', '--json', '--size', '320'];
  given.push('--weights', join(fixtures, 'weights/mobilenet0.25_synthetic.safetensors'));
  const failed = await evaluate(...given);
  assert.equal(failed.code, 1, failed.stderr);
  assert.match(failed.stderr, /^retinaface evaluate: .*scenes\/scene_2\.jpg: expected .*\n$/m);
  assert.equal(failed.stdout, '');
  assert.deepEqual(await listing(join(folder, 'found')), ['predictions', 'predictions/scene_1.txt', 'run.json']);
  await writeFile(join(folder, 'scenes/scene_2.jpg'), whole);
  const mended = await evaluate(...given);
  assert.equal(mended.code, 0, mended.stderr);
  assert.match(mended.stderr, /^1 pictures searched .* 1 kept from before/m);
  assert.ok(figuresOf(mended).easy! > 0.5, mended.stdout);
});

const weights = sharedData('checkpoints/mobilenet0.25_Final.pth');
const images = sharedData('wider/subset');
const annotations = sharedData('wider/subset_annotations.json');
const model = ['--weights', weights, '--images', images];

const isSlow = process.env['VK_DRIVER_FILES']?.includes('swiftshader') === true;

testUnless(isSlow ? 'a hundred pictures take this driver minutes' : noSharedData)(
  'a model gives the figures that the published code gives with its weights',
  async () => {
    const result = await evaluate('--ground-truth', annotations, '--json', ...model);
    assert.equal(result.code, 0, result.stderr);
    assert.match(result.stderr, /100 pictures searched in .* pictures\/s/);
    const figures = figuresOf(result);
    for (const [subset, expected] of [
      ['easy', 0.6787],
      ['medium', 0.5791],
      ['hard', 0.2848],
    ] as const) {
      assert.ok(Math.abs(figures[subset]! - expected) < 0.002, `${subset}: ${figures[subset] ?? 'none'}`);
    }
    const { name, size, scoreThreshold, configuration } = figures.protocol;
    assert.deepEqual([name, size, scoreThreshold], ['published', 'original', 0.02]);
    assert.equal(configuration, 'published-mobilenet0.25');
  },
);

testUnless(noSharedData)('a model is measured in shards, merged, and goes on where it stopped', async () => {
  const all = JSON.parse(await readFile(annotations, 'utf8')) as unknown[];
  await writeFile(join(folder, 'few.json'), JSON.stringify(all.filter((_, i) => i % 10 === 0)));
  const given = ['--ground-truth', 'few.json', '--json'];
  for (const shard of ['1/2', '2/2']) {
    const out = `shard_${shard.replace('/', '_of_')}`;
    const result = await evaluate(...given, ...model, '--out', out, '--shard', shard);
    assert.equal(result.code, 0, result.stderr);
    assert.match(result.stderr, /5 pictures searched/);
    assert.equal((JSON.parse(result.stdout) as { pictures: number }).pictures, 5);
  }
  const merged = await evaluate(...given, '--merge', 'shard_1_of_2', 'shard_2_of_2', '--out', 'merged');
  assert.equal(merged.code, 0, merged.stderr);
  const figures = figuresOf(merged);
  const again = await evaluate(...given, ...model, '--out', 'merged');
  assert.match(again.stderr, /0 pictures searched .* 10 kept from before/);
  assert.deepEqual(figuresOf(again), figures);
  assert.ok(figures.easy! > 0.3, `${figures.easy ?? 'none'}`);

  const files = await listing(join(folder, 'merged'));
  assert.equal(files.filter((file) => file.endsWith('.txt')).length, 10);
  assert.equal(files.filter((file) => /^worst\/miss_\d+\.jpg$/.test(file)).length, 24);
  assert.deepEqual(
    files.filter((file) => basename(file).startsWith('.')),
    [],
  );
  const official = await readFile(join(folder, 'merged/predictions/0--Parade/0_Parade_Parade_0_102.txt'), 'utf8');
  assert.match(official, /^0_Parade_Parade_0_102\n\d+\n(-?[\d.]+ -?[\d.]+ [\d.]+ [\d.]+ 0\.\d+\n)+$/);

  const other = await evaluate(...given, ...model, '--out', 'merged', '--protocol', 'report');
  assert.equal(other.code, 2);
  assert.match(other.stderr, /merged with those of/);
  const missing = await evaluate(...given, '--merge', 'shard_1_of_2');
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /predictions of all 10 pictures, got none of .* and 2 more/);
});

testUnless(noSharedData)('pictures that are missing are named before any is searched', async () => {
  await mkdir(join(folder, 'some'));
  const file = '0_Parade_Parade_0_102.jpg';
  await cp(sharedData(`wider/subset/${file}`), join(folder, 'some', file));
  const result = await evaluate('--ground-truth', annotations, '--weights', weights, '--images', 'some');
  assert.equal(result.code, 1);
  assert.match(result.stderr, /all 100 pictures of the ground truth, got none of 0--Parade\/.* and 96 more/);
});

test.run();
