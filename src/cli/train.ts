import { type AugmentOptions, drawAugmentation, plainPlan } from '../data/augment.js';
import { plannedBatch } from '../data/batch.js';
import { randomOf } from '../data/random.js';
import { DeviceLostError, LimitError, OutOfMemoryError, RetinaFaceError } from '../gpu/errors.js';
import { writeFileAtomic } from '../node/files.js';
import { RetinaFace } from '../node/index.js';
import { Lasting } from '../node/lasting.js';
import { type LoadedBatch, PictureLoader } from '../node/picture_loader.js';
import { type Configuration, narrowed } from '../retinaface/config.js';
import { writeNetworkState } from '../retinaface/network_state.js';
import { encodeCheckpoint } from '../train/checkpoint.js';
import { formatSeconds, Smoothed, Speed } from '../train/metrics.js';
import { runTraining, type RunHost } from '../train/run.js';
import { parseSchedule, type Schedule } from '../train/schedule.js';
import { freeBatch, Trainer } from '../train/trainer.js';
import { toParameterNames } from '../weights/names.js';
import { readWeights } from '../weights/read.js';
import { type Command, defineCommand, EXIT } from './command.js';
import { readConfiguration, readWeightsOption, wholeConfiguration } from './model_options.js';
import { comparedEntries, figuresText, HeldEvaluation } from './train/evaluation.js';
import { interruptible } from './train/interruptible.js';
import { lossesOf } from './train/losses.js';
import { TRAIN_OPTIONS, type TrainRun, trainRun } from './train/options.js';
import { type HeldPictures, TrainingSources } from './train/sources.js';
import { inOrder, Workdir } from './train/workdir.js';

