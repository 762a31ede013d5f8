import { appendFile, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type AugmentOptions, drawAugmentation, plainPlan } from '../data/augment.js';
import { plannedBatch } from '../data/batch.js';
import { randomOf } from '../data/random.js';
import type { PictureSource, Sample } from '../data/sample.js';
import { syntheticSource } from '../data/synthetic.js';
import { evaluateModel } from '../evaluate/evaluate_model.js';
import { groundTruthFromSamples } from '../evaluate/ground_truth.js';
import {
  ArgumentError,
  DeviceLostError,
  FileError,
  LimitError,
  OutOfMemoryError,
  RetinaFaceError,
} from '../gpu/errors.js';
import { writeText } from '../node/evaluate_report.js';
import { readBytes, writeFileAtomic, writeImage } from '../node/files.js';
import { requestDevice, RetinaFace } from '../node/index.js';
import { readLabels } from '../node/label_files.js';
import { folderSource, type LoadedBatch, PictureLoader, type SourceDescription } from '../node/picture_loader.js';
import { type Configuration, type ConfigurationName, configurations, narrowed } from '../retinaface/config.js';
import {
  PUBLISHED_CASCADE_LOSS,
  PUBLISHED_LOSS,
  REPORT_CASCADE_LOSS,
  REPORT_LOSS,
  REPORT_STRICT_CASCADE_LOSS,
  REPORT_STRICT_LOSS,
} from '../retinaface/loss.js';
import { writeNetworkState } from '../retinaface/network_state.js';
import { encodeCheckpoint, type Position, restoreCheckpoint } from '../train/checkpoint.js';
import { drawCurves } from '../train/curves.js';
import {
  eventFileHead,
  type LogEntry,
  logEvent,
  logLine,
  readLog,
  resumeEvents,
  resumeLog,
} from '../train/event_log.js';
import { formatSeconds, Smoothed, Speed } from '../train/metrics.js';
import { runTraining, type RunHost } from '../train/run.js';
import { parseSchedule } from '../train/schedule.js';
import { freeBatch, Trainer, type TrainerOptions } from '../train/trainer.js';
import { toParameterNames } from '../weights/names.js';
import { readWeights } from '../weights/read.js';
import { type Command, defineCommand, EXIT } from './command.js';
import { flag, listOf, number, offFlag, oneOf, text, type Values, whole, wrong } from './options.js';

/** Of class, box and landmark loss in the original RetinaFace (Deng et al. 2020, §3.2). */
const PAPER_WEIGHTS = { class: 1, box: 0.25, landmarks: 0.1 };

/** What separates the scenes of an evaluation from those of the training. */
const EVALUATION_SEED = 0x5eed;

/** Seconds between two drawings of the curves, but for those after an evaluation. */
const DRAW_EVERY = 60;

/** Losses of the first or only heads, and of the cascade's, by the name that --loss takes. */
const LOSSES: Readonly<Record<string, Pick<TrainerOptions, 'loss' | 'cascadeLoss'>>> = {
  report: { loss: REPORT_LOSS, cascadeLoss: REPORT_CASCADE_LOSS },
  'report-strict': { loss: REPORT_STRICT_LOSS, cascadeLoss: REPORT_STRICT_CASCADE_LOSS },
  paper: {
    loss: { ...REPORT_LOSS, lambda: PAPER_WEIGHTS },
    cascadeLoss: { ...REPORT_CASCADE_LOSS, lambda: PAPER_WEIGHTS },
  },
  published: { loss: PUBLISHED_LOSS, cascadeLoss: PUBLISHED_CASCADE_LOSS },
};

