import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { evaluateModel } from '../../evaluate/evaluate_model.js';
import { SUBSETS } from '../../evaluate/ground_truth.js';
import { summarise } from '../../evaluate/statistics.js';
import type { Figures } from '../../evaluate/variants.js';
import { isObject } from '../../gpu/arguments.js';
import { ArgumentError, FileError } from '../../gpu/errors.js';
import { writeText } from '../../node/evaluate_report.js';
import { makeFolder, readBytes, writeFileAtomic } from '../../node/files.js';
import { RetinaFace } from '../../node/retinaface.js';
import { recodeBoxes } from '../../retinaface/box_codes.js';
import { type Configuration, type ConfigurationName, configurations, narrowed } from '../../retinaface/config.js';
import { PUBLISHED_CASCADE_LOSS, PUBLISHED_LOSS } from '../../retinaface/loss.js';
import { writeNetworkState } from '../../retinaface/network_state.js';
import { type Budget, trainWithin } from '../../train/budget.js';
import { type LogEntry, logLine, readLog } from '../../train/event_log.js';
import { formatSeconds } from '../../train/metrics.js';
import { freeBatch, Trainer, type TrainerOptions } from '../../train/trainer.js';
import { readSafetensors, writeSafetensors } from '../../weights/safetensors.js';
import type { StateDict } from '../../weights/state.js';
import { batches, type Example, type Held, type Material, type RunBatches, type Teaching } from './material.js';

/** The report's variants, in the order of its Table 2. */
export const VARIANTS = ['baseline', 'context-no-landmark', 'context', 'full'] as const satisfies ConfigurationName[];
export type Variant = (typeof VARIANTS)[number];

/** Shares of the budget at which runs are measured; the last one gives the figures. */
const PAUSES = [0.25, 0.5, 0.75, 1];

export function usage(expected: string, got: string, remedy: string): ArgumentError {
  return new ArgumentError({ operation: 'reproduce', expected, got, remedy });
}

/** Losses that the variants can be taught by. */
export const LOSSES = ['published', 'report', 'report-variances'] as const;
export type LossName = (typeof LOSSES)[number];

/** A network, and the losses that differ from those of its family. */
export interface Taught {
  readonly configuration: Configuration;
  readonly losses: Pick<TrainerOptions, 'loss' | 'cascadeLoss'>;
}

/**
 * A variant as it is taught: by the report's loss, by that with the published box code, or by the published code's loss and box
 * code.
 */
export function taught(variant: Variant, { width, loss }: Settings): Taught {
  const plain = narrowed(configurations[variant], width);
  if (loss === 'report') return { configuration: plain, losses: {} };
  const configuration = { ...plain, variances: PUBLISHED_LOSS.variances };
  if (loss === 'report-variances') return { configuration, losses: {} };
  return { configuration, losses: { loss: PUBLISHED_LOSS, cascadeLoss: PUBLISHED_CASCADE_LOSS } };
}

/** What makes runs comparable: two runs of one table differ in none of it. */
export interface Settings {
  readonly budget: Budget;
  /** What the backbone that all runs start from is trained for; null where each starts from nothing. */
  readonly foundation: Budget | null;
  /** What each run is trained for on scenes and real pictures after those on scenes alone; null where there are none. */
  readonly finish: Budget | null;
  /** The real pictures' identity; null without any. */
  readonly real: string | null;
  /** The identity of the photographs that are taught in the place of scenes, and how they are parted; absent with scenes. */
  readonly photographs?: string;
  readonly loss: LossName;
  /** True where minutes are counted by steps: see `measuredPaces`. */
  readonly paced?: true;
  readonly width: number;
  readonly size: number;
  readonly batch: number;
  readonly scenes: number;
  readonly held: number;
  readonly rate: number;
  readonly clip: number;
}

/** The greatest seed of a run. */
export const MAX_SEED = 2 ** 31 - 1;

/** What separates the draws of the training on real pictures from those before it, and its rate relative to theirs. */
const FINISH = MAX_SEED + 1;
const FINISH_RATE = 0.5;

/** Where runs are kept, how they are made, and who hears of it. */
export interface Study {
  readonly out: string;
  readonly settings: Settings;
  readonly say: (words: string) => void;
}

