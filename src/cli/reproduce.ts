import { existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { augmentBatch, augmentFaces, drawAugmentation } from '../data/augment.js';
import { faceTargets } from '../data/batch.js';
import { epochOrder, randomOf } from '../data/random.js';
import type { Face, PictureSource, Sample } from '../data/sample.js';
import type { SyntheticOptions } from '../data/synthetic.js';
import { type EvaluationSource, evaluateModel } from '../evaluate/evaluate_model.js';
import { type GroundTruth, groundTruthByHeight, SUBSETS } from '../evaluate/ground_truth.js';
import { pairedDifference, summarise } from '../evaluate/statistics.js';
import { type Figures, formatSummary, MISSING } from '../evaluate/variants.js';
import { ArgumentError, FileError } from '../gpu/errors.js';
import { type Chart, drawChart, LINE_COLOURS, paper } from '../image/chart.js';
import type { Picture } from '../image/picture.js';
import { drawTable, tableMarkdown, type TextTable } from '../image/table.js';
import { requestDevice } from '../node/device.js';
import { writeText } from '../node/evaluate_report.js';
import { readBytes, writeFileAtomic, writeImage } from '../node/files.js';
import { PictureLoader } from '../node/picture_loader.js';
import { RetinaFace } from '../node/retinaface.js';
import { makeFolder, pictureFolder, readGroundTruth } from '../node/wider_files.js';
import { type Configuration, type ConfigurationName, configurations, narrowed } from '../retinaface/config.js';
import { type Budget, trainWithin } from '../train/budget.js';
import { type LogEntry, logLine, readLog } from '../train/event_log.js';
import { formatSeconds, smooth } from '../train/metrics.js';
import { freeBatch, Trainer, type TrainingBatch } from '../train/trainer.js';
import { type Command, EXIT, numberOption, parse } from './command.js';

/** The report's variants, in the order of its Table 2. */
const VARIANTS = ['baseline', 'context-no-landmark', 'context', 'full'] as const satisfies ConfigurationName[];
type Variant = (typeof VARIANTS)[number];

/** The report's three questions (its §2), as the difference of two of its variants. */
const QUESTIONS: readonly { readonly asks: string; readonly more: Variant; readonly less: Variant }[] = [
  { asks: 'Does the landmark task help?', more: 'context', less: 'context-no-landmark' },
  { asks: 'Does the context module help?', more: 'context', less: 'baseline' },
  { asks: 'Does the cascade help?', more: 'full', less: 'context' },
];

/** Seeds of the scenes to learn from and of those to be measured on: the same for all runs. */
const TRAINING_SCENES = 101;
const HELD_SCENES = 303;

/** Shares of the budget at which runs are measured; the last one gives the figures. */
const PAUSES = [0.25, 0.5, 0.75, 1];
const CONFIDENCE = 0.95;

/** `retinaface reproduce`. */
export const reproduce: Command = {
  help: `retinaface reproduce --out DIR [options]        (npm run -s reproduce:small -- --out DIR)

The report's ablation in small, on a CPU: baseline, context-no-landmark, context and full, narrowed, each trained from
nothing for the same minutes on the same drawn scenes, for several seeds, and measured by WIDER FACE's protocol on scenes
that none has seen. Answers the report's three questions as paired differences over the seeds with their 95% intervals.

  --out DIR          table.md, table.png, curves.png, and a folder for each run. Finished runs are kept: the same command
                     goes on where it was stopped, and more seeds may be added; a run that was cut short is repeated
  --minutes M        of training for each run (3); drawing, compiling and measuring do not count. Equal time is not equal
                     steps: the table says both
  --steps N          a number of steps in the place of minutes; then equal seeds give equal bits on one adapter
  --seeds A,B,…      (1,2,3)
  --variants A,B,…   some of the four (all)
  --real DIR         also measure on real pictures: DIR/NAME_annotations.json and the pictures in DIR/NAME
  --width W          times all channels (0.25)
  --size N           edge of the input in pixels (96)
  --batch N          pictures of a step (8)
  --scenes N         scenes to learn from (1200)
  --held N           scenes to be measured on (150)
  --rate R           greatest learning rate (0.02): linear up over a twentieth of the budget, then a cosine down to 0
  --clip NORM        scale longer gradients down to it (200)
  --json             all figures and answers as JSON on stdout, in the place of Markdown
  --quiet            no words on stderr but errors

Scenes have 1 to 6 faces, 16% to 70% of the input high. hard: all faces count; medium and easy: those of the upper two
thirds, and of the uppermost third, of that range of heights on a logarithmic scale.
`,
  async run(args) {
    const { values, positionals } = parse('reproduce', args, {
      out: { type: 'string' },
      minutes: { type: 'string' },
      steps: { type: 'string' },
      seeds: { type: 'string' },
      variants: { type: 'string' },
      real: { type: 'string' },
      width: { type: 'string' },
      size: { type: 'string' },
      batch: { type: 'string' },
      scenes: { type: 'string' },
      held: { type: 'string' },
      rate: { type: 'string' },
      clip: { type: 'string' },
      json: { type: 'boolean' },
      quiet: { type: 'boolean' },
    });
    const { out } = values;
    if (out === undefined || positionals.length > 0) {
      throw usage('--out DIR and no other words', positionals.join(' ') || 'none', 'Name a folder for the results.');
    }
    if (values.minutes !== undefined && values.steps !== undefined) {
      throw usage('--minutes or --steps', 'both', 'Leave one of them out.');
    }
    const number = (name: 'minutes' | 'rate' | 'clip' | 'width', fallback: number, max?: number): number =>
      numberOption('reproduce', name, values[name], { min: 1e-6, ...(max === undefined ? {} : { max }) }) ?? fallback;
    const count = (name: 'size' | 'batch' | 'scenes' | 'held', fallback: number, min = 1): number =>
      numberOption('reproduce', name, values[name], { min, integer: true }) ?? fallback;
    const steps = numberOption('reproduce', 'steps', values.steps, { min: 1, integer: true });
    const seeds = (values.seeds ?? '1,2,3')
      .split(',')
      .map((text) => numberOption('reproduce', 'seeds', text, { min: 0, integer: true })!);
    const variants = values.variants?.split(',') ?? [...VARIANTS];
    const strange = variants.find((name) => !(VARIANTS as readonly string[]).includes(name));
    if (strange !== undefined)
      throw usage(`--variants of ${VARIANTS.join(', ')}`, `'${strange}'`, 'Name some of them.');
    return reproduceSmall({
      out,
      settings: {
        budget: steps === undefined ? { seconds: 60 * number('minutes', 3) } : { steps },
        width: number('width', 0.25, 1),
        size: count('size', 96, 64),
        batch: count('batch', 8),
        scenes: count('scenes', 1200),
        held: count('held', 150),
        rate: number('rate', 0.02),
        clip: number('clip', 200),
      },
      seeds: [...new Set(seeds)],
      variants: VARIANTS.filter((name) => variants.includes(name)),
      real: values.real,
      json: values.json === true,
      say: (words) => {
        if (values.quiet !== true) process.stderr.write(words);
      },
    });
  },
};

function usage(expected: string, got: string, remedy: string): ArgumentError {
  return new ArgumentError({ operation: 'reproduce', expected, got, remedy });
}

/** What makes runs comparable: two runs of one table differ in none of it. */
interface Settings {
  readonly budget: Budget;
  readonly width: number;
  readonly size: number;
  readonly batch: number;
  readonly scenes: number;
  readonly held: number;
  readonly rate: number;
  readonly clip: number;
}

interface Reproduction {
  readonly out: string;
  readonly settings: Settings;
  readonly seeds: readonly number[];
  readonly variants: readonly Variant[];
  readonly real: string | undefined;
  readonly json: boolean;
  readonly say: (words: string) => void;
}

/** What a run's result.json holds. */
interface RunResult {
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
interface Held {
  readonly source: EvaluationSource;
  readonly truth: GroundTruth;
}

interface Scene {
  readonly picture: Picture;
  readonly faces: readonly Face[];
}

/** Heights of faces in the scenes, and where medium and easy begin: thirds of the range, on a logarithmic scale. */
function heightsOf(size: number): Record<'smallest' | 'medium' | 'easy' | 'largest', number> {
  const [smallest, largest] = [0.16 * size, 0.7 * size];
  const at = (share: number): number => smallest * (largest / smallest) ** share;
  return { smallest, medium: at(1 / 3), easy: at(2 / 3), largest };
}

async function reproduceSmall(reproduction: Reproduction): Promise<number> {
  const { out, settings, seeds, variants, say } = reproduction;
  const wanted = seeds.flatMap((seed) => variants.map((variant) => ({ variant, seed })));
  const networks = new Map(variants.map((variant) => [variant, narrowed(configurations[variant], settings.width)]));
  const real = reproduction.real === undefined ? undefined : await realPictures(reproduction.real);
  await makeFolder(out);
  const results: RunResult[] = [];
  for (const { variant, seed } of wanted) {
    const kept = await finishedRun(reproduction, variant, seed, real !== undefined);
    if (kept) results.push(kept);
  }
  const isKept = (variant: Variant, seed: number): boolean =>
    results.some((result) => result.variant === variant && result.seed === seed);
  const missing = wanted.filter(({ variant, seed }) => !isKept(variant, seed));
  if (results.length > 0) say(`${results.length} of ${wanted.length} runs kept from before\n`);
  if (missing.length > 0) {
    const device = await requestDevice();
    const scenes = await drawScenes(settings, say);
    const held = heldScenes(scenes.held, settings.size);
    for (const [index, { variant, seed }] of missing.entries()) {
      say(`${variant}, seed ${seed} (${index + 1} of ${missing.length})\n`);
      results.push(
        await trainOne(reproduction, {
          variant,
          seed,
          device,
          configuration: networks.get(variant)!,
          scenes: scenes.training,
          held,
          real,
        }),
      );
    }
  }
  const report = reportOf(reproduction, results);
  const { tables, answers } = report;
  const markdown = `${tables.map((each) => `${tableMarkdown(each)}\n`).join('')}## The report's questions\n\n${answers
    .map(({ text }) => `- ${text}\n`)
    .join('')}`;
  await writeText(join(out, 'table.md'), markdown);
  await writeImage(join(out, 'table.png'), stacked(tables.map((each) => drawTable(each))));
  await writeImage(join(out, 'curves.png'), drawCurves(results, variants));
  say(`${join(out, 'table.md')}, table.png and curves.png are written\n`);
  process.stdout.write(reproduction.json ? `${JSON.stringify({ settings, ...report.figures, answers })}\n` : markdown);
  return EXIT.done;
}

/** Scenes to learn from and to measure on, drawn once and kept: drawing is no part of any run's time. */
async function drawScenes(
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

function heldScenes(scenes: readonly Scene[], size: number): Held {
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
async function realPictures(folder: string): Promise<Held> {
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
async function finishedRun(
  { out, settings }: Reproduction,
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
  readonly device: GPUDevice;
  readonly configuration: Configuration;
  readonly scenes: readonly Scene[];
  readonly held: Held;
  readonly real: Held | undefined;
}

/** Trains one variant from one seed, measures it, and writes its folder; the result last, so that it marks a whole run. */
async function trainOne({ out, settings, say }: Reproduction, one: OneRun): Promise<RunResult> {
  const { variant, seed, device, configuration, scenes, held, real } = one;
  const folder = runFolder(out, variant, seed);
  await makeFolder(folder);
  using model = new RetinaFace(device, configuration);
  const batchOf = batches(model, scenes, settings, seed);
  // The first step of a variant compiles its kernels; that is no training, and must leave no trace in its batch norms.
  model.initialise(seed);
  {
    using rehearsal = new Trainer(model.network, { clipNorm: settings.clip });
    const batch = batchOf(0);
    const losses = rehearsal.accumulate(batch);
    freeBatch(batch);
    rehearsal.step(0);
    await rehearsal.read(losses);
  }
  model.initialise(seed);
  using trainer = new Trainer(model.network, { clipNorm: settings.clip });
  const log: LogEntry[] = [];
  let figures: Figures = { easy: NaN, medium: NaN, hard: NaN };
  const { steps, seconds } = await trainWithin(
    trainer,
    { budget: settings.budget, rate: settings.rate, warmUp: 0.05, pauses: PAUSES },
    {
      batch: batchOf,
      onStep: (record) => log.push({ ...record }),
      async onPause({ share, step, spent }) {
        figures = await measure(model, held, 16);
        log.push({ step, epoch: 0, spent, easy: figures.easy, medium: figures.medium, hard: figures.hard });
        const recent = log.filter((entry) => 'total' in entry).slice(-20);
        const mean = (key: string): string => summarise(recent.map((entry) => entry[key]!)).mean.toPrecision(3);
        say(
          `  ${Math.round(100 * share)}%  ${step} steps, ${formatSeconds(spent)}  loss ${mean('total')} ` +
            `(class ${mean('class')}, box ${mean('box')}, landmarks ${mean('landmark')}), gradient ${mean('gradientNorm')}  ` +
            `AP ${SUBSETS.map((subset) => figures[subset].toFixed(3)).join(' / ')}\n`,
        );
      },
      save: (checkpoint) => writeFileAtomic(join(folder, 'last.safetensors'), checkpoint),
      now: () => performance.now() / 1000,
    },
    JSON.stringify({ configuration: variant, ...settings, accumulate: 1, seed }),
  );
  model.network.train(false);
  const onReal = real && (await measure(model, real, 1));
  if (onReal) say(`  real pictures: AP ${SUBSETS.map((subset) => onReal[subset].toFixed(3)).join(' / ')}\n`);
  await writeText(join(folder, 'log.jsonl'), log.map(logLine).join(''));
  const result: RunResult = {
    settings,
    variant,
    seed,
    adapter: model.gpu.info.description,
    parameters: model.network.parameters.trainableCount,
    steps,
    seconds,
    synthetic: figures,
    ...(onReal ? { real: onReal } : {}),
    log,
  };
  await writeText(join(folder, 'result.json'), `${JSON.stringify(result)}\n`);
  return result;
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

async function measure(model: RetinaFace, { source, truth }: Held, batch: number): Promise<Figures> {
  const { easy, medium, hard } = await evaluateModel(model, source, truth, { protocol: 'report', batch });
  return { easy, medium, hard };
}

/** One answer to one question on one set of pictures. */
interface Answer {
  readonly question: string;
  readonly pictures: 'synthetic' | 'real';
  readonly more: Variant;
  readonly less: Variant;
  readonly differences: Readonly<
    Record<string, { readonly mean: number; readonly margin: number; readonly pairs: number }>
  >;
  readonly text: string;
}

function reportOf(
  { settings, variants }: Reproduction,
  results: readonly RunResult[],
): { readonly tables: readonly TextTable[]; readonly answers: readonly Answer[]; readonly figures: object } {
  const of = (variant: Variant): readonly RunResult[] =>
    results.filter((result) => result.variant === variant).toSorted((a, b) => a.seed - b.seed);
  const sets = (['synthetic', 'real'] as const).filter((set) => results.every((result) => result[set]));
  const { smallest, medium, easy, largest } = heightsOf(settings.size);
  const budget = 'steps' in settings.budget ? `${settings.budget.steps} steps` : formatSeconds(settings.budget.seconds);
  const common =
    `Width ×${settings.width}, input ${settings.size}×${settings.size}, batch ${settings.batch}, ${budget} of training ` +
    `each from nothing on ${settings.scenes} drawn scenes; mean ± standard error over n seeds. ` +
    `Adapter: ${[...new Set(results.map(({ adapter }) => adapter))].join(', ')}.`;
  const notes = {
    synthetic:
      `${settings.held} scenes that no run has seen, faces ${smallest.toFixed(0)} to ${largest.toFixed(0)} pixels high: ` +
      `all count in hard, those of at least ${medium.toFixed(0)} in medium, of at least ${easy.toFixed(0)} in easy.`,
    real: 'Real pictures at their own size, with the subsets of their annotations; the runs have learnt from drawn scenes only.',
  };
  const tables = sets.map((set): TextTable => {
    const rows = variants.map((variant) => {
      const own = of(variant);
      const mean = (value: (result: RunResult) => number): number => summarise(own.map(value)).mean;
      return [
        variant,
        ...SUBSETS.map((subset) =>
          formatSummary(summarise(own.map((result) => valueOf(result[set]![subset]))), 'error'),
        ),
        String(own.length),
        own.length === 0 ? MISSING : mean(({ steps }) => steps).toFixed(0),
        own.length === 0 ? MISSING : (mean(({ seconds }) => seconds) / 60).toFixed(2),
        own.length === 0 ? MISSING : mean(({ steps, seconds }) => (steps * settings.batch) / seconds).toFixed(1),
        (own[0]?.parameters ?? NaN).toLocaleString('en'),
      ];
    });
    return {
      title: set === 'synthetic' ? 'Average precision on drawn scenes' : 'Average precision on real pictures',
      header: ['variant', ...SUBSETS, 'n', 'steps', 'minutes', 'images/s', 'parameters'],
      rows,
      notes: [notes[set], common],
    };
  });
  const answers = QUESTIONS.flatMap(({ asks, more, less }) =>
    sets.flatMap((set): Answer[] => {
      const pairs = of(more).flatMap((one) => {
        const other = of(less).find(({ seed }) => seed === one.seed);
        return other ? [[one[set]!, other[set]!] as const] : [];
      });
      if (pairs.length === 0) return [];
      const differences = SUBSETS.map((subset) => ({
        subset,
        ...pairedDifference(
          pairs.map(([one]) => valueOf(one[subset])),
          pairs.map(([, other]) => valueOf(other[subset])),
          CONFIDENCE,
        ),
      }));
      const words = differences.map(({ subset, mean, margin, sign }) => {
        const verdict = sign === 0 ? 'not told apart' : sign > 0 ? 'better' : 'worse';
        const around = Number.isFinite(margin) ? ` ± ${margin.toFixed(3)}` : '';
        return `${subset} ${mean < 0 ? '−' : '+'}${Math.abs(mean).toFixed(3)}${around} (${verdict})`;
      });
      return [
        {
          question: asks,
          pictures: set,
          more,
          less,
          differences: Object.fromEntries(
            differences.map(({ subset, mean, margin, pairs: count }) => [subset, { mean, margin, pairs: count }]),
          ),
          text:
            `${asks} ${more} − ${less}, ${set === 'synthetic' ? 'drawn scenes' : 'real pictures'}: ${words.join(', ')}; ` +
            `paired over ${pairs.length} seed${pairs.length === 1 ? ': no interval' : `s, ${100 * CONFIDENCE}% interval`}`,
        },
      ];
    }),
  );
  const figures = {
    runs: results.map(({ variant, seed, steps, seconds, parameters, adapter, synthetic, real }) => ({
      variant,
      seed,
      steps,
      seconds,
      parameters,
      adapter,
      synthetic,
      real: real ?? null,
    })),
  };
  return { tables, answers, figures };
}

/** JSON has null for NaN: a subset in which no face counts. */
function valueOf(figure: number | null): number {
  return figure ?? NaN;
}

/** Pictures one below the other. */
function stacked(pictures: readonly Picture[]): Picture {
  const width = Math.max(...pictures.map((picture) => picture.width));
  const canvas = paper(
    width,
    pictures.reduce((sum, picture) => sum + picture.height, 0),
  );
  let top = 0;
  for (const picture of pictures) {
    for (let y = 0; y < picture.height; y++) {
      const row = picture.data.subarray(4 * y * picture.width, 4 * (y + 1) * picture.width);
      canvas.data.set(row, 4 * (top + y) * width);
    }
    top += picture.height;
  }
  return canvas;
}

/** Average precision and the class loss over the minutes spent: a line for each variant, the mean of its seeds. */
function drawCurves(results: readonly RunResult[], variants: readonly Variant[]): Picture {
  const canvas = paper(1280, 960);
  const linesOf = (pointsOf: (result: RunResult) => readonly (readonly [number, number])[]): Chart['lines'] =>
    variants.flatMap((variant, i) => {
      const colour = LINE_COLOURS[i]!;
      const own = results.filter((result) => result.variant === variant).map(pointsOf);
      if (own.length === 0) return [];
      const length = Math.min(...own.map((points) => points.length));
      const mean = Array.from({ length }, (_, k) => {
        const at = (axis: 0 | 1): number => summarise(own.map((points) => points[k]![axis])).mean;
        return [at(0), at(1)] as const;
      });
      const single = own.length > 1 ? own.map((points) => ({ colour, points, opacity: 0.25 })) : [];
      return [...single, { name: variant, colour, points: mean }];
    });
  const precision = linesOf(({ log }) =>
    log.filter((entry) => 'hard' in entry).map((entry) => [entry['spent']! / 60, entry['hard']!]),
  );
  const loss = linesOf(({ log }) => {
    const steps = log.filter((entry) => 'class' in entry);
    const smoothed = smooth(
      steps.map((entry) => entry['class']!),
      Math.max(1, steps.length / 20),
    );
    return steps.map((entry, i) => [entry['spent']! / 60, smoothed[i]!]);
  });
  const end = Math.max(...results.map(({ seconds }) => seconds / 60));
  const xRange = [0, end] as const;
  const label = { xLabel: 'minutes of training', scale: 2 };
  drawChart(
    canvas,
    { ...label, title: 'average precision, hard: all faces of scenes not seen', lines: precision, xRange },
    { x1: 0, y1: 0, x2: 1280, y2: 480 },
  );
  drawChart(
    canvas,
    { ...label, title: 'class loss (of full: both heads)', lines: loss, xRange, logarithmic: true },
    { x1: 0, y1: 480, x2: 1280, y2: 960 },
  );
  return canvas;
}