const OPTIONS = {
  configuration: text({
    flag: 'config',
    value: 'NAME',
    help: 'the network: published-mobilenet0.25, baseline, context, full, deformable, …',
  }),
  data: text({
    value: 'DIR',
    help: 'WIDER FACE: label.txt (retinaface_gt_v1.1) or the official boxes, and its pictures',
  }),
  images: text({ value: 'DIR', help: 'a folder of pictures, with' }),
  labels: text({
    value: 'FILE',
    help: '  their faces: label.txt, wider_face_…_bbx_gt.txt or JSON lines {"image","faces":[{"box","landmarks"}]}',
  }),
  holdout: whole({
    value: 'N',
    min: 0,
    fallback: 0,
    help: 'the last N of those pictures are kept out of training, for evaluation; without, there is none',
  }),
  scenes: whole({
    flag: 'synthetic',
    value: 'N',
    min: 1,
    help: 'N drawn scenes with exact boxes and points, no data set needed',
  }),
  sceneSize: whole({
    flag: 'scene',
    value: 'N',
    min: 32,
    help: 'edge of those scenes in pixels (a quarter more than --size, or --size with --no-augment)',
  }),
  workdir: text({
    value: 'DIR',
    help:
      'last.safetensors, best.safetensors, log.jsonl, events.tfevents, curves.png\n' +
      '(`retinaface table --help` says how such folders become a table)',
  }),
  epochs: whole({ value: 'N', min: 1, fallback: 60, help: 'passes over the pictures' }),
  width: number({
    value: 'W',
    min: 0,
    max: 1,
    help: 'times all channels of a network on ResNet-50, a multiple of 1/16 (1): 0.25 costs a sixteenth',
  }),
  batch: whole({ value: 'N', min: 1, fallback: 10, help: 'pictures in one part of a step' }),
  accumulate: whole({
    value: 'N',
    min: 1,
    fallback: 1,
    help: 'parts of a step: --batch 4 --accumulate 8 is --batch 32 but for batch norms, which see 4 at a time',
  }),
  size: whole({ value: 'N', min: 32, fallback: 640, help: 'edge of the square input in pixels' }),
  schedule: text({
    value: 'TEXT',
    fallback: 'report',
    help:
      'learning rate: report, paper, constant:RATE, cosine:RATE[,LAST], step:RATE@EPOCH,EPOCH…[*FACTOR] or ' +
      'piecewise:RATE,RATE@EPOCH,…, each with +warmup:STEPS where wanted',
  }),
  loss: oneOf(Object.keys(LOSSES), {
    value: 'NAME',
    help:
      'report, report-strict (thresholds alone match, pictures without positives are skipped), paper (the ' +
      "original's weights 1, 0.25, 0.1) or published; the network's family decides by default, and the box " +
      "code stays the network's own",
  }),
  momentum: number({ value: 'M', min: 0, max: 1, fallback: 0.9, help: 'of the gradients before' }),
  weightDecay: number({ value: 'D', min: 0, fallback: 5e-4, help: 'times each parameter, added to its gradient' }),
  clipNorm: number({ flag: 'clip', value: 'NORM', min: 1e-9, help: 'scale longer gradients down to it' }),
  seed: whole({ value: 'N', min: 0, fallback: 1, help: 'every random choice follows from it' }),
  init: text({ value: 'FILE', help: 'weights to start from: a checkpoint, or a backbone alone' }),
  freeze: listOf((name) => name, {
    value: 'NAME,…',
    help: 'parameters that stay as they are, by the beginning of their names: body, body.layer1',
  }),
  frozenStatistics: flag({ flag: 'freeze-norm', help: 'batch norms keep to their running statistics' }),
  stretch: number({
    value: 'RATIO',
    min: 1,
    help: 'crops up to so many times longer one way than the other fill the square (1)',
  }),
  augment: offFlag({ flag: 'no-augment', help: 'whole pictures as they are' }),
  evaluateEvery: whole({
    flag: 'evaluate',
    value: 'N',
    min: 0,
    fallback: 1,
    help: 'average precision on new scenes after every Nth epoch',
  }),
  evaluationScenes: whole({ flag: 'evaluation', value: 'N', min: 1, fallback: 50, help: 'scenes of an evaluation' }),
  workers: whole({
    value: 'N',
    min: 0,
    help: 'threads that read or draw pictures (one fewer than there are cores)',
  }),
  skipLimit: whole({
    value: 'N',
    min: 0,
    help: 'pictures that may be unreadable before it is an error (one in a hundred, and at least 10)',
  }),
  cache: whole({ value: 'MIB', min: 0, fallback: 512, help: 'memory for pictures that were read or drawn before' }),
  saveEvery: whole({ value: 'N', min: 1, fallback: 100, help: 'steps between two saves inside an epoch' }),
  dryRun: flag({ help: 'say what it takes and end' }),
  quiet: flag({ help: 'no words on stderr but errors, and at the end what was left out' }),
};

