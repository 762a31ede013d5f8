import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { averagePrecision } from '../evaluate/average_precision.js';
import type { Predictions } from '../evaluate/detections.js';
import { type EvaluationSource, searchPictures } from '../evaluate/evaluate_model.js';
import { evaluateHeights, heightName, LANDMARK_HEIGHT } from '../evaluate/heights.js';
import { type LandmarkErrors, landmarkErrors } from '../evaluate/landmarks.js';
import { type Protocol, type ProtocolName, protocolOf, protocols, type SearchSize } from '../evaluate/protocol.js';
import { SUBSETS } from '../evaluate/ground_truth.js';
import { ArgumentError, FileError } from '../gpu/errors.js';
import { figures, writeReport, writeText } from '../node/evaluate_report.js';
import { makeFolder, readBytes } from '../node/files.js';
import { LastingModel } from '../node/lasting.js';
import type { Precision } from '../nn/parameter.js';
import { pictureFolder, PredictionFolder, readGroundTruth, readPredictions } from '../node/wider_files.js';
import { MAX_SIDE } from '../retinaface/detect_options.js';
import { toParameterNames } from '../weights/names.js';
import { readWeights } from '../weights/read.js';
import { type Command, defineCommand, EXIT } from './command.js';
import {
  CONFIGURATION_HELP,
  type ConfigurationOption,
  PRECISION,
  readConfiguration,
  readWeightsOption,
} from './model_options.js';
import { flag, listOf, nameOf, number, oneOf, parsed, readNumber, text, texts, type Values, whole } from './options.js';
import { Progress } from './progress.js';

const fraction = { min: 0, max: 1 };

const OPTIONS = {
  groundTruth: text({
    value: 'PATH',
    help:
      'the folder of the official .mat files, or of wider_face_*_bbx_gt.txt and the lists; or one file: those, ' +
      'retinaface_gt_v1.1 labels, JSON lines, or JSON (event, name, boxes_xywh, easy, medium, hard)',
  }),
  predictions: text({
    value: 'PATH',
    help: 'official text files, EVENT/PICTURE.txt below a folder or in a .tar.gz; --images adds the pictures',
  }),
  weights: text({
    value: 'FILE|NAME',
    help: 'a checkpoint to search the pictures with, or a name that `retinaface weights` lists (also RETINAFACE_WEIGHTS)',
  }),
  config: text({ value: 'NAME|FILE', help: CONFIGURATION_HELP }),
  precision: PRECISION,
  images: text({ value: 'DIR', help: 'the pictures, EVENT/PICTURE.jpg below it, or PICTURE.jpg' }),
  out: text({
    value: 'DIR',
    help:
      'predictions/, result.json, curves.svg, curves.png, worst.html; a search that stopped goes on there ' +
      '(RUN/evaluation of a training: `retinaface table RUN…` finds it there)',
  }),
  json: flag({
    help:
      '{"easy","medium","hard","protocol":{…}} on stdout, and nothing else; "landmarks" as well, their errors over √(w·h), ' +
      'where faces are annotated, and "heights", the same from 50 px, from 24 px and of all faces, where no lists say ' +
      'which count; of a --shard {"shard","pictures","protocol":{…}}',
  }),
  quiet: flag({ help: 'no words on stderr but errors' }),
  protocol: oneOf(Object.keys(protocols) as ProtocolName[], {
    heading: 'How a model searches, with --weights alone:',
    value: 'NAME',
    help:
      'published: own size, score > 0.02, no limit before suppression at 0.4 (default)\n' +
      'report: the same with the best 5,000 before suppression',
  }),
  size: parsed(sizeOption, {
    value: 'S',
    help: 'original; N, fitted to N×N; or SHORT:LONG, a short side up to a greatest long one (1600:2150)',
  }),
  flip: flag({ help: 'each picture mirrored as well; overlapping boxes vote' }),
  scales: listOf((each, command, name) => readNumber(command, name, each, { min: 0.01, max: 16 }), {
    value: 'A,B,…',
    help: 'each picture at these multiples of its size; overlapping boxes vote',
  }),
  scoreThreshold: number({ value: 'S', ...fraction, help: 'least score, 0 to 1' }),
  nmsThreshold: number({ flag: 'nms', value: 'T', ...fraction, help: 'largest overlap, 0 to 1' }),
  topK: whole({ value: 'N', min: 1, max: 32_768, help: 'candidates before suppression' }),
  batch: whole({ value: 'N', min: 1, help: 'pictures of one size in one pass (1)' }),
  shard: parsed(shardOption, {
    heading: 'Sharing the work:',
    value: 'I/N',
    help: 'only every N-th picture from the I-th on, I from 1; writes predictions to --out, no figures',
  }),
  merge: texts({ value: 'DIR…', help: 'the --out folders of all shards' }),
};

