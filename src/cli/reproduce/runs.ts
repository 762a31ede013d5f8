import { existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { augmentBatch, augmentFaces, drawAugmentation } from '../../data/augment.js';
import { faceTargets } from '../../data/batch.js';
import { epochOrder, randomOf } from '../../data/random.js';
import type { Face, PictureSource, Sample } from '../../data/sample.js';
import type { SyntheticOptions } from '../../data/synthetic.js';
import { type EvaluationSource, evaluateModel } from '../../evaluate/evaluate_model.js';
import { type GroundTruth, groundTruthByHeight, SUBSETS } from '../../evaluate/ground_truth.js';
import { summarise } from '../../evaluate/statistics.js';
import type { Figures } from '../../evaluate/variants.js';
import { ArgumentError, FileError } from '../../gpu/errors.js';
import type { Picture } from '../../image/picture.js';
import { writeText } from '../../node/evaluate_report.js';
import { readBytes, writeFileAtomic } from '../../node/files.js';
import { PictureLoader } from '../../node/picture_loader.js';
import { RetinaFace } from '../../node/retinaface.js';
import { makeFolder, pictureFolder, readGroundTruth } from '../../node/wider_files.js';
import { recodeBoxes } from '../../retinaface/box_codes.js';
import { type Configuration, type ConfigurationName, configurations, narrowed } from '../../retinaface/config.js';
import { PUBLISHED_LOSS, REPORT_CASCADE_LOSS } from '../../retinaface/loss.js';
import { writeNetworkState } from '../../retinaface/network_state.js';
import { type Budget, trainWithin } from '../../train/budget.js';
import { type LogEntry, logLine, readLog } from '../../train/event_log.js';
import { formatSeconds } from '../../train/metrics.js';
import { freeBatch, Trainer, type TrainerOptions, type TrainingBatch } from '../../train/trainer.js';
import { readSafetensors, writeSafetensors } from '../../weights/safetensors.js';
import type { StateDict } from '../../weights/state.js';

/** The report's variants, in the order of its Table 2. */
export const VARIANTS = ['baseline', 'context-no-landmark', 'context', 'full'] as const satisfies ConfigurationName[];
export type Variant = (typeof VARIANTS)[number];

/** Seeds of the scenes to learn from and of those to be measured on: the same for all runs. */
const TRAINING_SCENES = 101;
const HELD_SCENES = 303;

/** Shares of the budget at which runs are measured; the last one gives the figures. */
const PAUSES = [0.25, 0.5, 0.75, 1];

export function usage(expected: string, got: string, remedy: string): ArgumentError {
  return new ArgumentError({ operation: 'reproduce', expected, got, remedy });
}

/** Losses that the variants can be taught by. */
export const LOSSES = ['published', 'report'] as const;
export type LossName = (typeof LOSSES)[number];

/** A network, and the losses that differ from those of its family. */
export interface Taught {
  readonly configuration: Configuration;
  readonly losses: Pick<TrainerOptions, 'loss' | 'cascadeLoss'>;
}

/**
 * A variant as it is taught: by the report's loss, or by the published code's with its box code. The latter has no cascade; second
 * heads keep the report's thresholds.
 */
export function taught(variant: Variant, { width, loss }: Settings): Taught {
  const configuration = narrowed(configurations[variant], width);
  if (loss === 'report') return { configuration, losses: {} };
  const { positiveThreshold, negativeThreshold } = REPORT_CASCADE_LOSS;
  return {
    configuration: { ...configuration, variances: PUBLISHED_LOSS.variances },
    losses: { loss: PUBLISHED_LOSS, cascadeLoss: { ...PUBLISHED_LOSS, positiveThreshold, negativeThreshold } },
  };
}

/** What makes runs comparable: two runs of one table differ in none of it. */
export interface Settings {
  readonly budget: Budget;
  /** What the backbone that all runs start from is trained for; null where each starts from nothing. */
  readonly foundation: Budget | null;
  readonly loss: LossName;
  readonly width: number;
  readonly size: number;
  readonly batch: number;
  readonly scenes: number;
  readonly held: number;
  readonly rate: number;
  readonly clip: number;
}

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
  readonly steps: number;
  /** Of training alone. */
  readonly seconds: number;
  readonly synthetic: Figures;
  readonly real?: Figures | undefined;
  readonly log: readonly LogEntry[];
}

