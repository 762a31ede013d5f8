import type { TextTable } from '../image/table.js';
import { LabelError } from '../gpu/errors.js';
import { SUBSETS, type Subset } from './ground_truth.js';
import { summarise, type Summary } from './statistics.js';

/** Average precision on the three subsets; NaN where no face counts. */
export type Figures = Readonly<Record<Subset, number>>;

const figures = (easy: number, medium: number, hard: number): Figures => ({ easy, medium, hard });

/** One variant as others measured it. */
export interface Published {
  /** By the reproducibility report, its Table 2. */
  readonly report?: Figures;
  /** By the authors of RetinaFace, in the row of that table that has the same parts, as far as there is one. */
  readonly original?: Figures;
}

/**
 * Table 2 of the report, by the configurations' names. The original adds deformable convolutions with the context module,
 * then the cascade, then landmarks: its rows stand beside the variants with as many of their parts.
 */
export const TABLE_2: Readonly<Record<string, Published>> = {
  baseline: { report: figures(0.842, 0.864, 0.769), original: figures(0.958, 0.952, 0.899) },
  'context-no-landmark': { report: figures(0.865, 0.878, 0.767), original: figures(0.961, 0.956, 0.903) },
  context: { report: figures(0.873, 0.883, 0.783) },
  full: { report: figures(0.842, 0.854, 0.752), original: figures(0.966, 0.959, 0.912) },
};

/** A training and its evaluation. */
export interface VariantRun {
  /** What errors and JSON call it. */
  readonly source: string;
  readonly configuration: string;
  readonly width: number;
  /** All that makes runs comparable but the seed, as text: runs of one text are one row. */
  readonly options: string;
  readonly seed: number;
  /** Passes over the pictures that are done, and those that were asked for; nothing for a run that was limited by time. */
  readonly epochs?: { readonly done: number; readonly planned: number };
  /** Pictures of a step. */
  readonly batch: number;
  /** Adapters that it ran on; none where the run does not say. */
  readonly adapters: readonly string[];
  /** Over the whole training; NaN where no step was logged. */
  readonly imagesPerSecond: number;
  readonly evaluation?: VariantEvaluation | undefined;
}

export interface VariantEvaluation extends Figures {
  /** How it was searched, as text without the weights. */
  readonly protocol: string;
}

/** All runs of one variant that differ by their seed alone. */
export interface VariantRow extends Published {
  readonly variant: string;
  readonly runs: readonly VariantRun[];
  /** Of the runs that were evaluated. */
  readonly precision: Readonly<Record<Subset, Summary>>;
  readonly imagesPerSecond: Summary;
  readonly protocol: string | undefined;
}

/** What a variant is called: its configuration, and its width where that is not the whole. */
export function variantName({ configuration, width }: Pick<VariantRun, 'configuration' | 'width'>): string {
  return width === 1 ? configuration : `${configuration} ×${width}`;
}

/**
 * Rows in the order of the report's table, then by name and by first run.
 * @throws LabelError where two runs of a row have the same seed, or were evaluated differently: no mean is one of both.
 */
export function variantRows(runs: readonly VariantRun[]): VariantRow[] {
  const groups = new Map<string, VariantRun[]>();
  for (const run of runs) {
    const key = JSON.stringify([run.configuration, run.width, run.options]);
    groups.set(key, [...(groups.get(key) ?? []), run]);
  }
  const order = Object.keys(TABLE_2);
  const place = (configuration: string): number => {
    const at = order.indexOf(configuration);
    return at < 0 ? order.length : at;
  };
  return [...groups.values()].map(rowOf).toSorted((a, b) => {
    const [one, other] = [a.runs[0]!, b.runs[0]!];
    return (
      place(one.configuration) - place(other.configuration) || (a.variant < b.variant ? -1 : +(a.variant > b.variant))
    );
  });
}

