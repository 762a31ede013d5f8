import { availableParallelism, cpus } from 'node:os';
import { type AugmentOptions, drawAugmentation, plainPlan } from '../data/augment.js';
import { plannedBatch } from '../data/batch.js';
import { randomOf } from '../data/random.js';
import { ArgumentError, DeviceLostError, LimitError, OutOfMemoryError, RetinaFaceError } from '../gpu/errors.js';
import { writeFileAtomic } from '../node/files.js';
import { RetinaFace } from '../node/index.js';
import { Lasting } from '../node/lasting.js';
import { type LoadedBatch, PictureLoader } from '../node/picture_loader.js';
import { type Configuration, narrowed } from '../retinaface/config.js';
import { writeNetworkState } from '../retinaface/network_state.js';
import { MpiRanks, startedRanks } from '../scale/mpi.js';
import { encodeCheckpoint, restoreCheckpoint } from '../train/checkpoint.js';
import { formatSeconds, Smoothed, Speed } from '../train/metrics.js';
import { fromFirst, type Ranks } from '../train/ranks.js';
import { runTraining, type RunHost } from '../train/run.js';
import { parseSchedule, type Schedule } from '../train/schedule.js';
import { freeBatch, Trainer } from '../train/trainer.js';
import { toParameterNames } from '../weights/names.js';
import { readWeights } from '../weights/read.js';
import { type Command, defineCommand, EXIT, exitCodeOf } from './command.js';
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
  about:
    'Trains a network. The same command goes on where it was stopped, bit for bit. Ctrl-C saves and ends.\n' +
    '`mpirun -n N retinaface train …` (Open MPI, and the package koffi) trains on N GPUs, each with --batch pictures a part.',
  options: TRAIN_OPTIONS,
  async run(values) {
    const run = trainRun(values, await readConfiguration(values.configuration, 'train'));
    if (startedRanks() > 1) return withRanks((ranks) => trainNetwork(run, ranks));
    try {
      return await trainNetwork(run, undefined);
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

/** Does `work` in each process that `mpirun` started. */
async function withRanks(work: (ranks: MpiRanks) => Promise<number>): Promise<number> {
  const ranks = await MpiRanks.join('train');
  if (ranks.rank === 0 && availableParallelism() === 1 && cpus().length >= 2 * ranks.localSize) {
    process.stderr.write('each rank is bound to one core, its threads included: `mpirun --bind-to none` is faster\n');
  }
  try {
    const code = await work(ranks);
    await ranks.end();
    return code;
  } catch (error) {
    endAll(ranks, error);
  }
}

/** Says what failed in which rank, and ends all of them: the others would wait for it for ever. */
function endAll(ranks: MpiRanks, error: unknown): never {
  const told = withTrainingRemedy(error);
  const known = told instanceof RetinaFaceError;
  const words = known ? told.message : error instanceof Error ? error.stack : String(error);
  process.stderr.write(`retinaface train: ${ranks.name} failed, and ends all: ${words}\n`);
  return ranks.abort(known ? exitCodeOf(told) : EXIT.failed);
}

/** Threads that decode for one of several ranks of a machine: its share of the cores, but one. */
function workersOf({ localSize }: MpiRanks): number {
  const share = Math.min(availableParallelism(), Math.floor(cpus().length / localSize));
  return Math.min(8, Math.max(1, share - 1));
}

/**
 * What must stay the same for a run to go on as itself: options, in whatever order, and what the labels say. Parts count over
 * all ranks, so that a run may go on with another number of them.
 */
function identityOf(run: TrainRun, { digest, rule }: TrainingSources, ranks: Ranks | undefined): string {
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
  const accumulate = run.accumulate * (ranks?.size ?? 1);
  return inOrder({ ...Object.fromEntries(options), accumulate, ...pictures });
}

/** The configuration that was asked for, at the width that was. */
function configurationOf({ configuration, width }: TrainRun): Configuration {
  const whole = wholeConfiguration(configuration, 'train');
  return width === undefined ? whole : narrowed(whole, width);
}

async function trainNetwork(run: TrainRun, ranks: MpiRanks | undefined): Promise<number> {
  const leads = (ranks?.rank ?? 0) === 0;
  const say = (words: string): void => {
    if (!run.quiet && leads) process.stderr.write(words);
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
  const held = run.evaluateEvery === 0 || run.dryRun || !leads ? undefined : await sources.held(say);
  using lasting = new Lasting((device) => Promise.resolve(new RetinaFace(device, configurationOf(run))), say);
  const work = (stopRequested: () => boolean): Promise<number> =>
    lasting.use(async (model, advanced) => {
      try {
        return await trainModel(model, { run, ranks, schedule, sources, held, say, advanced, stopRequested });
      } catch (error) {
        // Where a device is lost the others wait inside the step: a new one does not help them.
        if (ranks) endAll(ranks, error);
        throw error;
      }
    });
  if (run.dryRun) return await work(() => false);
  const named = ranks && `${ranks.name}: told to end, by hand or because another rank ended; the same command goes on`;
  return await interruptible(say, work, named);
}

/** @throws ArgumentError unless all ranks were told the same and have the same adapter: only then are their bits the same. */
async function checkSame(ranks: MpiRanks, own: object): Promise<void> {
  const text = JSON.stringify(own);
  const all = (await ranks.gather(new TextEncoder().encode(text))).map((bytes) => new TextDecoder().decode(bytes));
  const other = all.findIndex((each) => each !== all[0]);
  if (other < 0) return;
  throw new ArgumentError({
    operation: 'train',
    expected: `the same pictures, adapter and limits in all ranks, as rank 0 has: ${all[0]!}`,
    got: `rank ${other} with ${all[other]!}`,
    remedy: 'Give all ranks the same command, files, GPU and driver.',
  });
}

/** What `trainModel` is given besides the model, which is new where the device was lost. */
interface Training {
  readonly run: TrainRun;
  /** Processes that share this training. */
  readonly ranks: MpiRanks | undefined;
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
  { run, ranks, schedule, sources, held, say, advanced, stopRequested }: Training,
): Promise<number> {
  const { gpu } = model;
  // Ways that were measured may differ from machine to machine, and round sums in another order.
  if (ranks) gpu.choices = new Map(await fromFirst(ranks, () => Promise.resolve([...gpu.choices])));
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
    ...(ranks ? { ranks } : {}),
    ...losses,
    ...(clipNorm === undefined ? {} : { clipNorm }),
  });

  const size = ranks?.size ?? 1;
  const leads = (ranks?.rank ?? 0) === 0;
  const perStep = run.batch * run.accumulate * size;
  const workers = run.workers ?? (ranks && workersOf(ranks));
  /** Part k of this rank is part k·size + rank of the step. */
  const places = Array.from({ length: run.accumulate * run.batch }, (_, i) => {
    const part = Math.floor(i / run.batch) * size + (ranks?.rank ?? 0);
    return part * run.batch + (i % run.batch);
  });
  await using loader = new PictureLoader(sources.training, {
    seed: run.seed,
    batch: perStep,
    places,
    cacheBytes: run.cache * 2 ** 20,
    ...(workers === undefined ? {} : { workers }),
    ...(run.skipLimit === undefined ? {} : { skipLimit: run.skipLimit }),
    onSkip: (name, reason) => {
      if (!run.quiet) process.stderr.write(`skipped ${name}: ${reason}\n`);
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
    let first;
    let began = 0;
    // The first step compiles, the second records what later ones repeat.
    for (let step = 0; step < 3; step++) {
      began = performance.now();
      const parts = Array.from({ length: run.accumulate }, (_, part) => batchOf(step, loaded, part));
      const sum = trainer.accumulate(parts);
      trainer.step(0);
      const { total: loss } = await trainer.read(sum);
      first ??= loss;
      for (const part of parts) freeBatch(part);
    }
    const seconds = (performance.now() - began) / 1000;
    const { peakDeviceBytes } = model.gpu.memory();
    if (!leads) return EXIT.done;
    if (run.heldOut !== undefined) await sources.writeHeld(run.heldOut);
    process.stdout.write(
      `${sources.table()}\n` +
        `parameters      ${network.parameters.trainableCount.toLocaleString('en')}\n` +
        `steps           ${total.toLocaleString('en')} of ${perStep} pictures at ${run.size}×${run.size}\n` +
        `device memory   ${Math.round(peakDeviceBytes / 2 ** 20)} MiB at most\n` +
        `time            about ${formatSeconds(seconds * total)} (first loss ${first?.toFixed(3) ?? '?'})\n`,
    );
    return EXIT.done;
  }

  const identity = identityOf(run, sources, ranks);
  const { description } = model.gpu.info;
  if (ranks) await checkSame(ranks, { identity, description, largestTensor: model.gpu.largestTensor });
  const opened = leads ? await Workdir.open(run.workdir, trainer, identity) : undefined;
  const workdir = opened?.workdir;
  const begun = opened?.from ?? { step: 0, epoch: 0, stepInEpoch: 0, run: identity };
  const last = ranks && (await ranks.broadcast(opened?.last ?? new Uint8Array()));
  const at = last && !leads && last.length > 0 ? restoreCheckpoint(trainer, last, 'the checkpoint of rank 0') : begun;
  const from = { ...at, adapters: [...new Set([...(at.adapters ?? []), description])] };
  if (from.step > 0) say(`going on after step ${from.step} of ${total}\n`);
  else say(sources.table());
  if (sources.rule !== undefined && workdir) {
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
          path: workdir!.file('compared.json'),
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
      workdir?.record({ ...step, imagesPerSecond: speed.rate });
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
      await workdir?.save(checkpoint, which);
      advanced();
    },
    async evaluate(epoch) {
      const { figures, mean } = await evaluation!.measure(model);
      say(
        `epoch ${epoch + 1}: average precision ${figuresText(figures)} on ${evaluation!.length} pictures kept out of training\n` +
          (compared ? `${compare!}: ${figuresText(compared)}\n` : ''),
      );
      const others = compared ? comparedEntries(compared, compare!) : {};
      workdir!.record({ step: (epoch + 1) * stepsPerEpoch, epoch, ...figures, ...others });
      await workdir!.draw();
      speed.resume(performance.now() / 1000);
      return mean;
    },
    stopRequested,
    now: () => performance.now() / 1000,
  };
  const { epochs, saveEvery } = run;
  const evaluateEvery = await fromFirst(ranks, () => Promise.resolve(held ? run.evaluateEvery : 0));
  try {
    const end = await runTraining(trainer, { epochs, saveEvery, evaluateEvery, stepsPerEpoch, schedule }, from, host);
    if (!workdir) return EXIT.done;
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
    await workdir?.settle();
  }
}