/** What a run's result.json holds. */
export interface RunResult {
  readonly settings: Settings;
  readonly variant: Variant;
  readonly seed: number;
  readonly adapter: string;
  readonly parameters: number;
  /** Of the training on scenes alone. */
  readonly steps: number;
  readonly seconds: number;
  readonly log: readonly LogEntry[];
  /** After it, on scenes that were kept out, where it was taught by scenes. */
  readonly synthetic?: Figures | undefined;
  /** After it, on photographs that were kept out, where it was taught by others. */
  readonly photographs?: Figures | undefined;
  /** After it, on real pictures that were kept out. */
  readonly real?: Figures | undefined;
  /** After further training, of so many steps and seconds, on other real pictures as well. */
  readonly finished?: (Figures & { readonly steps: number; readonly seconds: number }) | undefined;
}

/** Whether a file holds all that a report is made of, of the run that it should be of. */
function isResult(value: unknown, variant: Variant, seed: number): value is RunResult {
  const numbers = (object: Readonly<Record<string, unknown>>, names: readonly string[], some: (n: number) => boolean) =>
    names.every((name) => typeof object[name] === 'number' && some(object[name]));
  // A precision of no faces is NaN, which JSON has as null.
  const isFigures = (each: unknown): boolean =>
    isObject(each) &&
    SUBSETS.every((subset) => each[subset] === null || numbers(each, [subset], (n) => n >= 0 && n <= 1));
  if (!isObject(value) || value['variant'] !== variant || value['seed'] !== seed) return false;
  const { settings, adapter, log, real, finished } = value;
  if (!isObject(settings)) return false;
  const spent = ['steps', 'seconds'];
  return (
    typeof adapter === 'string' &&
    Array.isArray(log) &&
    numbers(value, ['parameters', ...spent], (n) => n >= 0) &&
    isFigures(value[settings['photographs'] === undefined ? 'synthetic' : 'photographs']) &&
    (settings['real'] === null || isFigures(real)) &&
    (settings['finish'] === null ||
      (isFigures(finished) && isObject(finished) && numbers(finished, spent, (n) => n >= 0)))
  );
}

const runFolder = (out: string, variant: Variant, seed: number): string => join(out, `${variant}-${seed}`);

/**
 * The result of a run that has ended, or nothing. @throws ArgumentError for a run of other settings; FileError for a damaged one.
 */
export async function finishedRun(
  { out, settings }: Study,
  variant: Variant,
  seed: number,
): Promise<RunResult | undefined> {
  const path = join(runFolder(out, variant, seed), 'result.json');
  if (!existsSync(path)) return undefined;
  let result: RunResult;
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(await readBytes(path, 'read the run')));
    if (!isResult(value, variant, seed)) throw new TypeError('fields that are missing, or of another kind');
    result = { ...value, log: readLog(value.log.map((entry) => JSON.stringify(entry)).join('\n')) };
  } catch (cause) {
    throw new FileError({
      operation: `read ${path}`,
      expected: 'the result of a run',
      got: cause instanceof Error ? cause.message : String(cause),
      remedy: 'Remove that folder: the run will be repeated.',
      cause,
    });
  }
  if (JSON.stringify(result.settings) !== JSON.stringify(settings)) {
    throw usage(
      `--out with runs of these settings: ${JSON.stringify(settings)}`,
      `${path} of ${JSON.stringify(result.settings)}`,
      'Name another folder, or pass the options of those runs.',
    );
  }
  return result;
}

/** Seconds that a network's step takes with nothing beside it. */
export type Paces = Readonly<Record<Variant | 'backbone', number>>;

interface OneRun {
  readonly variant: Variant;
  readonly seed: number;
  readonly taught: Taught;
  readonly device: GPUDevice;
  readonly teaching: Teaching;
  /** The scenes that stay beside real pictures. */
  readonly scenes: readonly Example[];
  readonly real: Material | undefined;
  readonly backbone: StateDict | undefined;
  /** Seconds that a step counts for, where they are not those of a clock. */
  readonly pace: number | undefined;
}

