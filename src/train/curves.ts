import { type Chart, drawChart, type Line, LINE_COLOURS, paper } from '../image/chart.js';
import type { Colour } from '../image/draw.js';
import type { Picture } from '../image/picture.js';
import type { LogEntry } from './event_log.js';
import { smooth } from './metrics.js';

/** The parts of the loss, as the log and the legend name them. */
const LOSSES: readonly (readonly [name: string, colour: Colour])[] = [
  ['total', [60, 60, 60]],
  ['class', LINE_COLOURS[0]!],
  ['box', LINE_COLOURS[1]!],
  ['landmark', LINE_COLOURS[2]!],
];

/** Points of a line, more than a picture has columns. */
const MOST_POINTS = 2000;

/**
 * The course of a training as a picture: losses, smoothed over a fortieth of it, with the single values behind; learning
 * rate, norm of the gradient and average precision (entries whose names start with `AP`) where the log has them.
 */
export function drawCurves(
  entries: readonly LogEntry[],
  { width = 1280, height = 960 }: { readonly width?: number; readonly height?: number } = {},
): Picture {
  const canvas = paper(width, height);
  const charts: Chart[] = [lossChart(entries)];
  if (has(entries, 'rate')) {
    charts.push(chartOf('learning rate', [{ colour: LINE_COLOURS[0]!, points: pointsOf(entries, 'rate') }]));
  }
  if (has(entries, 'gradientNorm')) {
    charts.push(chartOf('norm of the gradient', smoothedLines(entries, 'gradientNorm', undefined, LINE_COLOURS[3]!)));
  }
  const scores = [...new Set(entries.flatMap((entry) => Object.keys(entry)))].filter((key) => key.startsWith('AP'));
  if (scores.length > 0) {
    const lines = scores.map((name, i) => ({
      name,
      colour: LINE_COLOURS[i % LINE_COLOURS.length]!,
      points: pointsOf(entries, name),
    }));
    charts.push({ ...chartOf('average precision', lines), yRange: [0, 1], logarithmic: false });
  }
  const scale = Math.max(1, Math.round(Math.min(width, height) / 480));
  const [first, ...others] = charts as [Chart, ...Chart[]];
  const split = others.length > 0 ? Math.round(height * 0.62) : height;
  drawChart(canvas, { ...first, scale }, { x1: 0, y1: 0, x2: width, y2: split });
  for (const [i, chart] of others.entries()) {
    const x1 = Math.round((width * i) / others.length);
    const x2 = Math.round((width * (i + 1)) / others.length);
    drawChart(canvas, { ...chart, scale }, { x1, y1: split, x2, y2: height });
  }
  return canvas;
}

function lossChart(entries: readonly LogEntry[]): Chart {
  const lines = LOSSES.filter(([name]) => has(entries, name)).flatMap(([name, colour]) =>
    smoothedLines(entries, name, name, colour),
  );
  // All faint lines behind all others.
  const order = lines.toSorted((a, b) => (a.opacity ?? 1) - (b.opacity ?? 1));
  return { ...chartOf(lines.length > 0 ? 'loss' : 'loss: no step yet', order), xLabel: 'steps' };
}

/** A chart that counts in powers where its lines span more than one. */
function chartOf(title: string, lines: readonly Line[]): Chart {
  const values = lines.flatMap(({ points, opacity = 1 }) => (opacity === 1 ? points.map(([, y]) => y) : []));
  const finite = values.filter(Number.isFinite);
  const low = finite.reduce((least, value) => Math.min(least, value), Infinity);
  const high = finite.reduce((greatest, value) => Math.max(greatest, value), -Infinity);
  return { title, lines, counting: true, logarithmic: low > 0 && high > 8 * low };
}

const has = (entries: readonly LogEntry[], key: string): boolean => entries.some((entry) => key in entry);

/** The values of one key over the steps, every so many of them. */
function pointsOf(entries: readonly LogEntry[], key: string): (readonly [number, number])[] {
  return thin(entries.filter((entry) => key in entry).map((entry) => [entry.step, entry[key]!]));
}

function smoothedLines(entries: readonly LogEntry[], key: string, name: string | undefined, colour: Colour): Line[] {
  const own = entries.filter((entry) => key in entry);
  const values = own.map((entry) => entry[key]!);
  const smoothed = smooth(values, Math.max(1, own.length / 40));
  const last = smoothed.at(-1) ?? NaN;
  return [
    { colour, points: pointsOf(entries, key), opacity: 0.25 },
    {
      ...(name === undefined ? {} : { name: `${name} ${last.toPrecision(3)}` }),
      colour,
      points: thin(own.map(({ step }, i) => [step, smoothed[i]!])),
    },
  ];
}

/** At most so many points, the last one among them. */
function thin(points: readonly (readonly [number, number])[]): (readonly [number, number])[] {
  const apart = Math.ceil(points.length / MOST_POINTS);
  return points.filter((_, i) => (points.length - 1 - i) % apart === 0);
}