/** What a training is told: its options, the ones that must be there among them. */
type TrainRun = Omit<Values<typeof OPTIONS>, 'configuration' | 'workdir' | 'data' | 'freeze'> & {
  readonly configuration: ConfigurationName;
  readonly workdir: string;
  readonly freeze: readonly string[];
};

/** `retinaface train`. */
export const train: Command = defineCommand({
  name: 'train',
  usage: '--config NAME (--data DIR | --images DIR --labels FILE | --synthetic N) --workdir DIR [options]',
  about: 'Trains a network. The same command goes on where it was stopped, bit for bit. Ctrl-C saves and ends.',
  options: OPTIONS,
  async run({ configuration, workdir, data, labels, freeze = [], ...values }) {
    const { scenes, images } = values;
    const given = [scenes, data, images ?? labels].filter((source) => source !== undefined).length;
    const paired = (images === undefined) === (labels === undefined);
    if (configuration === undefined || workdir === undefined || given !== 1 || !paired) {
      const missing = [
        configuration === undefined ? 'no --config' : '',
        workdir === undefined ? 'no --workdir' : '',
        given === 0 ? 'nothing to learn from' : given > 1 ? 'several things to learn from' : '',
        paired ? '' : images === undefined ? '--labels without --images' : '--images without --labels',
      ];
      throw wrong(
        'train',
        '--config NAME, --workdir DIR, and one of --data DIR, --images DIR with --labels FILE, --synthetic N',
        missing.filter((words) => words !== '').join(', '),
        'Write `retinaface train --config published-mobilenet0.25 --synthetic 1000 --workdir run`.',
      );
    }
    if (values.stretch !== undefined && !values.augment) {
      throw wrong('train', '--stretch or --no-augment', 'both', 'Leave one of them out.');
    }
    const run = {
      ...values,
      configuration: configuration as ConfigurationName,
      workdir,
      labels: data ?? labels,
      freeze,
    };
    try {
      return await trainNetwork(run);
    } catch (error) {
      throw withTrainingRemedy(error);
    }
  },
});

/** What stopped a training, with what to change on its command line where the device was lost or is too small. */
export function withTrainingRemedy(error: unknown): unknown {
  if (!(error instanceof RetinaFaceError)) return error;
  const { operation, expected, got } = error;
  const problem = { operation: `train: ${operation}`, expected, got, cause: error };
  const smaller =
    'lower --batch and raise --accumulate by as much, or lower --size; --dry-run says what memory it takes';
  if (error instanceof DeviceLostError) {
    const remedy = `Repeat the same command to go on from the last checkpoint. Where it is lost again, ${smaller}.`;
    return new DeviceLostError({ ...problem, remedy });
  }
  const remedy = `The network does not fit this device: ${smaller}.`;
  if (error instanceof OutOfMemoryError) return new OutOfMemoryError({ ...problem, remedy });
  if (error instanceof LimitError) return new LimitError({ ...problem, remedy });
  return error;
}

/** What must stay the same for a run to go on as itself, whatever the order of the options. */
function identityOf(run: TrainRun): string {
  const free = new Set<keyof TrainRun>([
    'workdir',
    'workers',
    'skipLimit',
    'cache',
    'quiet',
    'dryRun',
    'saveEvery',
    'evaluateEvery',
  ]);
  return inOrder(Object.fromEntries(Object.entries(run).filter(([key]) => !free.has(key as keyof TrainRun))));
}

/** Options as a checkpoint has them, in whatever order an older version wrote them. */
function sameOptions(given: string, identity: string): boolean {
  try {
    return inOrder(JSON.parse(given) as object) === identity;
  } catch {
    return false;
  }
}

/** An object as JSON, its keys in order. */
function inOrder(value: object): string {
  return JSON.stringify(Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))));
}

/** The configuration that was named, at the width that was asked for; of an unknown name, the model says what it is. */
function configurationOf({ configuration, width }: TrainRun): ConfigurationName | Configuration {
  if (width === undefined || !Object.hasOwn(configurations, configuration)) return configuration;
  return narrowed(configurations[configuration], width);
}

