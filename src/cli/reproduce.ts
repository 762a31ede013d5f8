import { join } from 'node:path';
import { drawTable, tableMarkdown } from '../image/table.js';
import { requestDevice } from '../node/device.js';
import { writeText } from '../node/evaluate_report.js';
import { makeFolder, writeImage } from '../node/files.js';
import type { Budget } from '../train/budget.js';
import { type Command, defineCommand, EXIT } from './command.js';
import { flag, listOf, number, oneOf, parsed, readNumber, text, texts, whole } from './options.js';
import { drawScenes, type RealMaterial, realPictures, teachPhotographs, teachScenes } from './reproduce/material.js';
import { measuredPaces } from './reproduce/paces.js';
import { drawCurves, INTERVALS, reportOf, stacked } from './reproduce/report.js';
import {
  finishedRun,
  LOSSES,
  MAX_SEED,
  type RunResult,
  sharedBackbone,
  type Study,
  taught,
  trainOne,
  usage,
  type Variant,
  VARIANTS,
} from './reproduce/runs.js';
import { labelsOption, shareOption } from './train/options.js';
import { TrainingSources } from './train/sources.js';

/** `retinaface reproduce`. */
export const reproduce: Command = defineCommand({
  name: 'reproduce',
  usage: '[options]        (npm run -s reproduce:small)',
  about: `The report's ablation in small, on a CPU: baseline, context-no-landmark, context and full, narrowed, each trained from one
backbone for the same minutes on the same drawn scenes, for several seeds, and measured by WIDER FACE's protocol on scenes
that none has seen; or on photographs with labels, which take the place of the scenes. Answers the report's three
questions as paired differences over the seeds with their 95% intervals.`,
  options: {
    out: text({
      value: 'DIR',
      fallback: 'out/reproduce',
      help:
        'table.md, table.png, curves.png, and a folder for each run, with its weights after the scenes and after the real ' +
        'pictures. Finished runs are kept: the same command goes on where it was stopped, and more seeds may be added; a run ' +
        'that was cut short is repeated',
    }),
    foundation: number({
      value: 'M',
      min: 0,
      help:
        'minutes (with --steps: steps) of training for the backbone that all start from, as the report starts from ' +
        "ImageNet's: a detector without landmarks and context modules, by the published loss (8, or 1000 steps); 0: each " +
        'starts from nothing',
    }),
    loss: oneOf(LOSSES, {
      value: 'NAME',
      fallback: LOSSES[0],
      help:
        "published: matching, loss and box code of the published code; report: the report's own, which stays at the prior " +
        'of one anchor in four in such times; report-variances: that with the published box code',
    }),
    minutes: number({
      value: 'M',
      min: 1e-6,
      help:
        'of training for each run (3); drawing, compiling and measuring do not count. Equal time is not equal steps: the ' +
        'table says both',
    }),
    paced: flag({
      help:
        "count minutes by steps, at the time that each network's takes with nothing beside it: measured first, kept in " +
        'paces.json. Runs may then share the machine with other work, and equal seeds give equal bits on one adapter',
    }),
    steps: whole({
      value: 'N',
      min: 1,
      help: 'a number of steps in the place of minutes; then equal seeds give equal bits on one adapter',
    }),
    seeds: listOf((each, command, name) => readNumber(command, name, each, { min: 0, max: MAX_SEED, integer: true }), {
      value: 'A,B,…',
      fallback: '1,2,3',
      help: 'each variant is trained from each of them',
    }),
    variants: listOf(variantOption, { value: 'A,B,…', help: 'some of the four (all)' }),
    real: text({
      value: 'DIR',
      help:
        'real pictures as well, DIR/NAME_annotations.json and the pictures in DIR/NAME: each run goes on for a while on three ' +
        'of four of them, and is measured on the fourth ones before and after',
    }),
    finish: number({
      value: 'M',
      min: 0,
      help:
        'minutes (with --steps: steps) of that further training; half of each batch are scenes, since these real faces have ' +
        'no landmarks (1, or 150 steps); 0: measured only',
    }),
    images: texts({
      heading: 'Photographs in the place of scenes, as often as there are sources (npm run -s reproduce:real):',
      value: 'DIR',
      help: 'a folder of pictures, with',
    }),
    labels: texts({
      value: 'FILE',
      help: '  their faces, and ,weight=W or ,holdout=no behind it, as `train` reads them',
    }),
    holdout: parsed(shareOption, {
      value: 'SHARE',
      shownDefault: '20%',
      help: 'this share of the photographs is kept out of training, told by a hash of their names',
    }),
    width: number({
      heading: 'All of them:',
      value: 'W',
      min: 1e-6,
      max: 1,
      fallback: 0.25,
      help: 'times all channels',
    }),
    size: whole({ value: 'N', min: 64, fallback: 96, help: 'edge of the input in pixels' }),
    batch: whole({ value: 'N', min: 1, fallback: 8, help: 'pictures of a step' }),
    scenes: whole({ value: 'N', min: 1, fallback: 1200, help: 'scenes to learn from' }),
    held: whole({ value: 'N', min: 1, fallback: 100, help: 'scenes to be measured on; photographs, at most' }),
    rate: number({
      value: 'R',
      min: 1e-6,
      fallback: 0.02,
      help: 'greatest learning rate: linear up over a twentieth of the budget, then a cosine down to 0',
    }),
    clip: number({ value: 'NORM', min: 1e-6, fallback: 30, help: 'scale longer gradients down to it' }),
    json: flag({ help: 'all figures and answers as JSON on stdout, in the place of Markdown' }),
    quiet: flag({ help: 'no words on stderr but errors' }),
  },
  notes: `Scenes have 1 to 6 faces, 16% to 70% of the input high. hard: all faces count; medium and easy: those of the upper two
thirds, and of the uppermost third, of that range of heights on a logarithmic scale.`,
  async run({ steps, minutes, paced, json, quiet, out, seeds, variants = VARIANTS, ...values }) {
    if (minutes !== undefined && steps !== undefined) {
      throw usage('--minutes or --steps', 'both', 'Leave one of them out.');
    }
    const inSteps = steps !== undefined;
    if (paced && inSteps) throw usage('--paced with minutes', '--paced and --steps', 'Leave --paced out.');
    for (const name of ['foundation', 'finish'] as const) {
      if (inSteps && !Number.isInteger(values[name] ?? 0)) {
        throw usage(`--${name} to be a whole number beside --steps`, String(values[name]), 'Pass steps, not minutes.');
      }
    }
    const { foundation = inSteps ? 1000 : 8, finish = inSteps ? 150 : 1, real: folder } = values;
    if (values.finish !== undefined && folder === undefined) {
      throw usage('--finish beside --real', '--finish alone', 'Name real pictures with --real DIR.');
    }
    const { loss, width, size, batch, scenes, held, rate, clip } = values;
    if (folder !== undefined && batch < 2) {
      throw usage('--batch to be at least 2 beside --real', String(batch), 'Half of each batch are scenes.');
    }
    const { images = [], labels = [], holdout = 0.2 } = values;
    if (images.length !== labels.length || (labels.length > 0 && folder !== undefined)) {
      throw usage(
        '--images as often as --labels, and not beside --real',
        `${images.length} and ${labels.length}${folder === undefined ? '' : ', beside --real'}`,
        'Name the folder of the pictures of each file of labels.',
      );
    }
    const say = (words: string): void => {
      if (!quiet) process.stderr.write(words);
    };
    const sources =
      labels.length === 0
        ? undefined
        : await TrainingSources.read(
            {
              labels: labels.map((path, i) => ({ ...labelsOption('--labels', path), images: images[i]! })),
              scenes: undefined,
              sceneSize: size,
              heldSceneSize: size,
              holdout,
              evaluationScenes: held,
              seed: 1,
            },
            say,
          );
    const weights = labels.map((path) => labelsOption('--labels', path).weight);
    const photographs =
      sources && `${sources.digest}, ${sources.rule ?? 'none held out'}, weights ${weights.join(' ')}`;
    const budgetOf = (amount: number): Budget => (inSteps ? { steps: amount } : { seconds: 60 * amount });
    const teach = folder !== undefined && finish > 0;
    const real = folder === undefined ? undefined : await realPictures(folder, teach);
    return reproduceSmall({
      out,
      settings: {
        budget: budgetOf(steps ?? minutes ?? 3),
        foundation: foundation === 0 ? null : budgetOf(foundation),
        finish: teach ? budgetOf(finish) : null,
        real: real?.identity ?? null,
        ...(photographs === undefined ? {} : { photographs }),
        loss,
        ...(paced ? { paced } : {}),
        width,
        size,
        batch,
        scenes,
        held,
        rate,
        clip,
      },
      seeds: [...new Set(seeds)],
      variants: VARIANTS.filter((name) => variants.includes(name)),
      real,
      sources,
      json,
      say,
    });
  },
});

