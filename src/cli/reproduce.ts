import { join } from 'node:path';
import { drawTable, tableMarkdown } from '../image/table.js';
import { requestDevice } from '../node/device.js';
import { writeText } from '../node/evaluate_report.js';
import { writeImage } from '../node/files.js';
import { makeFolder } from '../node/wider_files.js';
import type { Budget } from '../train/budget.js';
import { type Command, EXIT, numberOption, parse } from './command.js';
import { drawScenes, type RealMaterial, realPictures } from './reproduce/material.js';
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

/** `retinaface reproduce`. */
export const reproduce: Command = {
  help: `retinaface reproduce [options]        (npm run -s reproduce:small)

The report's ablation in small, on a CPU: baseline, context-no-landmark, context and full, narrowed, each trained from one
backbone for the same minutes on the same drawn scenes, for several seeds, and measured by WIDER FACE's protocol on scenes
that none has seen. Answers the report's three questions as paired differences over the seeds with their 95% intervals.

  --out DIR          table.md, table.png, curves.png, and a folder for each run, with its weights after the scenes and after the
                     real pictures. Finished runs are kept: the same command goes on where it was stopped, and more seeds
                     may be added; a run that was cut short is repeated (out/reproduce)
  --foundation M     minutes (with --steps: steps) of training for the backbone that all start from, as the report starts
                     from ImageNet's: a detector without landmarks and context modules, by the published loss (8, or
                     1000 steps); 0: each starts from nothing
  --loss NAME        published (default): matching, loss and box code of the published code; report: the report's own, which
                     stays at the prior of one anchor in four in such times; report-variances: that with the published box code
  --minutes M        of training for each run (3); drawing, compiling and measuring do not count. Equal time is not equal
                     steps: the table says both
  --steps N          a number of steps in the place of minutes; then equal seeds give equal bits on one adapter
  --seeds A,B,…      (1,2,3)
  --variants A,B,…   some of the four (all)
  --real DIR         real pictures as well, DIR/NAME_annotations.json and the pictures in DIR/NAME: each run goes on for a
                     while on three of four of them, and is measured on the fourth ones before and after
  --finish M         minutes (with --steps: steps) of that further training; half of each batch are scenes, since these real
                     faces have no landmarks (1, or 150 steps); 0: measured only
  --width W          times all channels (0.25)
  --size N           edge of the input in pixels (96)
  --batch N          pictures of a step (8)
  --scenes N         scenes to learn from (1200)
  --held N           scenes to be measured on (100)
  --rate R           greatest learning rate (0.02): linear up over a twentieth of the budget, then a cosine down to 0
  --clip NORM        scale longer gradients down to it (30)
  --json             all figures and answers as JSON on stdout, in the place of Markdown
  --quiet            no words on stderr but errors

Scenes have 1 to 6 faces, 16% to 70% of the input high. hard: all faces count; medium and easy: those of the upper two
thirds, and of the uppermost third, of that range of heights on a logarithmic scale.
`,
  async run(args) {
    const { values, positionals } = parse('reproduce', args, {
      out: { type: 'string' },
      foundation: { type: 'string' },
      loss: { type: 'string' },
      minutes: { type: 'string' },
      steps: { type: 'string' },
      seeds: { type: 'string' },
      variants: { type: 'string' },
      real: { type: 'string' },
      finish: { type: 'string' },
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
    const { out = 'out/reproduce' } = values;
    if (positionals.length > 0) throw usage('options alone', positionals.join(' '), 'Leave those words out.');
    if (values.minutes !== undefined && values.steps !== undefined) {
      throw usage('--minutes or --steps', 'both', 'Leave one of them out.');
    }
    const number = (name: 'minutes' | 'rate' | 'clip' | 'width', fallback: number, max?: number): number =>
      numberOption('reproduce', name, values[name], { min: 1e-6, ...(max === undefined ? {} : { max }) }) ?? fallback;
    const count = (name: 'size' | 'batch' | 'scenes' | 'held', fallback: number, min = 1): number =>
      numberOption('reproduce', name, values[name], { min, integer: true }) ?? fallback;
    const steps = numberOption('reproduce', 'steps', values.steps, { min: 1, integer: true });
    const inSteps = steps !== undefined;
    const foundation =
      numberOption('reproduce', 'foundation', values.foundation, { min: 0, integer: inSteps }) ?? (inSteps ? 1000 : 8);
    const finish =
      numberOption('reproduce', 'finish', values.finish, { min: 0, integer: inSteps }) ?? (inSteps ? 150 : 1);
    if (values.finish !== undefined && values.real === undefined) {
      throw usage('--finish beside --real', '--finish alone', 'Name real pictures with --real DIR.');
    }
    const budgetOf = (amount: number): Budget => (inSteps ? { steps: amount } : { seconds: 60 * amount });
    const seeds = (values.seeds ?? '1,2,3')
      .split(',')
      .map((text) => numberOption('reproduce', 'seeds', text, { min: 0, max: MAX_SEED, integer: true })!);
    const variants = values.variants?.split(',') ?? [...VARIANTS];
    const strange = variants.find((name) => !(VARIANTS as readonly string[]).includes(name));
    if (strange !== undefined)
      throw usage(`--variants of ${VARIANTS.join(', ')}`, `'${strange}'`, 'Name some of them.');
    const loss = LOSSES.find((name) => name === (values.loss ?? LOSSES[0]));
    if (!loss) throw usage(`--loss ${LOSSES.join(' or ')}`, `'${values.loss ?? ''}'`, 'Name one of them.');
    const batch = count('batch', 8, values.real === undefined ? 1 : 2);
    const teach = values.real !== undefined && finish > 0;
    const real = values.real === undefined ? undefined : await realPictures(values.real, teach);
    return reproduceSmall({
      out,
      settings: {
        budget: budgetOf(steps ?? number('minutes', 3)),
        foundation: foundation === 0 ? null : budgetOf(foundation),
        finish: teach ? budgetOf(finish) : null,
        real: real?.identity ?? null,
        loss,
        width: number('width', 0.25, 1),
        size: count('size', 96, 64),
        batch,
        scenes: count('scenes', 1200),
        held: count('held', 100),
        rate: number('rate', 0.02),
        clip: number('clip', 30),
      },
      seeds: [...new Set(seeds)],
      variants: VARIANTS.filter((name) => variants.includes(name)),
      real,
      json: values.json === true,
      say: (words) => {
        if (values.quiet !== true) process.stderr.write(words);
      },
    });
  },
};

interface Reproduction extends Study {
  readonly seeds: readonly number[];
  readonly variants: readonly Variant[];
  readonly real: RealMaterial | undefined;
  readonly json: boolean;
}

async function reproduceSmall(reproduction: Reproduction): Promise<number> {
  const { out, settings, seeds, variants, real, say } = reproduction;
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
    const scenes = await drawScenes(settings, say);
    const backbone = await sharedBackbone(reproduction, { device, scenes });
    for (const [index, { variant, seed }] of missing.entries()) {
      say(`${variant}, seed ${seed} (${index + 1} of ${missing.length})\n`);
      results.push(
        await trainOne(reproduction, {
          variant,
          seed,
          taught: lessons.get(variant)!,
          device,
          scenes,
          real,
          backbone,
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