function rowOf(runs: readonly VariantRun[]): VariantRow {
  const variant = variantName(runs[0]!);
  const problem = (expected: string, got: string, remedy: string): LabelError =>
    new LabelError({ operation: `put runs of ${variant} into one row`, expected, got, remedy });
  const bySeed = new Map<number, VariantRun>();
  for (const run of runs) {
    const other = bySeed.get(run.seed);
    if (other) {
      const got = `seed ${run.seed} in ${other.source} and in ${run.source}`;
      throw problem('every seed once', got, 'Leave one of them out.');
    }
    bySeed.set(run.seed, run);
  }
  const evaluated = runs.flatMap(({ source, evaluation }) => (evaluation ? [{ source, evaluation }] : []));
  const [first] = evaluated;
  const other = evaluated.find(({ evaluation }) => evaluation.protocol !== first!.evaluation.protocol);
  if (first && other) {
    throw problem(
      'evaluations by one protocol on one set',
      `${first.evaluation.protocol} in ${first.source} and ${other.evaluation.protocol} in ${other.source}`,
      'Evaluate all of them alike.',
    );
  }
  const precisionOf = (subset: Subset): Summary => summarise(evaluated.map(({ evaluation }) => evaluation[subset]));
  return {
    variant,
    runs,
    precision: { easy: precisionOf('easy'), medium: precisionOf('medium'), hard: precisionOf('hard') },
    imagesPerSecond: summarise(
      runs.map(({ imagesPerSecond }) => imagesPerSecond).filter((rate) => Number.isFinite(rate)),
    ),
    protocol: first?.evaluation.protocol,
    ...TABLE_2[runs[0]!.configuration],
  };
}

/** What stands where there is nothing to say. */
export const MISSING = '–';

/** A mean and the spread around it (`deviation` or `error`) in as many digits as the report has; a dash for none. */
export function formatSummary(summary: Summary, spread: 'deviation' | 'error' = 'deviation'): string {
  if (!Number.isFinite(summary.mean)) return MISSING;
  const around = summary[spread];
  return summary.mean.toFixed(3) + (Number.isFinite(around) ? ` ± ${around.toFixed(3)}` : '');
}

/** Three figures as the report prints them. */
function formatFigures(three: Figures | undefined): string {
  return three ? SUBSETS.map((subset) => three[subset].toFixed(3).slice(1)).join(' / ') : MISSING;
}

/** The rows as a table of texts: measured, then the report's and the original's figures, then how it came about. */
export function variantTable(rows: readonly VariantRow[]): TextTable {
  const each = (values: readonly string[]): string => [...new Set(values)].join(', ') || MISSING;
  const protocols = [...new Set(rows.flatMap(({ protocol }) => protocol ?? []))];
  return {
    header: ['variant', ...SUBSETS, 'n', 'report', 'original', 'epochs', 'batch', 'seeds', 'adapter', 'images/s'],
    rows: rows.map((row) => {
      const { runs, precision } = row;
      return [
        row.variant,
        ...SUBSETS.map((subset) => formatSummary(precision[subset])),
        String(runs.filter(({ evaluation }) => evaluation).length),
        formatFigures(row.report),
        formatFigures(row.original),
        each(
          runs.map(({ epochs }) => {
            if (!epochs) return MISSING;
            return epochs.done === epochs.planned ? `${epochs.done}` : `${epochs.done} of ${epochs.planned}`;
          }),
        ),
        each(runs.map(({ batch }) => String(batch))),
        each(runs.map(({ seed }) => String(seed))),
        each(runs.flatMap(({ adapters }) => adapters)),
        Number.isFinite(row.imagesPerSecond.mean) ? row.imagesPerSecond.mean.toPrecision(3) : MISSING,
      ];
    }),
    notes: [
      'Average precision on easy, medium, hard; mean ± standard deviation over n seeds. report: Table 2 of the ' +
        'reproducibility report. original: the row of RetinaFace with as many parts (its context modules are deformable; ' +
        'it has no row of context and landmarks without the cascade). Both on the whole validation set of WIDER FACE.',
      ...protocols.map((protocol) => `Evaluated: ${protocol}`),
    ],
  };
}

/** The rows as `--json` prints them; NaN becomes null, as JSON has it. */
export function variantJson(rows: readonly VariantRow[]): object[] {
  return rows.map(({ variant, runs, precision, imagesPerSecond, protocol, report, original }) => ({
    variant,
    ...Object.fromEntries(
      SUBSETS.map((subset) => {
        const { mean, deviation } = precision[subset];
        return [subset, Number.isFinite(mean) ? { mean, deviation } : null];
      }),
    ),
    n: runs.filter(({ evaluation }) => evaluation).length,
    report: report ?? null,
    original: original ?? null,
    imagesPerSecond: imagesPerSecond.mean,
    protocol: protocol === undefined ? null : (JSON.parse(protocol) as unknown),
    runs: runs.map(({ source, seed, epochs, batch, adapters, imagesPerSecond: rate, evaluation }) => ({
      folder: source,
      seed,
      epochs: epochs ?? null,
      batch,
      adapters,
      imagesPerSecond: rate,
      ...Object.fromEntries(SUBSETS.map((subset) => [subset, evaluation?.[subset] ?? null])),
    })),
  }));
}