async function trainNetwork(run: TrainRun): Promise<number> {
  const say = (words: string): void => {
    if (!run.quiet) process.stderr.write(words);
  };
  const schedule = parseSchedule(run.schedule);
  const device = await requestDevice();
  using model = new RetinaFace(device, configurationOf(run));
  model.initialise(run.seed);
  const { network } = model;
  if (run.init !== undefined) {
    const bytes = await readBytes(run.init, 'train --init');
    const tensors = toParameterNames(await readWeights(bytes, run.init));
    writeNetworkState(network, tensors, run.init, { allowMissing: true });
  }
  network.parameters.freeze(run.freeze);
  const { clipNorm } = run;
  using trainer = new Trainer(network, {
    momentum: run.momentum,
    weightDecay: run.weightDecay,
    frozenStatistics: run.frozenStatistics,
    ...(run.loss === undefined ? {} : LOSSES[run.loss]),
    ...(clipNorm === undefined ? {} : { clipNorm }),
  });

  const perStep = run.batch * run.accumulate;
  const { training, held, omitted } = await picturesOf(run, say);
  await using loader = new PictureLoader(training, {
    seed: run.seed,
    batch: perStep,
    cacheBytes: run.cache * 2 ** 20,
    ...(run.workers === undefined ? {} : { workers: run.workers }),
    ...(run.skipLimit === undefined ? {} : { skipLimit: run.skipLimit }),
    onSkip: (name, reason) => {
      say(`skipped ${name}: ${reason}\n`);
    },
  });
  const { stepsPerEpoch } = loader;
  const total = run.epochs * stepsPerEpoch;

  const augmentation: AugmentOptions = run.stretch === undefined ? {} : { stretch: run.stretch };
  /** Part `part` of a loaded step, augmented. */
  const batchOf = (epoch: number, loaded: LoadedBatch, part: number) => {
    const planned = Array.from({ length: run.batch }, (_, i) => {
      const place = part * run.batch + i;
      const [picture, faces] = [loaded.pictures[place]!, loaded.faces[place]!];
      if (!run.augment) return { picture, faces, plan: plainPlan(picture) };
      const random = randomOf(run.seed, epoch, loaded.indices[place]!);
      return { picture, faces, plan: drawAugmentation(random, picture, faces, augmentation) };
    });
    return plannedBatch(model.gpu, planned, { size: run.size, ...network.configuration.input });
  };
  let coming: { readonly epoch: number; readonly batches: AsyncIterator<LoadedBatch> } | undefined;
  const load = async (epoch: number, stepInEpoch: number): Promise<LoadedBatch> => {
    if (coming?.epoch !== epoch) coming = { epoch, batches: loader.batches(epoch, stepInEpoch) };
    const next = await coming.batches.next();
    // The plan asks for as many steps as the loader has.
    if (next.done === true) throw new RangeError(`no step ${stepInEpoch} in epoch ${epoch}`);
    return next.value;
  };

  if (run.dryRun) {
    const loaded = await load(0, 0);
    let losses;
    let began = 0;
    // The first pass compiles.
    for (let pass = 0; pass < 2; pass++) {
      began = performance.now();
      const batch = batchOf(0, loaded, 0);
      losses = await trainer.read(trainer.accumulate(batch));
      freeBatch(batch);
    }
    const seconds = (performance.now() - began) / 1000;
    const { peakBytes } = model.gpu.memory();
    process.stdout.write(
      `parameters      ${network.parameters.trainableCount.toLocaleString('en')}\n` +
        `steps           ${total.toLocaleString('en')} of ${perStep} pictures at ${run.size}×${run.size}\n` +
        `device memory   ${Math.round(peakBytes / 2 ** 20)} MiB at most\n` +
        `time            about ${formatSeconds(seconds * run.accumulate * total)} (first loss ${losses?.total.toFixed(3) ?? '?'})\n`,
    );
    return EXIT.done;
  }

  await mkdir(run.workdir, { recursive: true });
  const file = (name: string): string => join(run.workdir, name);
  const identity = identityOf(run);
  let from: Position = { step: 0, epoch: 0, stepInEpoch: 0, run: identity };
  const last = await readIfThere(file('last.safetensors'));
  if (last) {
    from = restoreCheckpoint(trainer, last, file('last.safetensors'));
    if (!sameOptions(from.run, identity)) {
      throw new ArgumentError({
        operation: 'train',
        expected: `the options that ${run.workdir} was started with: ${from.run}`,
        got: identity,
        remedy: 'Repeat the same command to go on, or name another --workdir.',
      });
    }
    say(`going on after step ${from.step} of ${total}\n`);
  }
  from = { ...from, adapters: [...new Set([...(from.adapters ?? []), model.gpu.info.description])] };
  const log = resumeLog((await readIfThere(file('log.jsonl')))?.toString() ?? '', from.step);
  await writeText(file('log.jsonl'), log);
  const events = await readIfThere(file('events.tfevents'));
  await writeFileAtomic(
    file('events.tfevents'),
    events ? resumeEvents(events, from.step) : eventFileHead(Date.now() / 1000),
  );

  let stop = false;
  const onInterrupt = (): void => {
    stop = true;
    say('\nsaving, then ending; the same command goes on\n');
  };
  process.once('SIGINT', onInterrupt);
  process.once('SIGTERM', onInterrupt);

  const groundTruth = groundTruthFromSamples(
    Array.from({ length: held?.length ?? 0 }, (_, i) => ({ name: held!.name(i), faces: held!.faces(i) })),
  );
  const speed = new Speed(performance.now() / 1000);
  const smoothed = new Smoothed(20);
  let shown = 0;
  let writing: Promise<void> = Promise.resolve();
  const record = (entry: LogEntry): Promise<void> => {
    writing = writing.then(async () => {
      await appendFile(file('log.jsonl'), logLine(entry));
      await appendFile(file('events.tfevents'), logEvent(entry, Date.now() / 1000));
    });
    return writing;
  };
  let drawn = performance.now() / 1000;
  const draw = async (): Promise<void> => {
    await writing;
    const entries = readLog(await readFile(file('log.jsonl'), 'utf8'));
    if (entries.length > 1) await writeImage(file('curves.png'), drawCurves(entries));
    drawn = performance.now() / 1000;
  };
  const host: RunHost = {
    async batches(epoch, stepInEpoch) {
      const loaded = await load(epoch, stepInEpoch);
      const parts = Array.from({ length: run.accumulate }, (_, part) => batchOf(epoch, loaded, part));
      const source = run.scenes === undefined ? training : undefined;
      const names = loaded.indices.map((index) =>
        source?.kind === 'folder' ? source.samples[index]!.name : `scene ${index}`,
      );
      return { parts, name: names.join(', ') };
    },
    onStep(step) {
      const { images } = step;
      const now = performance.now() / 1000;
      speed.add(images, now);
      smoothed.add(step.total);
      const entry = { ...step, imagesPerSecond: speed.rate };
      void record(entry);
      if (now - shown < 5 && step.step !== total) return;
      shown = now;
      const left = formatSeconds(speed.left((total - step.step) * perStep));
      say(
        `epoch ${step.epoch + 1}/${run.epochs}  step ${step.step}/${total}  loss ${smoothed.value.toFixed(3)} ` +
          `(class ${step.class.toFixed(3)}, box ${step.box.toFixed(3)}, landmarks ${step.landmark.toFixed(3)})  ` +
          `rate ${step.rate.toPrecision(3)}  ${speed.rate.toFixed(1)} images/s  ${left} left\n`,
      );
    },
    async save(checkpoint, which) {
      await writing;
      await writeFileAtomic(file(`${which}.safetensors`), checkpoint);
      if (which === 'last' && performance.now() / 1000 - drawn > DRAW_EVERY) await draw();
    },
    async evaluate(epoch) {
      const { easy } = await evaluateModel(model, held!, groundTruth, { batch: 4 });
      say(
        `epoch ${epoch + 1}: average precision ${easy.toFixed(4)} on ${held!.length} pictures kept out of training\n`,
      );
      const entry = { step: (epoch + 1) * stepsPerEpoch, epoch, AP: easy };
      await record(entry);
      await draw();
      speed.resume(performance.now() / 1000);
      return easy;
    },
    stopRequested: () => stop,
    now: () => performance.now() / 1000,
  };
  const { epochs, saveEvery } = run;
  const evaluateEvery = held ? run.evaluateEvery : 0;
  try {
    const end = await runTraining(trainer, { epochs, saveEvery, evaluateEvery, stepsPerEpoch, schedule }, from, host);
    await draw();
    const best = end.best
      ? `, best average precision ${end.best.score.toFixed(4)} after epoch ${end.best.epoch + 1}`
      : '';
    const { length: skips } = loader.skipped;
    if (skips > 0) omitted.push(`${skips} of ${loader.length} pictures skipped as unreadable`);
    const summary = [`${end.step} of ${total} steps done${best}`, ...omitted].join(', ');
    // The log has no place for what was left out.
    if (!run.quiet || omitted.length > 0) process.stderr.write(`${summary}: ${file('last.safetensors')}\n`);
    if (end.step === total && !end.best)
      await writeFileAtomic(file('best.safetensors'), await encodeCheckpoint(trainer, end));
    return EXIT.done;
  } finally {
    process.off('SIGINT', onInterrupt);
    process.off('SIGTERM', onInterrupt);
  }
}