/** What predictions that are there already cannot follow. */
const SEARCH_OPTIONS = [
  'config',
  'precision',
  'protocol',
  'size',
  'flip',
  'scales',
  'scoreThreshold',
  'nmsThreshold',
  'topK',
  'batch',
] as const satisfies (keyof typeof OPTIONS)[];

/** `retinaface evaluate`. */
export const evaluate: Command = defineCommand({
  name: 'evaluate',
  usage: '--ground-truth DIR|FILE (--predictions DIR | --weights FILE --images DIR | --merge DIR…)',
  about:
    'Average precision by the official evaluation of WIDER FACE (easy, medium, hard), of predictions or of a model.',
  options: OPTIONS,
  notes:
    'Scores are brought to 0–1 over the whole set; a face is met at IoU 0.5; precision is read at 1,000 thresholds.',
  words: true,
  async run(values, words) {
    // The shell splits `--merge a b` in two.
    const merged = values.merge ? [...values.merge, ...words] : undefined;
    const path = values.groundTruth;
    if (path === undefined || (merged === undefined && words.length > 0)) {
      throw usage(
        '--ground-truth and no other words',
        path === undefined ? 'no --ground-truth' : words.join(' '),
        'Write `retinaface evaluate --ground-truth DIR --predictions DIR`.',
      );
    }
    const weights = values.weights ?? (values.predictions || merged ? undefined : process.env['RETINAFACE_WEIGHTS']);
    const given = [values.predictions, weights, merged].filter((way) => way !== undefined);
    if (given.length !== 1) {
      throw usage(
        'one of --predictions, --weights with --images, or --merge',
        given.length === 0 ? 'none' : 'several',
        'Say what to evaluate: prediction files, a model, or the shards of one.',
      );
    }
    const idle =
      weights === undefined ? SEARCH_OPTIONS.filter((key) => values[key] !== undefined && values[key] !== false) : [];
    if (idle.length > 0) {
      throw usage(
        'options of a search with --weights alone',
        `${idle.map((key) => nameOf(key, OPTIONS[key])).join(', ')} with ${merged ? '--merge' : '--predictions'}`,
        'Leave them out: those pictures have been searched.',
      );
    }
    const { images, out, shard, quiet, json } = values;
    if (weights !== undefined && images === undefined) throw usage('--images with --weights', 'none', 'Name a folder.');
    if (shard && (out === undefined || weights === undefined)) {
      throw usage('--weights and --out with --shard', 'less', 'Name weights, and a folder for the predictions.');
    }
    const say = (words: string): void => {
      if (!quiet) process.stderr.write(words);
    };

    const protocol = searchProtocol(values);
    const groundTruth = await readGroundTruth(path);
    const names = groundTruth.pictures.map(({ name }) => name);
    const source = images === undefined ? undefined : await pictureFolder(images, shard ? shard.of(names) : names);
    const annotated = groundTruth.pictures.some(({ landmarks }) => landmarks);
    let predictions: Predictions;
    let described: Readonly<Record<string, unknown>>;
    if (weights !== undefined && source) {
      const { batch = 1 } = values;
      const config = await readConfiguration(values.config, 'evaluate');
      const searched = await searchWith({
        weights,
        config,
        precision: values.precision,
        source,
        protocol,
        out,
        annotated,
        batch,
        quiet,
      });
      ({ predictions, described } = searched);
      say(searched.words);
    } else if (merged) {
      described = await commonRun(merged);
      const folders = merged.map((folder) => join(folder, PREDICTIONS));
      predictions = await readPredictions(folders, groundTruth);
      if (out !== undefined) {
        await claim(out, described);
        await copyPredictions(join(out, PREDICTIONS), predictions, annotated);
      }
    } else {
      described = { name: 'given predictions', predictions: values.predictions };
      predictions = await readPredictions([values.predictions!], groundTruth);
    }
    if (shard) {
      const done = { shard: shard.name, pictures: predictions.size, protocol: described };
      process.stdout.write(json ? `${JSON.stringify(done)}\n` : `${predictions.size} pictures of this shard\n`);
      return EXIT.done;
    }

    const result = averagePrecision(groundTruth, predictions);
    const report = {
      result,
      protocol: {
        ...described,
        iouThreshold: 0.5,
        thresholds: 1000,
        subsets: groundTruth.subsets,
        pictures: names.length,
      },
      landmarks: landmarkErrors(groundTruth, predictions),
      heights: groundTruth.subsets === 'all' ? evaluateHeights(groundTruth, predictions) : undefined,
      groundTruth,
      predictions,
      source,
    };
    if (out !== undefined) {
      await writeReport(out, report);
      say(`${join(out, source ? 'worst.html' : 'result.json')} and what stands beside it are written\n`);
    }
    if (groundTruth.subsets === 'all')
      say('no lists of faces that count: every face counts, and figures are by the heights of their boxes\n');
    process.stdout.write(json ? `${JSON.stringify(figures(report))}\n` : toText(report));
    return EXIT.done;
  },
});