/** `retinaface train`. */
export const train: Command = defineCommand({
  name: 'train',
  usage: '--config NAME|FILE SOURCE… --workdir DIR [options]',
  about: 'Trains a network. The same command goes on where it was stopped, bit for bit. Ctrl-C saves and ends.',
  options: TRAIN_OPTIONS,
  async run(values) {
    const run = trainRun(values, await readConfiguration(values.configuration, 'train'));
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

/** What must stay the same for a run to go on as itself: options, in whatever order, and what the labels say. */
function identityOf(run: TrainRun, { digest, rule }: TrainingSources): string {
  const free = new Set<keyof TrainRun>([
    'workdir',
    'heldOut',
    'compare',
    'workers',
    'skipLimit',
    'cache',
    'quiet',
    'dryRun',
    'saveEvery',
    'evaluateEvery',
  ]);
  const options = Object.entries(run).filter(([key]) => !free.has(key as keyof TrainRun));
  const pictures = run.labels.length === 0 ? {} : { pictures: digest, rule };
  return inOrder({ ...Object.fromEntries(options), ...pictures });
}

/** The configuration that was asked for, at the width that was. */
function configurationOf({ configuration, width }: TrainRun): Configuration {
  const whole = wholeConfiguration(configuration, 'train');
  return width === undefined ? whole : narrowed(whole, width);
}

async function trainNetwork(run: TrainRun): Promise<number> {
  const say = (words: string): void => {
    if (!run.quiet) process.stderr.write(words);
  };
  const schedule = parseSchedule(run.schedule);
  const sources = await TrainingSources.read(
    {
      labels: run.labels,
      scenes: run.scenes,
      // Crops of scenes that are larger than the input show their faces at its pixels, not blown up.
      sceneSize: run.sceneSize ?? Math.round(run.size * (run.augment ? 1.25 : 1)),
      heldSceneSize: run.size,
      holdout: run.holdout,
      evaluationScenes: run.evaluationScenes,
      seed: run.seed,
    },
    say,
  );
  const held = run.evaluateEvery === 0 || run.dryRun ? undefined : await sources.held(say);
  using lasting = new Lasting((device) => Promise.resolve(new RetinaFace(device, configurationOf(run))), say);
  const work = (stopRequested: () => boolean): Promise<number> =>
    lasting.use((model, advanced) => trainModel(model, { run, schedule, sources, held, say, advanced, stopRequested }));
  return run.dryRun ? await work(() => false) : await interruptible(say, work);
}

/** What `trainModel` is given besides the model, which is new where the device was lost. */
interface Training {
  readonly run: TrainRun;
  readonly schedule: Schedule;
  readonly sources: TrainingSources;
  readonly held: HeldPictures | undefined;
  readonly say: (words: string) => void;
  /** Called when a checkpoint was saved: whatever comes, the run goes on from there. */
  readonly advanced: () => void;
  /** True where it was asked to save and end, on this device or one before. */
  readonly stopRequested: () => boolean;
}

async function trainModel(
  model: RetinaFace,
  { run, schedule, sources, held, say, advanced, stopRequested }: Training,
): Promise<number> {
  model.initialise(run.seed);
  const { network } = model;
  if (run.init !== undefined) {
    const { bytes, name } = await readWeightsOption(run.init, run.quiet);
    writeNetworkState(network, toParameterNames(await readWeights(bytes, name)), name, { allowMissing: true });
  }
  network.parameters.freeze(run.freeze);
  const { clipNorm } = run;
  const { configuration } = network;
  const { losses, chosen } = lossesOf(run.loss, {
    configuration,
    faceless: sources.faceless,
    ignoreBelow: run.ignoreBelow,
  });
  if (chosen !== undefined) say(`loss ${chosen}: some pictures have no face\n`);
  using trainer = new Trainer(network, {
    momentum: run.momentum,
    weightDecay: run.weightDecay,
    frozenStatistics: run.frozenStatistics,
    ...losses,
    ...(clipNorm === undefined ? {} : { clipNorm }),
  });

  const perStep = run.batch * run.accumulate;
  await using loader = new PictureLoader(sources.training, {
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

  const augmentation: AugmentOptions = {
    ...(run.stretch === undefined ? {} : { stretch: run.stretch }),
    ...(run.crops === undefined ? {} : { scales: run.crops }),
    ...(run.portraits === undefined ? {} : { portraits: run.portraits }),
  };
  /** Part `part` of a loaded step, augmented. */
  const batchOf = (epoch: number, loaded: LoadedBatch, part: number) => {
    const planned = Array.from({ length: run.batch }, (_, i) => {
      const place = part * run.batch + i;
      const [picture, faces] = [loaded.pictures[place]!, loaded.faces[place]!];
      if (!run.augment) return { picture, faces, plan: plainPlan(picture) };
      const random = randomOf(run.seed, epoch, loaded.slots[place]!);
      return { picture, faces, plan: drawAugmentation(random, picture, faces, augmentation) };
    });
    return plannedBatch(model.gpu, planned, { size: run.size, ...configuration.input });
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
    const { peakDeviceBytes } = model.gpu.memory();
    if (run.heldOut !== undefined) await sources.writeHeld(run.heldOut);
    process.stdout.write(
      `${sources.table()}\n` +
        `parameters      ${network.parameters.trainableCount.toLocaleString('en')}\n` +
        `steps           ${total.toLocaleString('en')} of ${perStep} pictures at ${run.size}×${run.size}\n` +
        `device memory   ${Math.round(peakDeviceBytes / 2 ** 20)} MiB at most\n` +
        `time            about ${formatSeconds(seconds * run.accumulate * total)} (first loss ${losses?.total.toFixed(3) ?? '?'})\n`,
    );
    return EXIT.done;
  }

  const opened = await Workdir.open(run.workdir, trainer, identityOf(run, sources));
  const { workdir } = opened;
  const { description } = model.gpu.info;
  const from = { ...opened.from, adapters: [...new Set([...(opened.from.adapters ?? []), description])] };
  if (from.step > 0) say(`going on after step ${from.step} of ${total}\n`);
  else say(sources.table());
  if (sources.rule !== undefined) {
    const folder = run.heldOut ?? workdir.file('held-out');
    await sources.writeHeld(folder, held);
    say(`held out: ${sources.rule}; their labels are in ${folder}\n`);
  }

  const evaluation = held && new HeldEvaluation(held);
  const { compare } = run;
  const compared =
    compare === undefined
      ? undefined
      : await evaluation?.compare(model.gpu.device, compare, {
          path: workdir.file('compared.json'),
          say,
          quiet: run.quiet,
        });
  if (compared) say(`${compare!}: average precision ${figuresText(compared)}\n`);
  const speed = new Speed(performance.now() / 1000);
  const smoothed = new Smoothed(20);
  let shown = 0;
  const host: RunHost = {
    async batches(epoch, stepInEpoch) {
      const loaded = await load(epoch, stepInEpoch);
      const parts = Array.from({ length: run.accumulate }, (_, part) => batchOf(epoch, loaded, part));
      return { parts, name: loaded.indices.map((index) => loader.name(index)).join(', ') };
    },
    onStep(step) {
      const { images } = step;
      const now = performance.now() / 1000;
      speed.add(images, now);
      smoothed.add(step.total);
      workdir.record({ ...step, imagesPerSecond: speed.rate });
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
      await workdir.save(checkpoint, which);
      advanced();
    },
    async evaluate(epoch) {
      const { figures, mean } = await evaluation!.measure(model);
      say(
        `epoch ${epoch + 1}: average precision ${figuresText(figures)} on ${evaluation!.length} pictures kept out of training\n` +
          (compared ? `${compare!}: ${figuresText(compared)}\n` : ''),
      );
      const others = compared ? comparedEntries(compared, compare!) : {};
      workdir.record({ step: (epoch + 1) * stepsPerEpoch, epoch, ...figures, ...others });
      await workdir.draw();
      speed.resume(performance.now() / 1000);
      return mean;
    },
    stopRequested,
    now: () => performance.now() / 1000,
  };
  const { epochs, saveEvery } = run;
  const evaluateEvery = held ? run.evaluateEvery : 0;
  try {
    const end = await runTraining(trainer, { epochs, saveEvery, evaluateEvery, stepsPerEpoch, schedule }, from, host);
    await workdir.draw();
    const best = end.best
      ? `, best mean average precision ${end.best.score.toFixed(4)} after epoch ${end.best.epoch + 1}`
      : '';
    const { omitted } = sources;
    const { length: skips } = loader.skipped;
    if (skips > 0) omitted.push(`${skips} of ${loader.length} pictures skipped as unreadable`);
    const summary = [`${end.step} of ${total} steps done${best}`, ...omitted].join(', ');
    const last = workdir.file('last.safetensors');
    // The log has no place for what was left out.
    if (!run.quiet || omitted.length > 0) process.stderr.write(`${summary}: ${last}\n`);
    if (end.step === total && !end.best)
      await writeFileAtomic(workdir.file('best.safetensors'), await encodeCheckpoint(trainer, end));
    return EXIT.done;
  } finally {
    await workdir.settle();
  }
}