/** What is learnt from, what is kept out for evaluation, and, in words, what is neither. */
async function picturesOf(
  run: TrainRun,
  say: (words: string) => void,
): Promise<{
  readonly training: SourceDescription;
  readonly held: PictureSource | undefined;
  readonly omitted: string[];
}> {
  if (run.scenes !== undefined) {
    // Crops of scenes that are larger than the input show their faces at its pixels, not blown up.
    const size = run.sceneSize ?? Math.round(run.size * (run.augment ? 1.25 : 1));
    return {
      training: { kind: 'synthetic', seed: run.seed, count: run.scenes, options: { size } },
      held: syntheticSource(run.seed + EVALUATION_SEED, run.evaluationScenes, { size: run.size }),
      omitted: [],
    };
  }
  const { samples, dropped, file, directory } = await readLabels(run.labels!);
  const folder = run.images ?? directory;
  const omitted: string[] = [];
  if (dropped > 0) {
    say(`${file}: ${dropped} faces left out, their boxes are empty or too small\n`);
    omitted.push(`${dropped} faces left out as empty or too small`);
  }
  if (run.holdout >= samples.length) {
    throw new ArgumentError({
      operation: 'train',
      expected: `--holdout below the ${samples.length} pictures of ${file}`,
      got: String(run.holdout),
      remedy: 'Keep fewer of them out.',
    });
  }
  const learnt = samples.slice(0, samples.length - run.holdout);
  const training: SourceDescription = { kind: 'folder', directory: folder, samples: learnt };
  const others = samples.slice(learnt.length);
  if (others.length === 0 || run.evaluateEvery === 0 || run.dryRun) return { training, held: undefined, omitted };
  const readable = await readableOf(folder, others, say);
  const unreadable = others.length - readable.length;
  if (unreadable > 0) omitted.push(`${unreadable} of ${others.length} held-out pictures left out as unreadable`);
  return { training, held: folderSource(folder, readable), omitted };
}

