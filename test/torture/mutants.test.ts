// Damaged files of every kind that the library reads: each is read, or refused with an error of the library's own.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync, gzipSync } from 'node:zlib';
import { test } from 'uvu';
import { readConfiguration, wholeConfiguration } from '../../src/cli/model_options.js';
import { finishedRun, type Settings } from '../../src/cli/reproduce/runs.js';
import { figuresText, keptFigures } from '../../src/cli/train/evaluation.js';
import { inOrder, Workdir } from '../../src/cli/train/workdir.js';
import { parseJsonLines, parseRetinaFaceLabels, parseWiderBoxes } from '../../src/data/labels.js';
import {
  groundTruthFromBoxes,
  groundTruthFromJson,
  groundTruthFromJsonLines,
  groundTruthFromMatlab,
  groundTruthFromRetinaFaceLabels,
  pictureName,
  SUBSETS,
} from '../../src/evaluate/ground_truth.js';
import { readMatlab } from '../../src/evaluate/matlab.js';
import { parsePredictions } from '../../src/evaluate/predictions.js';
import { readTar } from '../../src/evaluate/tar.js';
import { FileError, RetinaFaceError } from '../../src/gpu/errors.js';
import { Gpu } from '../../src/gpu/gpu.js';
import { decodeImage, encodeJpeg, encodePng } from '../../src/node/codecs.js';
import { readRunFolder } from '../../src/node/run_folder.js';
import { configurations, narrowed } from '../../src/retinaface/config.js';
import { RetinaFace } from '../../src/retinaface/retinaface.js';
import { BatchFolder, listOf, openMerge } from '../../src/scale/batch_folder.js';
import type { Random } from '../../src/tensor/random.js';
import { encodeCheckpoint, readPosition } from '../../src/train/checkpoint.js';
import {
  damagedLine,
  eventFileHead,
  logEvent,
  logLine,
  readLog,
  resumeEvents,
  resumeLog,
} from '../../src/train/event_log.js';
import { Trainer } from '../../src/train/trainer.js';
import { decodeChoices, encodeChoices } from '../../src/tune/kept.js';
import { toParameterNames } from '../../src/weights/names.js';
import { readWeights } from '../../src/weights/read.js';
import { readSafetensors, writeSafetensors } from '../../src/weights/safetensors.js';
import type { StateTensor } from '../../src/weights/state.js';
import { crc32 } from '../../src/weights/zip.js';
import { cells, chars, compressed, doubles, matlabFile, numeric } from '../evaluate/matlab_files.js';
import { testDevice as device } from '../helpers/device.js';
import { drawnPicture } from '../helpers/drawn_picture.js';
import { bytesOf, dict, f32, int, legacyFile, pickle, tensor, zipArchive } from '../weights/torch_files.js';
import { assertNoFaults, figures, MemoryTrend, randomOfCase, times } from './harness.js';
import { mutated, mutatedText } from './mutate.js';

/** Milliseconds of work after which a reader hangs; the clock of the process, which other processes do not slow. */
const HANG = 2000;

/** Bytes that the readers may leave behind in their caches and the allocator's holes. */
const FLAT = 24 * 2 ** 20;

interface Kind {
  readonly name: string;
  readonly files: readonly Uint8Array[];
  /** Files whose damage is that of words and lines, too. */
  readonly text?: true;
  /** Makes sums right again, so that the damage gets behind them. */
  readonly repair?: (bytes: Uint8Array) => Uint8Array;
  /** Reads a file, and throws where what it answers cannot be. */
  readonly read: (bytes: Uint8Array) => unknown;
}

const fixture = (path: string): Uint8Array => readFileSync(new URL(`../../fixtures/${path}`, import.meta.url));

// Pictures.