/** What is measured: pictures and their faces. */
export interface Held {
  readonly source: EvaluationSource;
  readonly truth: GroundTruth;
}

export interface Scene {
  readonly picture: Picture;
  readonly faces: readonly Face[];
}

/** Heights of faces in the scenes, and where medium and easy begin: thirds of the range, on a logarithmic scale. */
export function heightsOf(size: number): Record<'smallest' | 'medium' | 'easy' | 'largest', number> {
  const [smallest, largest] = [0.16 * size, 0.7 * size];
  const at = (share: number): number => smallest * (largest / smallest) ** share;
  return { smallest, medium: at(1 / 3), easy: at(2 / 3), largest };
}

/** Scenes to learn from and to measure on, drawn once and kept: drawing is no part of any run's time. */
export async function drawScenes(
  settings: Settings,
  say: (words: string) => void,
): Promise<{ readonly training: readonly Scene[]; readonly held: readonly Scene[] }> {
  const { smallest, largest } = heightsOf(settings.size);
  const began = performance.now();
  const draw = async (seed: number, count: number, options: SyntheticOptions): Promise<Scene[]> => {
    const scenes: Scene[] = [];
    const description = { kind: 'synthetic', seed, count, options: { faces: [1, 6], ...options } } as const;
    await using loader = new PictureLoader(description, { seed, batch: 1, prefetch: 16, cacheBytes: 0 });
    for await (const { indices, pictures, faces } of loader.batches(0)) {
      scenes[indices[0]!] = { picture: pictures[0]!, faces: faces[0]! };
    }
    return scenes;
  };
  const { size } = settings;
  // Crops of four to five fifths show the faces at the input's pixels, or a little smaller.
  const training = await draw(TRAINING_SCENES, settings.scenes, {
    size: Math.round(1.25 * size),
    faceHeights: [1.1 * smallest, 1.1 * largest],
  });
  const held = await draw(HELD_SCENES, settings.held, { size, faceHeights: [smallest, largest] });
  say(`${training.length + held.length} scenes drawn in ${formatSeconds((performance.now() - began) / 1000)}\n`);
  return { training, held };
}

export function heldScenes(scenes: readonly Scene[], size: number): Held {
  const samples = scenes.map(({ faces }, i): Sample => ({ name: `scene ${i}`, faces }));
  const source: PictureSource = {
    length: scenes.length,
    name: (index) => samples[index]!.name,
    faces: (index) => samples[index]!.faces,
    load: (index) => Promise.resolve(scenes[index]!.picture),
  };
  return { source, truth: groundTruthByHeight(samples, heightsOf(size)) };
}

/** `NAME_annotations.json` in a folder and the pictures of the folder NAME beside it, or of the same folder. */
export async function realPictures(folder: string): Promise<Held> {
  const isFolder = await stat(folder).then(
    (info) => info.isDirectory(),
    () => false,
  );
  const ending = '_annotations.json';
  const [file, ...others] = isFolder ? (await readdir(folder)).filter((name) => name.endsWith(ending)) : [];
  if (file === undefined || others.length > 0) {
    throw new FileError({
      operation: `find real pictures in ${folder}`,
      expected: `one file *${ending} in that folder`,
      got: !isFolder ? 'no such folder' : file === undefined ? 'none' : [file, ...others].join(', '),
      remedy:
        'Name the folder that holds the annotations and, in a folder of that name, the pictures; or leave --real out.',
    });
  }
  const truth = await readGroundTruth(join(folder, file));
  const beside = join(folder, file.slice(0, -ending.length));
  const names = truth.pictures.map(({ name }) => name);
  return { truth, source: await pictureFolder(existsSync(beside) ? beside : folder, names) };
}

const runFolder = (out: string, variant: Variant, seed: number): string => join(out, `${variant}-${seed}`);

/**
 * The result of a run that has ended, or nothing; nothing, too, where real pictures are asked for and it was not measured on
 * them. @throws ArgumentError for a run of other settings; FileError for a damaged one.
 */