/** The held-out pictures that can be read: one that cannot would end the run at every evaluation. */
async function readableOf(
  folder: string,
  samples: readonly Sample[],
  say: (words: string) => void,
): Promise<readonly Sample[]> {
  const source = folderSource(folder, samples);
  const readable: Sample[] = [];
  let first: RetinaFaceError | undefined;
  for (const [i, sample] of samples.entries()) {
    try {
      await source.load(i);
      readable.push(sample);
    } catch (error) {
      if (!(error instanceof RetinaFaceError)) throw error;
      first ??= error;
      say(`held-out ${sample.name} is left out: ${error.message}\n`);
    }
  }
  if (readable.length > 0) return readable;
  throw new FileError({
    operation: 'train --holdout',
    expected: `to read at least one of ${samples.length} held-out pictures`,
    got: `none (${first?.message ?? ''})`,
    remedy: 'Check the folder of pictures and the names in the labels, or leave --holdout out.',
    cause: first,
  });
}

/** The bytes of a file, or nothing where there is none. */
async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    if (cause instanceof RetinaFaceError) throw cause;
    throw new FileError({
      operation: 'train',
      expected: `to read ${path}`,
      got: cause instanceof Error ? cause.message : String(cause),
      remedy: 'Check the folder and its rights.',
      cause,
    });
  }
}
