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
import { type Command, EXIT, numberOption, parse } from './command.js';

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

/** `retinaface train`. */
export const train: Command = {
  help: `retinaface train --config NAME (--data DIR | --images DIR --labels FILE | --synthetic N) --workdir DIR [options]

Trains a network. The same command goes on where it was stopped, bit for bit. Ctrl-C saves and ends.

  --config NAME      the network: published-mobilenet0.25, baseline, context, full, deformable, …
  --data DIR         WIDER FACE: label.txt (retinaface_gt_v1.1) or the official boxes, and its pictures
  --images DIR       a folder of pictures, with
  --labels FILE        their faces: label.txt, wider_face_…_bbx_gt.txt or JSON lines {"image","faces":[{"box","landmarks"}]}
  --holdout N        the last N of those pictures are kept out of training, for evaluation (0: no evaluation)
  --synthetic N      N drawn scenes with exact boxes and points, no data set needed
  --scene N          edge of those scenes in pixels (a quarter more than --size, or --size with --no-augment)
  --workdir DIR      last.safetensors, best.safetensors, log.jsonl, events.tfevents, curves.png
                     (\`retinaface table --help\` says how such folders become a table)
  --epochs N         passes over the pictures (60)
  --width W          times all channels of a network on ResNet-50, a multiple of 1/16 (1): 0.25 costs a sixteenth
  --batch N          pictures in one part of a step (10)
  --accumulate N     parts of a step (1): --batch 4 --accumulate 8 is --batch 32 but for batch norms, which see 4 at a time
  --size N           edge of the square input in pixels (640)
  --schedule TEXT    learning rate: report, paper, constant:RATE, cosine:RATE[,LAST], step:RATE@EPOCH,EPOCH…[*FACTOR] or
                     piecewise:RATE,RATE@EPOCH,…, each with +warmup:STEPS where wanted (report)
  --loss NAME        report, report-strict (thresholds alone match, pictures without positives are skipped), paper (the
                     original's weights 1, 0.25, 0.1) or published; the network's family decides by default, and the box
                     code stays the network's own
  --momentum M       (0.9)
  --weight-decay D   (5e-4)
  --clip NORM        scale longer gradients down to it
  --seed N           every random choice follows from it (1)
  --init FILE        weights to start from: a checkpoint, or a backbone alone
  --freeze NAME,…    parameters that stay as they are, by the beginning of their names: body, body.layer1
  --freeze-norm      batch norms keep to their running statistics
  --stretch RATIO    crops up to so many times longer one way than the other fill the square (1)
  --no-augment       whole pictures as they are
  --evaluate N       average precision on new scenes after every Nth epoch (1)
  --evaluation N     scenes of an evaluation (50)
  --workers N        threads that read or draw pictures (one fewer than there are cores)
  --skip-limit N     pictures that may be unreadable before it is an error (one in a hundred, and at least 10)
  --cache MIB        memory for pictures that were read or drawn before (512)
  --save-every N     steps between two saves inside an epoch (100)
  --dry-run          say what it takes and end
  --quiet            no words on stderr but errors, and at the end what was left out
`,
  async run(args) {
    const { values } = parse('train', args, {
      config: { type: 'string' },
      synthetic: { type: 'string' },
      scene: { type: 'string' },
      data: { type: 'string' },
      images: { type: 'string' },
      labels: { type: 'string' },
      holdout: { type: 'string' },
      workers: { type: 'string' },
      'skip-limit': { type: 'string' },
      cache: { type: 'string' },
      workdir: { type: 'string' },
      epochs: { type: 'string' },
      width: { type: 'string' },
      batch: { type: 'string' },
      accumulate: { type: 'string' },
      size: { type: 'string' },
      schedule: { type: 'string' },
      loss: { type: 'string' },
      momentum: { type: 'string' },
      'weight-decay': { type: 'string' },
      clip: { type: 'string' },
      seed: { type: 'string' },
      init: { type: 'string' },
      freeze: { type: 'string' },
      'freeze-norm': { type: 'boolean' },
      stretch: { type: 'string' },
      'no-augment': { type: 'boolean' },
      evaluate: { type: 'string' },
      evaluation: { type: 'string' },
      'save-every': { type: 'string' },
      'dry-run': { type: 'boolean' },
      quiet: { type: 'boolean' },
    });
    const count = (name: keyof typeof values, fallback: number, min = 1): number =>
      numberOption('train', name, values[name] as string | undefined, { min, integer: true }) ?? fallback;
    const scenes = numberOption('train', 'synthetic', values.synthetic, { min: 1, integer: true });
    const { data, images, labels } = values;
    const given = [scenes, data, images ?? labels].filter((source) => source !== undefined).length;
    const paired = (images === undefined) === (labels === undefined);
    if (values.config === undefined || values.workdir === undefined || given !== 1 || !paired) {
      throw new ArgumentError({
        operation: 'train',
        expected: '--config NAME, --workdir DIR, and one of --data DIR, --images DIR with --labels FILE, --synthetic N',
        got: args.join(' ') || 'none of them',
        remedy: 'Write `retinaface train --config published-mobilenet0.25 --synthetic 1000 --workdir run`.',
      });
    }
    if (values.stretch !== undefined && values['no-augment'] === true) {
      throw new ArgumentError({
        operation: 'train',
        expected: '--stretch or --no-augment',
        got: 'both',
        remedy: 'Leave one of them out.',
      });
    }
    const clipNorm = numberOption('train', 'clip', values.clip, { min: 1e-9 });
    const run: TrainRun = {
      configuration: values.config as ConfigurationName,
      scenes,
      sceneSize: numberOption('train', 'scene', values.scene, { min: 32, integer: true }),
      labels: data ?? labels,
      images,
      holdout: count('holdout', 0, 0),
      workers: numberOption('train', 'workers', values.workers, { min: 0, integer: true }),
      skipLimit: numberOption('train', 'skip-limit', values['skip-limit'], { min: 0, integer: true }),
      cache: count('cache', 512, 0),
      workdir: values.workdir,
      width: numberOption('train', 'width', values.width, { min: 0, max: 1 }),
      epochs: count('epochs', 60),
      batch: count('batch', 10),
      accumulate: count('accumulate', 1),
      size: count('size', 640, 32),
      schedule: values.schedule ?? 'report',
      loss: values.loss,
      momentum: numberOption('train', 'momentum', values.momentum, { min: 0, max: 1 }) ?? 0.9,
      weightDecay: numberOption('train', 'weight-decay', values['weight-decay'], { min: 0 }) ?? 5e-4,
      clipNorm,
      seed: count('seed', 1, 0),
      init: values.init,
      freeze: values.freeze?.split(',') ?? [],
      frozenStatistics: values['freeze-norm'] === true,
      augment: values['no-augment'] !== true,
      stretch: numberOption('train', 'stretch', values.stretch, { min: 1 }),
      evaluateEvery: count('evaluate', 1, 0),
      evaluationScenes: count('evaluation', 50),
      saveEvery: count('save-every', 100),
      dryRun: values['dry-run'] === true,
      quiet: values.quiet === true,
    };
    try {
      return await trainNetwork(run);
    } catch (error) {
      throw withTrainingRemedy(error);
    }
  },
};