/** Trains one variant from one seed, measures it, and writes its folder; the result last, so that it marks a whole run. */
export async function trainOne(study: Study, one: OneRun): Promise<RunResult> {
  const { out, settings, say } = study;
  const { variant, seed, device, teaching, scenes, real, backbone, pace } = one;
  const { configuration, losses } = one.taught;
  const { batch, size } = settings;
  const folder = runFolder(out, variant, seed);
  await makeFolder(folder);
  using model = new RetinaFace(device, configuration);
  const lesson = {
    model,
    pace,
    options: { clipNorm: settings.clip, ...losses },
    run: JSON.stringify({ configuration: variant, ...settings, accumulate: 1, seed }),
  };
  // In the configuration's own box code, so that the file is weights that any command takes.
  const saveAs = (name: string) => (checkpoint: Uint8Array) => {
    const file = join(folder, name);
    const { tensors, metadata } = readSafetensors(checkpoint, file);
    const plain = recodeBoxes(tensors, configuration.variances, configurations[variant].variances);
    return writeFileAtomic(file, writeSafetensors(plain, metadata));
  };
  const start = (): void => {
    model.initialise(seed);
    if (backbone) writeNetworkState(model.network, backbone, BACKBONE_FILE, { allowMissing: true });
  };
  const lessons = teaching.open(model, { batch, size, seed });
  const { figures, log, ...spent } = await closing(lessons, async () => {
    start();
    await rehearse({ ...lesson, batch: lessons.batch });
    start();
    return teach(study, {
      ...lesson,
      batch: lessons.batch,
      save: saveAs(settings.photographs === undefined ? 'scenes.safetensors' : 'photographs.safetensors'),
      budget: settings.budget,
      rate: settings.rate,
      pauses: PAUSES,
      examine: () => measure(model, teaching.held, teaching.together),
    });
  });
  const examine = (): Promise<Figures> => measure(model, real!.held, 1);
  const onReal = real && (await examine());
  if (onReal) say(`  on real pictures: AP ${formatFigures(onReal)}\n`);
  let finished: RunResult['finished'];
  const logs = [...log];
  if (real && settings.finish) {
    say('  on other real pictures as well:\n');
    const {
      figures: ofReal,
      log: further,
      ...more
    } = await teach(study, {
      ...lesson,
      batch: batches(model, scenes, { batch, size, seed: seed + FINISH, real: real.training }),
      save: saveAs('real.safetensors'),
      budget: settings.finish,
      rate: FINISH_RATE * settings.rate,
      pauses: [1],
      examine,
    });
    finished = { ...ofReal, ...more };
    logs.push(
      ...further.map(({ easy, medium, hard, ...entry }) => ({
        ...entry,
        step: entry.step + spent.steps,
        spent: entry['spent']! + spent.seconds,
        ...(hard === undefined ? {} : { realEasy: easy!, realMedium: medium!, realHard: hard }),
      })),
    );
  }
  await writeText(join(folder, 'log.jsonl'), logs.map(logLine).join(''));
  const result: RunResult = {
    settings,
    variant,
    seed,
    adapter: model.gpu.info.description,
    parameters: model.network.parameters.trainableCount,
    ...spent,
    log,
    ...(settings.photographs === undefined ? { synthetic: figures } : { photographs: figures }),
    ...(onReal ? { real: onReal } : {}),
    ...(finished ? { finished } : {}),
  };
  await writeText(join(folder, 'result.json'), `${JSON.stringify(result)}\n`);
  return result;
}

const BACKBONE_FILE = 'backbone.safetensors';

/**
 * How the common backbone is taught: as a detector without context modules, landmarks and cascade, by the published loss. What
 * a variant has beyond that is new to it, so that at short budgets the start favours those that have less.
 */
export const FOUNDATION = {
  rate: 0.02,
  seed: 2 ** 32,
  options: { clipNorm: 30, loss: PUBLISHED_LOSS } as TrainerOptions,
} as const;

/** The network whose backbone that is. */
export function foundationOf({ width }: Settings): Configuration {
  const { variances } = PUBLISHED_LOSS;
  return { ...narrowed(configurations.baseline, width), landmarks: false, variances, slope: 0.1 };
}

/**
 * The backbone that all runs start from, as ImageNet's weights are to the report: trained on the pictures that the runs learn
 * from, once, and kept in the folder.
 * @throws ArgumentError where the folder holds one of other settings; WeightsError for a damaged file; FileError where it is
 * gone but `kept` runs that started from it are there.
 */