const PREDICTIONS = 'predictions';
/** How the predictions of a folder came about. */
const RUN = 'run.json';

function usage(expected: string, got: string, remedy: string): ArgumentError {
  return new ArgumentError({ operation: 'evaluate', expected, got, remedy });
}

function searchProtocol({
  protocol = 'published',
  scoreThreshold,
  nmsThreshold,
  topK,
  size,
  flip: mirrored,
  scales,
}: Pick<Values<typeof OPTIONS>, (typeof SEARCH_OPTIONS)[number]>): Protocol {
  return protocolOf(protocol, {
    ...(scoreThreshold === undefined ? {} : { scoreThreshold }),
    ...(nmsThreshold === undefined ? {} : { nmsThreshold }),
    ...(topK === undefined ? {} : { topK, maxFaces: topK }),
    ...(size === undefined ? {} : { size }),
    ...(mirrored ? { flip: true } : {}),
    ...(scales === undefined ? {} : { scales }),
  });
}

function sizeOption(given: string, command: string, name: string): SearchSize {
  if (given === 'original') return given;
  const sides = given
    .split(':')
    .map((side) => readNumber(command, name, side, { min: 16, max: MAX_SIDE, integer: true }));
  const [first, second] = sides;
  if (sides.length === 1) return first!;
  if (sides.length === 2 && second! >= first!) return { shortSide: first!, longSide: second! };
  throw usage(`${name} to be original, N or SHORT:LONG`, `'${given}'`, 'Write --size 1600:2150, for one.');
}

interface Shard {
  /** As it was given: 1/4. */
  readonly name: string;
  readonly of: (names: readonly string[]) => string[];
}

function shardOption(given: string): Shard {
  const [, index = 0, count = 0] = (/^(\d+)\/(\d+)$/.exec(given) ?? []).map(Number);
  if (index < 1 || index > count) {
    throw usage('--shard I/N with I of 1 to N', `'${given}'`, 'Write --shard 1/4, for one.');
  }
  return { name: given, of: (names) => names.filter((_, i) => i % count === index - 1) };
}

/** Searches pictures with a model, keeping predictions in `out` where one is named. */
async function searchWith(run: {
  readonly weights: string;
  readonly config: ConfigurationOption | undefined;
  readonly precision: Precision | undefined;
  readonly source: EvaluationSource;
  readonly protocol: Protocol;
  readonly out: string | undefined;
  /** Landmarks are to be measured. */
  readonly annotated: boolean;
  readonly batch: number;
  readonly quiet: boolean;
}): Promise<{
  readonly predictions: Predictions;
  readonly described: Readonly<Record<string, unknown>>;
  readonly words: string;
}> {
  const { weights, source, protocol, out, batch } = run;
  const { bytes, name } = await readWeightsOption(weights, run.quiet);
  const tensors = toParameterNames(await readWeights(bytes, name));
  // What was searched stays; the pictures at hand are searched again where the device is lost.
  using model = new LastingModel(
    run.config,
    (loaded) => {
      loaded.loadState(tensors, name);
      return Promise.resolve();
    },
    (words) => {
      if (!run.quiet) process.stderr.write(words);
    },
    run,
  );
  const { configuration, driver } = await model.about();
  const described = {
    ...protocol,
    merge: protocol.flip || protocol.scales.length > 1 ? 'box voting' : 'none',
    configuration,
    ...(typeof run.config === 'object' ? { given: run.config } : {}),
    ...(run.precision === 'f16' ? { precision: run.precision } : {}),
    weights: createHash('sha256').update(bytes).digest('hex'),
  };
  let store: PredictionFolder | undefined;
  if (out !== undefined) {
    await claim(out, described);
    store = await PredictionFolder.open(join(out, PREDICTIONS), run.annotated);
  }
  const progress = new Progress(source.length, run.quiet);
  const start = performance.now();
  let done = 0;
  let kept = 0;
  let predictions: Predictions;
  const tiled: string[] = [];
  try {
    predictions = await searchPictures(model, source, {
      protocol: protocol.name as ProtocolName,
      changes: protocol,
      batch,
      ...(store ? { store } : {}),
      onTiled: (picture) => tiled.push(picture),
      onProgress: (at) => {
        progress.advance(at.done - done, at.kept - kept);
        ({ done, kept } = at);
      },
    });
  } finally {
    progress.end();
  }
  const seconds = (performance.now() - start) / 1000;
  const fresh = source.length - kept;
  const words =
    `${fresh} pictures searched in ${seconds.toFixed(1)} s (${(fresh / seconds).toFixed(1)} pictures/s)` +
    `${kept > 0 ? `, ${kept} kept from before` : ''}, on ${driver}\n` +
    (tiled.length > 0 ? `${tiledWords(tiled)}\n` : '');
  return { predictions, described, words };
}