interface TrainRun {
  readonly configuration: ConfigurationName;
  readonly scenes: number | undefined;
  /** Edge of the scenes, in pixels. */
  readonly sceneSize: number | undefined;
  /** A file of labels, or a folder of WIDER FACE. */
  readonly labels: string | undefined;
  readonly images: string | undefined;
  readonly holdout: number;
  readonly workers: number | undefined;
  /** Unreadable pictures before it is an error. */
  readonly skipLimit: number | undefined;
  /** Of decoded pictures, in MiB. */
  readonly cache: number;
  readonly workdir: string;
  /** Of a network that is narrower than its configuration. */
  readonly width: number | undefined;
  readonly epochs: number;
  readonly batch: number;
  readonly accumulate: number;
  readonly size: number;
  readonly schedule: string;
  readonly loss: string | undefined;
  readonly momentum: number;
  readonly weightDecay: number;
  readonly clipNorm: number | undefined;
  readonly seed: number;
  readonly init: string | undefined;
  readonly freeze: readonly string[];
  readonly frozenStatistics: boolean;
  readonly augment: boolean;
  readonly stretch: number | undefined;
  readonly evaluateEvery: number;
  readonly evaluationScenes: number;
  readonly saveEvery: number;
  readonly dryRun: boolean;
  readonly quiet: boolean;
}

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

/** What must stay the same for a run to go on as itself. */
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
  return JSON.stringify(run, (key, value: unknown) => (free.has(key as keyof TrainRun) ? undefined : value));
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
  if (run.loss !== undefined && !Object.hasOwn(LOSSES, run.loss)) {
    throw new ArgumentError({
      operation: 'train',
      expected: `--loss to be one of ${Object.keys(LOSSES).join(', ')}`,
      got: `'${run.loss}'`,
      remedy: 'Name one of them, or leave it out.',
    });
  }
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
    if (from.run !== identity) {
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
