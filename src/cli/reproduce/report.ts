import { SUBSETS } from '../../evaluate/ground_truth.js';
import { pairedDifference, summarise } from '../../evaluate/statistics.js';
import { formatSummary, MISSING } from '../../evaluate/variants.js';
import { type Chart, drawChart, LINE_COLOURS, paper } from '../../image/chart.js';
import type { Picture } from '../../image/picture.js';
import type { TextTable } from '../../image/table.js';
import type { Budget } from '../../train/budget.js';
import { formatSeconds, smooth } from '../../train/metrics.js';
import { heightsOf, PHOTOGRAPH_HEIGHTS } from './material.js';
import type { RunResult, Settings, Variant } from './runs.js';

/** The report's three questions (its §2), as the difference of two of its variants. */
const QUESTIONS: readonly { readonly asks: string; readonly more: Variant; readonly less: Variant }[] = [
  { asks: 'Does the landmark task help?', more: 'context', less: 'context-no-landmark' },
  { asks: 'Does the context module help?', more: 'context', less: 'baseline' },
  { asks: 'Does the cascade help?', more: 'full', less: 'context' },
];

const CONFIDENCE = 0.95;

/** What must be known to read the answers. */
export const INTERVALS =
  'Each interval stands alone: of twenty, one misses the truth. It is over seeds, which share a backbone and the pictures that ' +
  'they are measured on.';

/** What runs are measured on, and what answers call it. */
const SETS = {
  photographs: 'photographs that no run has learnt from',
  synthetic: 'drawn scenes',
  real: 'real pictures, taught by drawn scenes alone',
  finished: 'real pictures, taught by others as well',
} as const;
type SetName = keyof typeof SETS;

/** One answer to one question on one set of pictures. */
interface Answer {
  readonly question: string;
  readonly pictures: SetName;
  readonly more: Variant;
  readonly less: Variant;
  readonly differences: Readonly<
    Record<string, { readonly mean: number; readonly margin: number; readonly pairs: number }>
  >;
  readonly text: string;
}

/** Tables, answers and figures of runs. */
export function reportOf(
  { settings, variants }: { readonly settings: Settings; readonly variants: readonly Variant[] },
  results: readonly RunResult[],
): { readonly tables: readonly TextTable[]; readonly answers: readonly Answer[]; readonly figures: object } {
  const of = (variant: Variant): readonly RunResult[] =>
    results.filter((result) => result.variant === variant).toSorted((a, b) => a.seed - b.seed);
  const sets = (Object.keys(SETS) as SetName[]).filter((set) => results.every((result) => result[set]));
  const { smallest, medium, easy, largest } = heightsOf(settings.size);
  const words = (budget: Budget): string =>
    'steps' in budget ? `${budget.steps} steps` : formatSeconds(budget.seconds);
  const start = settings.foundation
    ? `from one backbone, trained for ${words(settings.foundation)} on the same ${settings.photographs === undefined ? 'scenes' : 'photographs'} without landmarks,`
    : 'from nothing,';
  const common =
    `Width ×${settings.width}, input ${settings.size}×${settings.size}, batch ${settings.batch}, ${words(settings.budget)} of training each by the ${settings.loss} loss ` +
    `${settings.paced ? 'counted by the time of its steps on an idle machine, ' : ''}${start} on ${settings.photographs === undefined ? `${settings.scenes} drawn scenes` : 'photographs'}; mean ± standard error over n seeds. ` +
    `Adapter: ${[...new Set(results.map(({ adapter }) => adapter))].join(', ')}.`;
  const notes = {
    photographs:
      'Photographs at their own size, kept out by a hash of their names: all faces count in hard, those of at least ' +
      `${PHOTOGRAPH_HEIGHTS.medium} pixels in medium, of at least ${PHOTOGRAPH_HEIGHTS.easy} in easy.`,
    synthetic:
      `${settings.held} scenes that no run has seen, faces ${smallest.toFixed(0)} to ${largest.toFixed(0)} pixels high: ` +
      `all count in hard, those of at least ${medium.toFixed(0)} in medium, of at least ${easy.toFixed(0)} in easy.`,
    real: 'Real pictures at their own size, with the subsets of their annotations: every fourth, which no run learns from.',
    finished:
      'The same pictures, after further training' +
      `${settings.finish ? ` of ${words(settings.finish)}` : ''} in which half of each batch shows the other three of four; steps and minutes are of that.`,
  };
  const tables = sets.map((set): TextTable => {
    const rows = variants.map((variant) => {
      const own = of(variant);
      const spent = own.map((result) => (set === 'finished' ? result.finished! : result));
      const mean = (value: (one: (typeof spent)[number]) => number): number => summarise(spent.map(value)).mean;
      return [
        variant,
        ...SUBSETS.map((subset) =>
          formatSummary(summarise(own.map((result) => valueOf(result[set]![subset]))), 'error'),
        ),
        String(own.length),
        mean(({ steps }) => steps).toFixed(0),
        (mean(({ seconds }) => seconds) / 60).toFixed(2),
        mean(({ steps, seconds }) => (steps * settings.batch) / seconds).toFixed(1),
        own[0]!.parameters.toLocaleString('en'),
      ];
    });
    return {
      title: `Average precision on ${SETS[set]}`,
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
        if (!Number.isFinite(mean)) return `${subset} ${MISSING}`;
        const difference = `${subset} ${mean < 0 ? '−' : '+'}${Math.abs(mean).toFixed(3)}`;
        if (!Number.isFinite(margin)) return difference;
        const verdict = sign === 0 ? 'not told apart' : sign > 0 ? 'better' : 'worse';
        return `${difference} ± ${margin.toFixed(3)} (${verdict})`;
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
            `${asks} ${more} − ${less}, ${SETS[set]}: ${words.join(', ')}; ` +
            `paired over ${pairs.length} seed${pairs.length === 1 ? ': no interval' : `s, ${100 * CONFIDENCE}% interval`}`,
        },
      ];
    }),
  );
  const figures = {
    runs: results.map(
      ({ variant, seed, steps, seconds, parameters, adapter, synthetic, photographs, real, finished }) => ({
        variant,
        seed,
        steps,
        seconds,
        parameters,
        adapter,
        ...(photographs ? { photographs } : { synthetic }),
        real: real ?? null,
        finished: finished ?? null,
      }),
    ),
  };
  return { tables, answers, figures };
}

/** JSON has null for NaN: a subset in which no face counts. */
function valueOf(figure: number | null): number {
  return figure ?? NaN;
}

/** Pictures one below the other. */
export function stacked(pictures: readonly Picture[]): Picture {
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
export function drawCurves(results: readonly RunResult[], variants: readonly Variant[]): Picture {
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
    { ...label, title: 'average precision, hard: all faces of pictures not seen', lines: precision, xRange },
    { x1: 0, y1: 0, x2: 1280, y2: 480 },
  );
  drawChart(
    canvas,
    { ...label, title: 'class loss (of full: both heads)', lines: loss, xRange, logarithmic: true },
    { x1: 0, y1: 480, x2: 1280, y2: 960 },
  );
  return canvas;
}