export async function sharedBackbone(
  study: Study,
  { device, teaching, kept, pace }: Pick<OneRun, 'device' | 'teaching' | 'pace'> & { readonly kept: number },
): Promise<StateDict | undefined> {
  const { out, settings, say } = study;
  const { foundation: budget, width, size, batch } = settings;
  if (!budget) return undefined;
  const path = join(out, BACKBONE_FILE);
  const made = JSON.stringify({
    budget,
    width,
    size,
    batch,
    scenes: settings.scenes,
    photographs: settings.photographs,
    paced: settings.paced,
  });
  if (existsSync(path)) {
    const { tensors, metadata } = readSafetensors(await readBytes(path, 'read the backbone'), path);
    if (metadata['settings'] === made) return tensors;
    throw usage(
      `--out with a backbone of these settings: ${made}`,
      `${path} of ${metadata['settings'] ?? 'others'}`,
      'Name another folder, or pass the options of that backbone.',
    );
  }
  if (kept > 0) {
    throw new FileError({
      operation: 'reproduce',
      expected: `${path}, the backbone that the ${kept} runs in ${out} have started from`,
      got: 'none: later runs would start from another one, and could not be held against these',
      remedy: 'Put that file back, or begin anew in another folder.',
    });
  }
  say('the backbone that all start from\n');
  const { rate, seed } = FOUNDATION;
  using model = new RetinaFace(device, foundationOf(settings));
  const lessons = teaching.open(model, { batch, size, seed });
  const lesson = {
    model,
    pace,
    options: FOUNDATION.options,
    batch: lessons.batch,
    save: () => Promise.resolve(),
    run: '',
  };
  await closing(lessons, async () => {
    model.initialise(seed);
    await rehearse(lesson);
    model.initialise(seed);
    const examine = (): Promise<Figures> => measure(model, teaching.held, teaching.together);
    await teach(study, { ...lesson, budget, rate, pauses: PAUSES, examine });
  });
  const backbone: StateDict = new Map([...(await model.state())].filter(([name]) => name.startsWith('body.')));
  await writeFileAtomic(path, writeSafetensors(backbone, { settings: made }));
  return backbone;
}

/** What is done with batches; they are closed after it, whatever became of it. */
export async function closing<T>(batchesOfRun: RunBatches, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } finally {
    await batchesOfRun.close();
  }
}

/** One training, of whatever network. */
export interface Lesson {
  readonly model: RetinaFace;
  /** Seconds that a step counts for, where they are not those of a clock. */
  readonly pace?: number | undefined;
  readonly batch: RunBatches['batch'];
  readonly options: TrainerOptions;
  readonly budget: Budget;
  readonly rate: number;
  /** Shares of the budget at which it is examined; the last examination's figures are the lesson's. */
  readonly pauses: readonly number[];
  readonly examine: () => Promise<Figures>;
  readonly save: (checkpoint: Uint8Array) => Promise<void>;
  /** What the checkpoint says of the run. */
  readonly run: string;
}

/** One step that is to be forgotten: the first of a network compiles its kernels, and that is no training. */
export async function rehearse({
  model,
  batch: batchOf,
  options,
}: Pick<Lesson, 'model' | 'batch' | 'options'>): Promise<void> {
  using trainer = new Trainer(model.network, options);
  const batch = await batchOf(0);
  const losses = trainer.accumulate(batch);
  freeBatch(batch);
  trainer.step(0);
  await trainer.read(losses);
}

/** Trains a network for its budget and leaves it in inference. */
export async function teach(
  { say }: Study,
  { model, pace, batch, budget, rate, options, pauses, examine, save, run }: Lesson,
): Promise<{
  readonly steps: number;
  readonly seconds: number;
  readonly figures: Figures;
  readonly log: readonly LogEntry[];
}> {
  using trainer = new Trainer(model.network, options);
  const log: LogEntry[] = [];
  let figures: Figures = { easy: NaN, medium: NaN, hard: NaN };
  let begun = 0;
  const spent = await trainWithin(
    trainer,
    { budget, rate, warmUp: 0.05, pauses },
    {
      batch(step) {
        begun = step + 1;
        return batch(step);
      },
      onStep: (record) => log.push({ ...record }),
      async onPause({ share, step, spent: seconds }) {
        figures = await examine();
        log.push({ step, epoch: 0, spent: seconds, easy: figures.easy, medium: figures.medium, hard: figures.hard });
        const recent = log.filter((entry) => 'total' in entry).slice(-20);
        const mean = (key: string): string => summarise(recent.map((entry) => entry[key]!)).mean.toPrecision(3);
        say(
          `  ${Math.round(100 * share)}%  ${step} steps, ${formatSeconds(seconds)}  loss ${mean('total')} ` +
            `(class ${mean('class')}, box ${mean('box')}, landmarks ${mean('landmark')}), gradient ${mean('gradientNorm')}  ` +
            `AP ${formatFigures(figures)}\n`,
        );
      },
      save,
      now: () => (pace === undefined ? performance.now() / 1000 : pace * begun),
    },
    run,
  );
  model.network.train(false);
  return { ...spent, figures, log };
}

function formatFigures(figures: Figures): string {
  return SUBSETS.map((subset) => figures[subset].toFixed(3)).join(' / ');
}

async function measure(model: RetinaFace, { source, truth }: Held, batch: number): Promise<Figures> {
  const { easy, medium, hard } = await evaluateModel(model, source, truth, { protocol: 'report', batch });
  return { easy, medium, hard };
}