function chunk(type: string, body: Uint8Array): Buffer {
  const typed = Buffer.concat([Buffer.from(type, 'latin1'), body]);
  const size = Buffer.alloc(4);
  size.writeUInt32BE(body.length);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(typed));
  return Buffer.concat([size, typed, sum]);
}

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** A PNG of noise: colour type, bits a sample, and whether it is interlaced. */
function png(type: number, depth: number, interlaced: boolean, random: Random): Uint8Array {
  const [width, height] = [5 + random.int(20), 4 + random.int(20)];
  const samples = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }[type] ?? 1;
  const passes: readonly (readonly [number, number, number, number])[] = interlaced
    ? [
        [0, 0, 8, 8],
        [4, 0, 8, 8],
        [0, 4, 4, 8],
        [2, 0, 4, 4],
        [0, 2, 2, 4],
        [1, 0, 2, 2],
        [0, 1, 1, 2],
      ]
    : [[0, 0, 1, 1]];
  const lines: number[] = [];
  for (const [x, y, stepX, stepY] of passes) {
    const columns = Math.max(0, Math.ceil((width - x) / stepX));
    for (let row = y; row < height && columns > 0; row += stepY) {
      lines.push(random.int(5));
      for (let i = Math.ceil((columns * samples * depth) / 8); i > 0; i--) lines.push(random.int(256));
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([depth, type, 0, 0, interlaced ? 1 : 0], 8);
  const palette = Uint8Array.from({ length: 3 * 2 ** Math.min(depth, 8) }, () => random.int(256));
  const data = deflateSync(Uint8Array.from(lines));
  return new Uint8Array(
    Buffer.concat([
      SIGNATURE,
      chunk('IHDR', header),
      ...(type === 3 ? [chunk('PLTE', palette), chunk('tRNS', palette.subarray(0, 2))] : []),
      ...(random.chance(0.3) ? [chunk('tEXt', Buffer.from('Comment\0by chance'))] : []),
      chunk('IDAT', data.subarray(0, data.length >> 1)),
      chunk('IDAT', data.subarray(data.length >> 1)),
      chunk('IEND', new Uint8Array(0)),
    ]),
  );
}

/** The same file with every chunk's sum right. */
function withSums(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  const view = new DataView(copy.buffer);
  for (let at = 8; at + 12 <= copy.length;) {
    const length = view.getUint32(at);
    if (at + 12 + length > copy.length) break;
    view.setUint32(at + 8 + length, crc32(copy.subarray(at + 4, at + 8 + length)));
    at += 12 + length;
  }
  return copy;
}

/** A JPEG with an EXIF segment that turns it. */
function turned(jpeg: Uint8Array, orientation: number): Uint8Array {
  const tiff = [...Buffer.from('II*\0'), 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0, 0, 0, 0, 0];
  const body = [...Buffer.from('Exif\0\0'), ...tiff];
  return Uint8Array.from([0xff, 0xd8, 0xff, 0xe1, 0, body.length + 2, ...body, ...jpeg.subarray(2)]);
}

const start = randomOfCase('corpus', 0);
const pngs = (
  [
    [0, [1, 2, 4, 8, 16]],
    [2, [8, 16]],
    [3, [1, 2, 4, 8]],
    [4, [8, 16]],
    [6, [8, 16]],
  ] as const
).flatMap(([type, depths]) =>
  depths.flatMap((depth) => [png(type, depth, false, start), png(type, depth, true, start)]),
);
const drawn = drawnPicture(40, 33);
const jpegs = [
  fixture('pictures/cmyk.jpg'),
  fixture('pictures/grey.jpg'),
  fixture('pictures/progressive.jpg'),
  encodeJpeg(drawn, 80),
  turned(encodeJpeg(drawn, 30), 6),
];

function readPicture(bytes: Uint8Array): void {
  const { data, width, height } = decodeImage(bytes, 'mutant');
  assert.equal(data.length, width * height * 4, 'bytes of a picture');
}

// Weights.

const ROW = { key: '0', elements: 6, shape: [6], strides: [1] };
const OBJECT = dict({
  whole: tensor({ ...ROW, shape: [2, 3], strides: [3, 1] }),
  'module.part': tensor({ ...ROW, offset: 1, shape: [2], strides: [3] }),
  half: tensor({ key: '1', storageType: 'HalfStorage', elements: 2, shape: [2], strides: [1] }),
  epoch: int(3),
});
const STORAGES = [
  ['0', 6, f32(1, 2, 3, 4, 5, 6)],
  ['1', 2, bytesOf(0, 0x3c, 0, 0xc0)],
] as const;

function torchZip(deflate: boolean, zip64 = false): Uint8Array {
  return zipArchive(
    [
      { name: 'archive/data.pkl', content: pickle(OBJECT), deflate },
      { name: 'archive/version', content: bytesOf('3\n') },
      ...STORAGES.map(([key, , content]) => ({ name: `archive/data/${key}`, content, deflate })),
    ],
    zip64,
  );
}

const state = new Map<string, StateTensor>([
  ['conv.weight', { shape: [4, 3, 2, 1], data: Float32Array.from({ length: 24 }, (_, i) => i / 8) }],
  ['conv.bias', { shape: [4], data: Float32Array.of(1, 2, 3, 4) }],
  ['scalar', { shape: [], data: Float32Array.of(7) }],
]);

async function readWeightsFile(bytes: Uint8Array): Promise<void> {
  for (const [name, { shape, data }] of toParameterNames(await readWeights(bytes, 'mutant'))) {
    const size = shape.reduce((product, side) => product * side, 1);
    assert.ok(data instanceof Float32Array && data.length === size, `elements of ${name}`);
  }
}

// Labels, ground truth, predictions.

const RETINA = `# 0--Parade/a.jpg
449 330 122 149 488.906 373.643 0.0 542.089 376.442 0.0 515.031 412.83 0.0 485.174 425.893 0.0 538.357 431.491 0.0 0.82
12 10 20 30 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 0.2
# 1--Run/b.jpg
1 2 30 40
`;
const WIDER = `0--Parade/a.jpg
2
449 330 122 149 0 0 0 0 0 0
12 10 20 30 1 0 0 1 0 1
1--Run/b.jpg
0
0 0 0 0 0 0 0 0 0 0
`;
const JSON_LINES = `{"image":"a.jpg","faces":[{"box":[1,2,30,40],"landmarks":[[5,6],[7,8],[9,10],[11,12],[13,14]]}]}
{"image":"b/c.png","faces":[]}
{"image":"d.jpg","faces":[{"box":[0.5,0.25,9,10]}]}
`;
const GROUND_TRUTH = JSON.stringify({
  pictures: [
    { name: '0--Parade/a', boxes: [[1, 2, 3, 4]], counts: { easy: [1], medium: [1], hard: [1] } },
    { name: '1--Run/b', boxes: [], counts: { easy: [], medium: [], hard: [] } },
  ],
});
const PREDICTIONS = ['a.jpg\n2\n1 2 3 4 0.9\n5.5 6 7 8 0.25\n', `a.jpg\n1\n1 2 3 4 0.9 ${'1.5 '.repeat(10)}\n`];

/** The official list of two events; `of` answers what each picture holds. */
function official(list: string, of: (name: string) => Uint8Array): Uint8Array[] {
  const names = [['a', 'b'], ['c']];
  return [
    cells([chars('0--Parade'), chars('1--Run')], 'event_list'),
    cells(
      names.map((files) => cells(files.map((name) => chars(name)))),
      'file_list',
    ),
    cells(
      names.map((files) => cells(files.map(of))),
      list,
    ),
  ];
}
const boxes = official('face_bbx_list', (name) => doubles([1, 2, 10, 20, 3, 4, 30, 40].slice(name === 'b' ? 4 : 0), name === 'b' ? [1, 4] : [2, 4])); // prettier-ignore
const counted = official('gt_list', (name) => numeric(Uint8Array.of(1), 2, [1, 1], name === 'c' ? 'x' : ''));
const LISTS = matlabFile(counted);

/** The files with MATLAB's own packing, so that damage meets the numbers and not the checksum. */
const mats = [matlabFile(boxes), matlabFile(boxes.map(compressed)), LISTS, matlabFile(counted.map(compressed))];

async function readMats(bytes: Uint8Array): Promise<void> {
  const lists = { bytes: LISTS, source: 'lists' };
  const refused = await readMatlab(bytes, 'mutant').then(
    () => undefined,
    (error: unknown) => error,
  );
  const whole = { easy: lists, medium: lists, hard: lists };
  await Promise.allSettled([
    groundTruthFromMatlab(bytes, 'mutant', whole),
    groundTruthFromMatlab(mats[0]!, 'boxes', { ...whole, hard: { bytes, source: 'mutant' } }),
  ]).then((results) => {
    for (const result of results) if (result.status === 'rejected') assertOwn(result.reason);
  });
  if (refused !== undefined) throw refused as Error;
}

/** A tar archive of one file. */
function tar(name: string, text: string): Uint8Array {
  const header = Buffer.alloc(512);
  header.write(name, 0, 'latin1');
  header.write('0000644\0', 100, 'latin1');
  header.write(`${text.length.toString(8).padStart(11, '0')}\0`, 124, 'latin1');
  header.write('        0ustar\x0000', 148, 'latin1');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  const body = Buffer.alloc(Math.ceil(text.length / 512) * 512);
  body.write(text, 'latin1');
  return new Uint8Array(Buffer.concat([header, body, Buffer.alloc(1024)]));
}
const archive = tar('0--Parade/a.txt', PREDICTIONS[0]!);

// Folders of trainings.

const RUN = JSON.stringify({ configuration: 'full', batch: 2, accumulate: 1, seed: 1, epochs: 3 });
const checkpoint = writeSafetensors(state, {
  'retinaface.training': JSON.stringify({
    step: 4,
    epoch: 1,
    stepInEpoch: 1,
    best: { score: 0.5, epoch: 0 },
    run: RUN,
  }),
  configuration: 'full',
  width: '1',
});
const entries = [1, 2, 3, 4].map((step) => ({ step, epoch: 0, total: 3 / step, images: 2, seconds: 0.5 }));
const LOG = entries.map(logLine).join('');
const EVENTS = new Uint8Array(Buffer.concat([eventFileHead(1.5e9), ...entries.map((entry) => logEvent(entry, 1.5e9))]));
const EVALUATION = JSON.stringify({ easy: 0.5, medium: 0.25, hard: null, protocol: { name: 'x', weights: 'f00' } });
const folder = mkdtempSync(join(tmpdir(), 'retinaface-torture-'));
process.on('exit', () => {
  rmSync(folder, { recursive: true, force: true });
});
const inFolder = (name: string): string => join(folder, name);

/** Reads the folder of a training in which one file is the given one. */
async function readFolder(name: string, bytes: Uint8Array): Promise<void> {
  const files = { 'last.safetensors': checkpoint, 'log.jsonl': Buffer.from(LOG) };
  for (const [other, content] of Object.entries(files))
    writeFileSync(inFolder(other), other === name ? bytes : content);
  const run = await readRunFolder(folder);
  assert.ok(run.batch > 0 && Number.isInteger(run.seed), `the batch ${run.batch} and the seed ${run.seed} of a run`);
}

// Trainings that are gone on from, on the device.

const model = new RetinaFace(device, narrowed(configurations.baseline, 1 / 16));
model.initialise(1);
const trainer = new Trainer(model.network);
const IDENTITY = inOrder(JSON.parse(RUN) as object);
const position = { step: 4, epoch: 1, stepInEpoch: 1, run: IDENTITY };
const WHOLE = await encodeCheckpoint(trainer, position);

/** Goes on in a folder in which one file is the given one; what was gone on from must count, and log and events be whole. */
async function goOn(name: 'last.safetensors' | 'log.jsonl' | 'events.tfevents', bytes: Uint8Array): Promise<void> {
  const workdir = inFolder('workdir');
  mkdirSync(workdir, { recursive: true });
  const files = { 'last.safetensors': WHOLE, 'log.jsonl': LOG, 'events.tfevents': EVENTS };
  for (const [other, content] of Object.entries(files)) writeFileSync(join(workdir, other), other === name ? bytes : content); // prettier-ignore
  const { from } = await Workdir.open(workdir, trainer, IDENTITY);
  assert.ok(
    [from.step, from.epoch, from.stepInEpoch].every((n) => Number.isSafeInteger(n) && n >= 0),
    'a position',
  );
  const log = readFileSync(join(workdir, 'log.jsonl'), 'utf8');
  assert.equal(damagedLine(log), undefined, 'the log is whole');
  assert.ok(readLog(log).every(({ step }) => step <= from.step), 'the log ends where the run stood'); // prettier-ignore
  assert.deepEqual(readdirSync(workdir).sort(), Object.keys(files).sort(), 'nothing else is left there');
}

// Batch jobs.

const NAMES = ['a.jpg', 'b.jpg', 'c.jpg'];
const JOB = {
  shard: { index: 0, count: 1 },
  list: listOf(NAMES),
  part: 2,
  options: { scoreThreshold: 0.5, size: null },
  weights: { sha256: 'f00' },
  configuration: null,
  program: '0.1.0',
};
const batch = await BatchFolder.open(inFolder('batch'), JOB, NAMES);
await batch.searchOn({ name: 'an adapter', choices: { 'conv 3×3': 'winograd' } });
const begun = readFileSync(join(batch.folder, 'manifest.json'));
await batch.write(0, [{ file: 'a.jpg', width: 4, height: 3, faces: [] }, { file: 'b.jpg', error: { name: 'ImageError', message: 'torn' } }]); // prettier-ignore
await batch.write(1, [{ file: 'c.jpg', width: 4, height: 3, faces: [{ score: 0.5 }] }]);
await batch.complete();
const BATCH = Object.fromEntries(
  readdirSync(batch.folder).map((name) => [name, readFileSync(join(batch.folder, name))]),
);

/** Goes on with a job, and merges it, where one file is the given one. */
async function readBatch(name: string, bytes: Uint8Array, others = BATCH): Promise<void> {
  for (const [other, content] of Object.entries(others)) writeFileSync(join(batch.folder, other), other === name ? bytes : content); // prettier-ignore
  const merged = (async () => {
    const { check, pictures } = await openMerge([inFolder('batch')]);
    await check();
    assert.ok(Number.isSafeInteger(pictures) && pictures >= 0, `${pictures} pictures`);
  })();
  const goneOn = merged
    .catch(() => undefined)
    .then(async () => {
      const opened = await BatchFolder.open(inFolder('batch'), JOB, NAMES);
      await opened.missing();
      const choices = await opened.searchOn({ name: 'an adapter', choices: {} });
      for (const choice of Object.values(choices)) assert.equal(typeof choice, 'string');
      await opened.complete();
    });
  const results = await Promise.allSettled([merged, goneOn]);
  const refused = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
  for (const error of refused) assertOwn(error);
  if (refused.length === results.length) throw refused[0] as Error;
}

// Runs of a study, and what else is kept in files.

const SETTINGS: Settings = {
  budget: { steps: 4 },
  foundation: null,
  finish: null,
  real: null,
  loss: 'report',
  width: 0.25,
  size: 96,
  batch: 8,
  scenes: 12,
  held: 4,
  rate: 0.02,
  clip: 30,
};
const figuresOfRun = { easy: 0.5, medium: 0.25, hard: 0.125 };
const STUDY = JSON.stringify({
  settings: SETTINGS,
  variant: 'baseline',
  seed: 1,
  adapter: 'an adapter',
  parameters: 1000,
  steps: 4,
  seconds: 2.5,
  log: entries,
  synthetic: figuresOfRun,
  finished: { ...figuresOfRun, steps: 2, seconds: 1 },
});
const KEPT = JSON.stringify({ weights: 'f00', pictures: 'ba5', figures: { 'AP 50 px': 0.5, AP: null } });
const CONFIGURATION = JSON.stringify({
  name: 'context',
  input: { order: 'rgb', mean: [104, 117, 123] },
  levels: [4, 8, 16, 32, 64].map((stride) => ({ stride, sizes: [4 * stride, 6 * stride] })),
  variances: [0.1, 0.2],
});
const gpu = Gpu.of(device);
const CHOICES = encodeChoices(gpu, new Map([['conv 3×3', 'winograd']]));

const KINDS: readonly Kind[] = [
  { name: 'PNG', files: pngs, read: readPicture },
  { name: 'PNG with right sums', files: pngs, repair: withSums, read: readPicture },
  { name: 'PNG of the encoder', files: [encodePng(drawn)], repair: withSums, read: readPicture },
  { name: 'JPEG', files: jpegs, read: readPicture },
  {
    name: 'PyTorch zip',
    files: [torchZip(false), torchZip(true), torchZip(false, true)],
    read: readWeightsFile,
  },
  { name: 'PyTorch legacy', files: [legacyFile(OBJECT, STORAGES)], read: readWeightsFile },
  { name: 'safetensors', files: [writeSafetensors(state), checkpoint], read: readWeightsFile },
  {
    name: 'safetensors header',
    files: [writeSafetensors(state), checkpoint].map((bytes) =>
      bytes.slice(8, 8 + new DataView(bytes.buffer).getUint32(0, true)),
    ),
    text: true,
    read(header) {
      // Around the damaged header, the length and the data of a whole file.
      const data = new Uint8Array(116);
      const length = new Uint8Array(BigUint64Array.of(BigInt(header.length)).buffer);
      return readWeightsFile(new Uint8Array(Buffer.concat([length, header, data])));
    },
  },
  { name: '.mat', files: mats, read: readMats },
  {
    name: '.mat, damaged before it is packed',
    files: boxes,
    read: (variable) => readMats(matlabFile([compressed(variable), ...boxes.slice(0, 2).map(compressed)])),
  },
  {
    name: 'labels',
    files: [RETINA, WIDER, JSON_LINES].map((text) => Buffer.from(text)),
    text: true,
    read(bytes) {
      const text = new TextDecoder().decode(bytes);
      const errors = [parseRetinaFaceLabels, parseWiderBoxes, parseJsonLines].flatMap((parse) => {
        try {
          for (const { faces } of parse(text).samples) {
            for (const { box } of faces) assert.ok(box.every(Number.isFinite), `the box ${box.join(' ')}`);
          }
          return [];
        } catch (error) {
          assertOwn(error);
          return [error];
        }
      });
      const [first] = errors as Error[];
      if (first && errors.length === 3) throw first;
    },
  },
  {
    name: 'ground truth',
    files: [RETINA, WIDER, JSON_LINES, GROUND_TRUTH].map((text) => Buffer.from(text)),
    text: true,
    async read(bytes) {
      const text = new TextDecoder().decode(bytes);
      const readers = [
        groundTruthFromRetinaFaceLabels,
        groundTruthFromJsonLines,
        groundTruthFromJson,
        groundTruthFromBoxes,
      ];
      const results = await Promise.allSettled(readers.map(async (read) => read(text, 'mutant')));
      const refused = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
      for (const error of refused) assertOwn(error);
      for (const result of results) {
        if (result.status === 'rejected') continue;
        for (const picture of result.value.pictures) {
          assert.ok(picture.boxes.every(Number.isFinite), `boxes of ${picture.name}`);
          pictureName(picture.name);
        }
      }
      const [first] = refused as Error[];
      if (first && refused.length === readers.length) throw first;
    },
  },
  {
    name: 'predictions',
    files: PREDICTIONS.map((text) => Buffer.from(text)),
    text: true,
    read(bytes) {
      const {
        boxes: found,
        scores,
        landmarks,
      } = parsePredictions(new TextDecoder().decode(bytes), 'mutant', '0--Parade/a');
      assert.equal(found.length, 4 * scores.length);
      assert.ok(found.every(Number.isFinite) && scores.every(Number.isFinite), 'finite numbers');
      if (landmarks) assert.equal(landmarks.length, 10 * scores.length);
    },
  },
  { name: 'archive of predictions', files: [archive, gzipSync(archive)], read: (bytes) => readTar(bytes, 'mutant') },
  {
    name: 'checkpoint of a run',
    files: [checkpoint],
    async read(bytes) {
      const { position } = readPosition(readSafetensors(bytes, 'mutant').metadata, 'mutant');
      assert.ok([position.step, position.epoch, position.stepInEpoch].every((n) => Number.isSafeInteger(n) && n >= 0), 'a position that counts'); // prettier-ignore
      assert.equal(typeof position.run, 'string');
      await readFolder('last.safetensors', bytes);
    },
  },
  {
    name: 'position of a run',
    files: [
      JSON.stringify({ step: 4, epoch: 1, stepInEpoch: 1, best: { score: 0.5, epoch: 0 }, adapters: ['x'], run: RUN }),
    ].map((text) => Buffer.from(text)),
    text: true,
    async read(bytes) {
      const text = new TextDecoder().decode(bytes);
      const { position } = readPosition({ 'retinaface.training': text, configuration: 'full' }, 'mutant');
      assert.ok([position.step, position.epoch, position.stepInEpoch].every((n) => Number.isSafeInteger(n) && n >= 0), 'a position that counts'); // prettier-ignore
      assert.equal(typeof position.run, 'string');
      await readFolder(
        'last.safetensors',
        writeSafetensors(state, { 'retinaface.training': text, configuration: 'full' }),
      );
    },
  },
  {
    name: 'log of a run',
    files: [Buffer.from(LOG)],
    text: true,
    async read(bytes) {
      const text = new TextDecoder().decode(bytes);
      const kept = resumeLog(text, { step: 2 });
      assert.equal(damagedLine(kept), undefined, 'a log to go on from is whole');
      assert.ok(
        readLog(kept).every(({ step }) => step <= 2),
        'no later step',
      );
      assert.equal(resumeLog(kept, { step: 2 }), kept);
      await readFolder('log.jsonl', bytes);
    },
  },
  {
    name: 'events of a run',
    files: [EVENTS],
    read(bytes) {
      const kept = resumeEvents(bytes, { step: 2 });
      assert.ok(kept.length <= bytes.length);
      assert.deepEqual(resumeEvents(kept, { step: 2 }), kept);
    },
  },
  { name: 'checkpoint gone on from', files: [WHOLE], read: (bytes) => goOn('last.safetensors', bytes) },
  { name: 'log gone on from', files: [Buffer.from(LOG)], text: true, read: (bytes) => goOn('log.jsonl', bytes) },
  { name: 'events gone on from', files: [EVENTS], read: (bytes) => goOn('events.tfevents', bytes) },
  {
    name: 'manifest of a batch',
    files: [BATCH['manifest.json']!, begun],
    text: true,
    read: (bytes) => readBatch('manifest.json', bytes),
  },
  {
    name: 'part of a batch',
    files: [BATCH['part-000000.jsonl']!],
    text: true,
    read: (bytes) => readBatch('part-000000.jsonl', bytes, { ...BATCH, 'manifest.json': begun }),
  },
  {
    name: 'run of a study',
    files: [Buffer.from(STUDY)],
    text: true,
    async read(bytes) {
      mkdirSync(inFolder('study/baseline-1'), { recursive: true });
      writeFileSync(inFolder('study/baseline-1/result.json'), bytes);
      const study = { out: inFolder('study'), settings: SETTINGS, say: () => undefined };
      const run = await finishedRun(study, 'baseline', 1);
      // What the report is made of.
      for (const number of [run!.seed, run!.parameters, run!.steps, run!.seconds])
        assert.equal(typeof number, 'number');
      for (const subset of SUBSETS) {
        const precision = run!.synthetic![subset] as number | null;
        assert.ok(precision === null || (precision >= 0 && precision <= 1), subset);
      }
    },
  },
  {
    name: 'figures to compare',
    files: [Buffer.from(KEPT)],
    text: true,
    async read(bytes) {
      writeFileSync(inFolder('compared.json'), bytes);
      const kept = await keptFigures(inFolder('compared.json'));
      if (kept) assert.ok(figuresText(kept.figures).length >= 0);
      else throw new FileError({ operation: 'read', expected: 'figures', got: 'none', remedy: 'Measure again.' });
    },
  },
  {
    name: 'configuration',
    files: [Buffer.from(CONFIGURATION)],
    text: true,
    async read(bytes) {
      writeFileSync(inFolder('network.json'), bytes);
      const { levels } = wholeConfiguration((await readConfiguration(inFolder('network.json'), 'train'))!, 'train');
      assert.ok(levels.every(({ sizes }) => sizes.every(Number.isFinite)));
    },
  },
  {
    name: 'choices of a tuner',
    files: [Buffer.from(CHOICES)],
    text: true,
    read(bytes) {
      const choices = decodeChoices(gpu, new TextDecoder().decode(bytes));
      if (typeof choices !== 'string') return;
      throw new FileError({ operation: 'read', expected: 'choices', got: choices, remedy: 'Tune again.' });
    },
  },
  {
    name: 'evaluation of a run',
    files: [Buffer.from(EVALUATION)],
    text: true,
    async read(bytes) {
      mkdirSync(inFolder('evaluation'), { recursive: true });
      writeFileSync(inFolder('evaluation/result.json'), bytes);
      try {
        await readFolder('nothing', bytes);
      } finally {
        rmSync(inFolder('evaluation'), { recursive: true });
      }
    },
  },
];

/** Fails unless an error is one of the library's own, with something to do about it. */
function assertOwn(error: unknown): asserts error is RetinaFaceError {
  if (error instanceof RetinaFaceError && error.remedy.length > 5 && !error.message.includes('[object')) return;
  throw new Error('a foreign error', { cause: error });
}

for (const { name, files, read } of KINDS) {
  if (['labels', 'ground truth', 'evaluation of a run', '.mat, damaged before it is packed'].includes(name)) continue;
  test(`${name}: what is not damaged is read`, async () => {
    for (const file of files) await read(file);
  });
}

const MUTANTS = times(4000, 20_000);

test('damaged files are read or refused, each in time, and leave nothing behind', async () => {
  const trend = new MemoryTrend(MUTANTS, 12);
  let refused = 0;
  let slowest = 0;
  const faults: string[] = [];
  for (let i = 0; i < MUTANTS; i++) {
    const kind = KINDS[i % KINDS.length]!;
    const random = randomOfCase('mutants', i);
    const file = random.pick(kind.files);
    const others = kind.files;
    const { bytes, done } = kind.text
      ? mutatedText(Buffer.from(file).toString(), random, others.map((other) => Buffer.from(other).toString())) // prettier-ignore
      : mutated(file, random, others);
    const mutant = kind.repair && random.chance(0.7) ? kind.repair(bytes) : bytes;
    const before = process.cpuUsage();
    try {
      await kind.read(mutant);
    } catch (error) {
      refused++;
      try {
        assertOwn(error);
      } catch {
        const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
        const text = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
        faults.push(`case ${i}, ${kind.name}, ${done}: ${text}`);
      }
    }
    const { user, system } = process.cpuUsage(before);
    const milliseconds = (user + system) / 1000;
    slowest = Math.max(slowest, milliseconds);
    if (milliseconds > HANG) faults.push(`case ${i}, ${kind.name}, ${done}: took ${milliseconds} ms`);
    trend.note(i);
  }
  figures('mutants', { files: MUTANTS, refused, 'milliseconds at most': slowest, ...trend.figures });
  assertNoFaults(faults);
  assert.ok(refused > MUTANTS / 4, `${refused} of ${MUTANTS} were refused: too few to be damaged`);
  assert.ok(trend.growth < FLAT, `${trend.growth} bytes more`);
});

test.run();