function variantOption(given: string): Variant {
  const found = VARIANTS.find((name) => name === given);
  if (found !== undefined) return found;
  throw usage(`--variants of ${VARIANTS.join(', ')}`, `'${given}'`, 'Name some of them.');
}

interface Reproduction extends Study {
  readonly seeds: readonly number[];
  readonly variants: readonly Variant[];
  readonly real: RealMaterial | undefined;
  /** What is taught in the place of scenes. */
  readonly sources: TrainingSources | undefined;
  readonly json: boolean;
}

async function reproduceSmall(reproduction: Reproduction): Promise<number> {
  const { out, settings, seeds, variants, real, sources, say } = reproduction;
  const wanted = seeds.flatMap((seed) => variants.map((variant) => ({ variant, seed })));
  const lessons = new Map(variants.map((variant) => [variant, taught(variant, settings)]));
  await makeFolder(out);
  const results: RunResult[] = [];
  for (const { variant, seed } of wanted) {
    const kept = await finishedRun(reproduction, variant, seed);
    if (kept) results.push(kept);
  }
  const isKept = (variant: Variant, seed: number): boolean =>
    results.some((result) => result.variant === variant && result.seed === seed);
  const missing = wanted.filter(({ variant, seed }) => !isKept(variant, seed));
  if (results.length > 0) say(`${results.length} of ${wanted.length} runs kept from before\n`);
  if (missing.length > 0) {
    const device = await requestDevice();
    const scenes = sources ? undefined : await drawScenes(settings, say);
    const teaching = scenes ? teachScenes(scenes) : await teachPhotographs(sources!, { most: settings.held, say });
    if (sources) say(sources.table());
    const kept = results.length;
    const paces = settings.paced ? await measuredPaces(reproduction, { device, teaching, kept }) : undefined;
    const backbone = await sharedBackbone(reproduction, { device, teaching, kept, pace: paces?.backbone });
    for (const [index, { variant, seed }] of missing.entries()) {
      say(`${variant}, seed ${seed} (${index + 1} of ${missing.length})\n`);
      results.push(
        await trainOne(reproduction, {
          variant,
          seed,
          taught: lessons.get(variant)!,
          device,
          teaching,
          scenes: scenes?.training ?? [],
          real,
          backbone,
          pace: paces?.[variant],
        }),
      );
    }
  }
  const report = reportOf(reproduction, results);
  const { tables, answers } = report;
  const asked =
    answers.length === 0
      ? ''
      : `## The report's questions\n\n${INTERVALS}\n\n${answers.map(({ text }) => `- ${text}\n`).join('')}`;
  const markdown = `${tables.map((each) => `${tableMarkdown(each)}\n`).join('')}${asked}`;
  await writeText(join(out, 'table.md'), markdown);
  await writeImage(join(out, 'table.png'), stacked(tables.map((each) => drawTable(each))));
  await writeImage(join(out, 'curves.png'), drawCurves(results, variants));
  say(`${join(out, 'table.md')}, table.png and curves.png are written\n`);
  process.stdout.write(reproduction.json ? `${JSON.stringify({ settings, ...report.figures, answers })}\n` : markdown);
  return EXIT.done;
}