export async function finishedRun(
  { out, settings }: Study,
  variant: Variant,
  seed: number,
  withReal: boolean,
): Promise<RunResult | undefined> {
  const path = join(runFolder(out, variant, seed), 'result.json');
  if (!existsSync(path)) return undefined;
  let result: RunResult;
  try {
    result = JSON.parse(new TextDecoder().decode(await readBytes(path, 'read the run'))) as RunResult;
    result = { ...result, log: readLog(result.log.map((entry) => JSON.stringify(entry)).join('\n')) };
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
  return withReal && !result.real ? undefined : result;
}

interface OneRun {
  readonly variant: Variant;
  readonly seed: number;
  readonly taught: Taught;
  readonly device: GPUDevice;
  readonly scenes: readonly Scene[];
  readonly held: Held;
  readonly real: Held | undefined;
  readonly backbone: StateDict | undefined;
}

/** Trains one variant from one seed, measures it, and writes its folder; the result last, so that it marks a whole run. */
export async function trainOne(study: Study, one: OneRun): Promise<RunResult> {
  const { out, settings, say } = study;
  const { variant, seed, device, scenes, held, real, backbone } = one;
  const { configuration, losses } = one.taught;
  const folder = runFolder(out, variant, seed);
  await makeFolder(folder);
  using model = new RetinaFace(device, configuration);
  const start = (): void => {
    model.initialise(seed);
    if (backbone) writeNetworkState(model.network, backbone, BACKBONE_FILE, { allowMissing: true });
  };
  const { figures, ...spent } = await teach(study, {
    model,
    start,
    batch: batches(model, scenes, settings, seed),
    budget: settings.budget,
    rate: settings.rate,
    options: { clipNorm: settings.clip, ...losses },
    held,
    save(checkpoint) {
      // In the configuration's own box code, so that the file is weights that any command takes.
      const file = join(folder, 'last.safetensors');
      const { tensors, metadata } = readSafetensors(checkpoint, file);
      const plain = recodeBoxes(tensors, configuration.variances, configurations[variant].variances);
      return writeFileAtomic(file, writeSafetensors(plain, metadata));
    },
    run: JSON.stringify({ configuration: variant, ...settings, accumulate: 1, seed }),
  });
  const onReal = real && (await measure(model, real, 1));
  if (onReal) say(`  real pictures: AP ${formatFigures(onReal)}\n`);
  await writeText(join(folder, 'log.jsonl'), spent.log.map(logLine).join(''));
  const result: RunResult = {
    settings,
    variant,
    seed,
    adapter: model.gpu.info.description,
    parameters: model.network.parameters.trainableCount,
    ...spent,
    synthetic: figures,
    ...(onReal ? { real: onReal } : {}),
  };
  await writeText(join(folder, 'result.json'), `${JSON.stringify(result)}\n`);
  return result;
}

const BACKBONE_FILE = 'backbone.safetensors';

/**
 * How the common backbone is taught: as a detector without context modules, landmarks and cascade, by the published loss. What
 * a variant has beyond that is new to it, so that at short budgets the start favours those that have less.
 */
const FOUNDATION = { rate: 0.02, clipNorm: 30, seed: 0, slope: 0.1 } as const;

/**
 * The backbone that all runs start from, as ImageNet's weights are to the report: trained on the scenes that the runs learn
 * from, once, and kept in the folder.
 * @throws ArgumentError where the folder holds one of other settings; WeightsError for a damaged file.
 */
export async function sharedBackbone(
  study: Study,
  { device, scenes, held }: Pick<OneRun, 'device' | 'scenes' | 'held'>,
): Promise<StateDict | undefined> {
  const { out, settings, say } = study;
  const { foundation: budget, width, size, batch } = settings;
  if (!budget) return undefined;
  const path = join(out, BACKBONE_FILE);
  const made = JSON.stringify({ budget, width, size, batch, scenes: settings.scenes });
  if (existsSync(path)) {
    const { tensors, metadata } = readSafetensors(await readBytes(path, 'read the backbone'), path);
    if (metadata['settings'] === made) return tensors;
    throw usage(
      `--out with a backbone of these settings: ${made}`,
      `${path} of ${metadata['settings'] ?? 'others'}`,
      'Name another folder, or pass the options of that backbone.',
    );
  }
  say('the backbone that all start from\n');
  const { slope, seed, rate, clipNorm } = FOUNDATION;
  const { variances } = PUBLISHED_LOSS;
  const configuration = { ...narrowed(configurations.baseline, width), landmarks: false, variances, slope };
  using model = new RetinaFace(device, configuration);
  await teach(study, {
    model,
    start() {
      model.initialise(seed);
    },
    batch: batches(model, scenes, settings, seed),
    budget,
    rate,
    options: { clipNorm, loss: PUBLISHED_LOSS },
    held,
    save: () => Promise.resolve(),
    run: '',
  });
  const backbone: StateDict = new Map([...(await model.state())].filter(([name]) => name.startsWith('body.')));
  await writeFileAtomic(path, writeSafetensors(backbone, { settings: made }));
  return backbone;
}

interface Lesson {
  readonly model: RetinaFace;
  /** Puts the network where it starts. */
  readonly start: () => void;
  readonly batch: (step: number) => TrainingBatch;
  readonly budget: Budget;
  readonly rate: number;
  readonly options: TrainerOptions;
  readonly held: Held;
  readonly save: (checkpoint: Uint8Array) => Promise<void>;
  /** What the checkpoint says of the run. */
  readonly run: string;
}

/** Trains a network for its budget and leaves it in inference; the figures are those at the end. */
async function teach(
  { say }: Study,
  { model, start, batch: batchOf, budget, rate, options, held, save, run }: Lesson,
): Promise<{
  readonly steps: number;
  readonly seconds: number;
  readonly figures: Figures;
  readonly log: readonly LogEntry[];
}> {
  // The first step of a network compiles its kernels; that is no training, and must leave no trace in its batch norms.
  start();
  {
    using rehearsal = new Trainer(model.network, options);
    const batch = batchOf(0);
    const losses = rehearsal.accumulate(batch);
    freeBatch(batch);
    rehearsal.step(0);
    await rehearsal.read(losses);
  }
  start();
  using trainer = new Trainer(model.network, options);
  const log: LogEntry[] = [];
  let figures: Figures = { easy: NaN, medium: NaN, hard: NaN };
  const spent = await trainWithin(
    trainer,
    { budget, rate, warmUp: 0.05, pauses: PAUSES },
    {
      batch: batchOf,
      onStep: (record) => log.push({ ...record }),
      async onPause({ share, step, spent: seconds }) {
        figures = await measure(model, held, 16);
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
      now: () => performance.now() / 1000,
    },
    run,
  );
  model.network.train(false);
  return { ...spent, figures, log };
}

/** The batch of any step: pictures in an order of each epoch's own, cropped a little, flipped and coloured by the seed. */
function batches(
  model: RetinaFace,
  scenes: readonly Scene[],
  { batch, size }: Settings,
  seed: number,
): (step: number) => TrainingBatch {
  const orders = new Map<number, Uint32Array>();
  return (step) => {
    const chosen = Array.from({ length: batch }, (_, i) => {
      const at = step * batch + i;
      const epoch = Math.floor(at / scenes.length);
      let order = orders.get(epoch);
      if (!order) orders.set(epoch, (order = epochOrder(seed, epoch, scenes.length)));
      const index = order[at % scenes.length]!;
      const scene = scenes[index]!;
      const plan = drawAugmentation(randomOf(seed, epoch, index), scene.picture, scene.faces, {
        scales: [0.8, 0.9, 1],
      });
      return { ...scene, plan };
    });
    const plans = chosen.map(({ plan }) => plan);
    const pictures = chosen.map(({ picture }) => picture);
    return {
      x: augmentBatch(model.gpu, pictures, plans, { size, ...model.network.configuration.input }),
      targets: faceTargets(
        model.gpu,
        chosen.map(({ plan, faces }) => augmentFaces(plan, faces, size)),
      ),
    };
  };
}

function formatFigures(figures: Figures): string {
  return SUBSETS.map((subset) => figures[subset].toFixed(3)).join(' / ');
}

async function measure(model: RetinaFace, { source, truth }: Held, batch: number): Promise<Figures> {
  const { easy, medium, hard } = await evaluateModel(model, source, truth, { protocol: 'report', batch });
  return { easy, medium, hard };
}