/** What was not searched as the protocol says. */
function tiledWords(tiled: readonly string[]): string {
  const first = tiled.slice(0, 3).join(', ');
  return (
    `warning: ${tiled.length} pictures do not fit this device at their own size and were searched in tiles, in which faces beyond ` +
    `700 pixels may be missed: ${first}${tiled.length > 3 ? ' …' : ''}`
  );
}

/** Marks a folder as this run's. @throws ArgumentError when it holds another's predictions. */
async function claim(out: string, described: object): Promise<void> {
  await makeFolder(out);
  const text = `${JSON.stringify(described)}\n`;
  const other = await readRun(out);
  if (other === undefined) return writeText(join(out, RUN), text);
  if (other === text.trim()) return;
  throw usage(
    `--out to be new, or to hold predictions of these weights by this protocol`,
    `${out} with those of ${other}`,
    'Name another folder, or pass the options of that run.',
  );
}

/** What a folder says of its run; undefined where it says nothing. @throws FileError when that cannot be read. */
async function readRun(folder: string): Promise<string | undefined> {
  const path = join(folder, RUN);
  if (!existsSync(path)) return undefined;
  const text = new TextDecoder().decode(await readBytes(path, 'read the run')).trim();
  try {
    JSON.parse(text);
  } catch (cause) {
    throw new FileError({
      operation: `read ${path}`,
      expected: 'JSON',
      got: `'${text.slice(0, 60)}'`,
      remedy: 'Name the folder of another run: this one has been changed.',
      cause,
    });
  }
  return text;
}

/** The one run that all the folders are shards of. @throws ArgumentError when they are not. */
async function commonRun(folders: readonly string[]): Promise<Readonly<Record<string, unknown>>> {
  let first: string | undefined;
  for (const folder of folders) {
    const run = await readRun(folder);
    if (run === undefined) throw usage(`${RUN} in ${folder}`, 'none', 'Name the --out folders of the shards.');
    first ??= run;
    if (run !== first) {
      throw usage(
        'shards of one run: the same weights and protocol',
        `${first} in ${folders[0]!} and ${run} in ${folder}`,
        'Search those pictures again with the options of the others.',
      );
    }
  }
  return JSON.parse(first ?? '{}') as Readonly<Record<string, unknown>>;
}

async function copyPredictions(folder: string, predictions: Predictions, landmarks: boolean): Promise<void> {
  const store = await PredictionFolder.open(folder, landmarks);
  for (const [name, detections] of predictions) await store.write(name, detections);
}

function toText({ result, protocol, landmarks, heights }: Parameters<typeof figures>[0]): string {
  const row = (name: string, ap: number, faces: number): string =>
    `${name.padEnd(heights ? 12 : 8)}${Number.isNaN(ap) ? 'no faces count' : ap.toFixed(4)}  ${faces.toLocaleString('en')} faces\n`;
  const pointsOf = (which: string, { meanError, failureRate, found, faces }: LandmarkErrors): string =>
    `landmarks${which}: mean error ${(100 * meanError).toFixed(2)}% of √(w·h), ${(100 * failureRate).toFixed(2)}% fail at 10%, ` +
    `on ${found} of ${faces} annotated faces\n`;
  const rows = heights
    ? heights.precisions.map(({ least, averagePrecision: ap, faces }) => row(heightName(least), ap, faces))
    : SUBSETS.map((subset) => row(subset, result.curves[subset].averagePrecision, result.curves[subset].faces));
  const points = landmarks ? pointsOf('', landmarks) : '';
  const tall = heights?.landmarks ? pointsOf(` from ${LANDMARK_HEIGHT} px`, heights.landmarks) : '';
  return `${rows.join('')}${points}${tall}protocol: ${JSON.stringify(protocol)}\n`;
}
