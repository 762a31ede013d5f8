import { blend, type Colour, fill } from './draw.js';
import type { Picture } from './picture.js';
import { drawText, TEXT_HEIGHT, textWidth } from './text.js';

/** One line of a chart. */
export interface Line {
  /** What the legend calls it; a line without a name is not in the legend. */
  readonly name?: string;
  readonly colour: Colour;
  /** In rising order of x; where a number is missing (NaN), or no logarithm exists, the line is broken. */
  readonly points: readonly (readonly [x: number, y: number])[];
  /** 0 to 1; 1 by default. A faint line does not stretch the axes: what lies outside them is cut off. */
  readonly opacity?: number;
}

/** A chart: axes with round numbers, a grid, lines and their names. */
export interface Chart {
  readonly title: string;
  readonly lines: readonly Line[];
  /** What runs along the horizontal axis. */
  readonly xLabel?: string;
  /** Both ends of an axis; where absent, those of the lines. */
  readonly xRange?: Range;
  readonly yRange?: Range;
  /** The horizontal axis counts: no fractions. */
  readonly counting?: boolean;
  /** The vertical axis counts in powers. */
  readonly logarithmic?: boolean;
  /** Pixels for one of the font's, and the measure of everything else; 2 by default. */
  readonly scale?: number;
}

export type Range = readonly [low: number, high: number];

/** Pixels from (x1, y1) up to, not including, (x2, y2). */
export interface Area {
  readonly x1: number;
  readonly y1: number;
  readonly x2: number;
  readonly y2: number;
}

/** A place in the picture, in pixels. */
type Spot = readonly [x: number, y: number];

const PAPER: Colour = [255, 255, 255];
export const INK: Colour = [40, 40, 40];
export const GRID: Colour = [226, 226, 226];
export const FRAME: Colour = [150, 150, 150];

/** Colours that colour-blind people tell apart (Okabe and Ito 2008), the most different first. */
export const LINE_COLOURS: readonly Colour[] = [
  [0, 114, 178],
  [213, 94, 0],
  [0, 158, 115],
  [204, 121, 167],
  [230, 159, 0],
  [86, 180, 233],
];

/** A white picture to draw charts on. */
export function paper(width: number, height: number): Picture {
  const canvas = { data: new Uint8Array(width * height * 4), width, height };
  fill(canvas, 0, 0, width, height, PAPER);
  return canvas;
}

/**
 * At most `most` round numbers (1, 2 or 5 times a power of ten apart, but no less than `least`) inside a range, in rising
 * order.
 */
export function ticks([low, high]: Range, most: number, least = 0): number[] {
  const rough = Math.max(least, (high - low) / Math.max(1, most - 1));
  if (!apart(low, high)) return [low];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= rough * (1 - 1e-9)) ?? 10);
  const marks: number[] = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) {
    marks.push(Number((i * step).toPrecision(12)));
  }
  return marks;
}

/** At most `most` round numbers for a logarithmic axis: 1, 2, 5 times powers of ten, or powers alone where they are many. */
export function logTicks([low, high]: Range, most: number): number[] {
  if (!(low > 0 && high < Infinity)) return [];
  const first = Math.floor(Math.log10(low));
  const last = Math.ceil(Math.log10(high));
  const inside = (factors: readonly number[], every: number): number[] => {
    const marks: number[] = [];
    for (let power = Math.ceil(first / every) * every; power <= last; power += every) {
      for (const factor of factors) marks.push(Number((factor * 10 ** power).toPrecision(12)));
    }
    return marks.filter((mark) => mark >= low * (1 - 1e-9) && mark <= high * (1 + 1e-9));
  };
  const fine = inside([1, 2, 5], 1);
  if (fine.length <= most) return fine.length >= 2 ? fine : ticks([low, high], most);
  for (let every = 1; ; every++) {
    const marks = inside([1], every);
    if (marks.length <= most) return marks;
  }
}

/** A tick's number in few characters: 0.05, 3e-5, 25k, 1.5M. */
export function formatTick(value: number): string {
  const size = Math.abs(value);
  const short = (number: number): string => String(Number(number.toPrecision(6)));
  if (size >= 1e6) return `${short(value / 1e6)}M`;
  if (size >= 1e4) return `${short(value / 1e3)}k`;
  if (size > 0 && size < 1e-4) return Number(value.toPrecision(6)).toExponential();
  return short(value);
}

/** Draws a chart into an area of a picture, in place. */
export function drawChart(canvas: Picture, chart: Chart, area: Area): void {
  const { title, lines, xLabel = '', counting = false, logarithmic = false, scale = 2 } = chart;
  const mark = (value: number): number => (logarithmic ? Math.log(value) : value);
  const solid = lines.filter(({ opacity = 1 }) => opacity === 1);
  const points = (solid.length > 0 ? solid : lines)
    .flatMap((line) => [...line.points])
    .filter(([x, y]) => Number.isFinite(x) && Number.isFinite(mark(y)));
  const xRange = chart.xRange ?? spread(points.map(([x]) => x));
  const yRange = chart.yRange ?? widen(spread(points.map(([, y]) => y)), logarithmic);

  const unit = TEXT_HEIGHT * scale;
  const top = area.y1 + 2 * unit;
  const bottom = area.y2 - Math.round(2 * unit);
  const most = (length: number, room: number): number => Math.max(2, Math.floor(length / room));
  const yTicks = (logarithmic ? logTicks : ticks)(yRange, most(bottom - top, 2.5 * unit));
  const yTexts = yTicks.map(formatTick);
  const left = area.x1 + unit + Math.max(0, ...yTexts.map((text) => textWidth(text, scale)));
  const right = area.x2 - unit;
  if (right - left < unit || bottom - top < unit) return;

  const xAt = (x: number): number => left + ((x - xRange[0]) / (xRange[1] - xRange[0])) * (right - left);
  const yAt = (y: number): number =>
    bottom - ((mark(y) - mark(yRange[0])) / (mark(yRange[1]) - mark(yRange[0]))) * (bottom - top);

  const stroke = Math.max(1, Math.round(scale / 2));
  for (const [i, tick] of yTicks.entries()) {
    const y = Math.round(yAt(tick));
    const text = yTexts[i]!;
    fill(canvas, left, y, right, y + stroke, GRID);
    drawText(canvas, text, left - unit / 2 - textWidth(text, scale), y - unit / 2, INK, scale);
  }
  for (const tick of ticks(xRange, most(right - left, 6 * unit), counting ? 1 : 0)) {
    const x = Math.round(xAt(tick));
    const text = formatTick(tick);
    const width = textWidth(text, scale);
    fill(canvas, x, top, x + stroke, bottom, GRID);
    drawText(canvas, text, Math.min(x - width / 2, area.x2 - width), bottom + unit / 2, INK, scale);
  }
  drawText(canvas, title, left, area.y1 + unit / 2, INK, scale);
  drawText(canvas, xLabel, right - textWidth(xLabel, scale), area.y1 + unit / 2, FRAME, scale);
  const plot = { x1: left, y1: top, x2: right, y2: bottom };
  const placed = lines.map(({ points: own }) => own.map(([x, y]): Spot => [xAt(x), yAt(y)]));
  for (const [i, { colour, opacity = 1 }] of lines.entries()) {
    trace(canvas, placed[i]!, plot, colour, opacity, opacity === 1 ? 0.6 + 0.6 * scale : 0.5 * scale);
  }
  frame(canvas, plot, stroke);
  legend(canvas, lines, placed, plot, scale);
}

/** True where rounding errors alone do not make the difference. */
function apart(low: number, high: number): boolean {
  return high - low > 1e-9 * Math.max(Math.abs(low), Math.abs(high));
}

/** The least and the greatest; 1 to 10 where there is none, half the value around where they are one. */
function spread(values: readonly number[]): Range {
  if (values.length === 0) return [1, 10];
  const low = values.reduce((least, value) => Math.min(least, value), Infinity);
  const high = values.reduce((greatest, value) => Math.max(greatest, value), -Infinity);
  const around = Math.abs(low) / 2 || 1;
  return apart(low, high) ? [low, high] : [low - around, high + around];
}

/** A twentieth more at both ends, so that no line runs along the frame; not below zero where all is above. */
function widen([low, high]: Range, logarithmic: boolean): Range {
  if (logarithmic) {
    const part = (high / low) ** 0.05;
    return [low / part, high * part];
  }
  const part = (high - low) / 20;
  return [low >= 0 ? Math.max(0, low - part) : low - part, high + part];
}

function frame(canvas: Picture, { x1, y1, x2, y2 }: Area, stroke: number): void {
  fill(canvas, x1, y1, x1 + stroke, y2, FRAME);
  fill(canvas, x1, y2 - stroke, x2, y2, FRAME);
}

/** The broken line through `points` with soft edges, inside an area; where it crosses itself it is not darker. */
function trace(
  canvas: Picture,
  points: readonly Spot[],
  area: Area,
  colour: Colour,
  opacity: number,
  width: number,
): void {
  const [x1, y1] = [Math.max(0, Math.round(area.x1)), Math.max(0, Math.round(area.y1))];
  const [x2, y2] = [Math.min(canvas.width, Math.round(area.x2)), Math.min(canvas.height, Math.round(area.y2))];
  const columns = x2 - x1;
  const rows = y2 - y1;
  if (columns <= 0 || rows <= 0) return;
  const cover = new Float32Array(columns * rows);
  const reach = width / 2 + 0.5;
  points.forEach(([bx, by], index) => {
    // A point on its own is a dot.
    const [ax, ay] = points[index - 1] ?? [NaN, NaN];
    const [sx, sy] = Number.isFinite(ax) && Number.isFinite(ay) ? [ax, ay] : [bx, by];
    if (!Number.isFinite(bx) || !Number.isFinite(by)) return;
    const alone = sx === bx && sy === by;
    const radius = alone ? 1.5 * reach : reach;
    const squared = (bx - sx) ** 2 + (by - sy) ** 2;
    const from = Math.max(y1, Math.floor(Math.min(sy, by) - radius));
    const to = Math.min(y2 - 1, Math.ceil(Math.max(sy, by) + radius));
    const first = Math.max(x1, Math.floor(Math.min(sx, bx) - radius));
    const last = Math.min(x2 - 1, Math.ceil(Math.max(sx, bx) + radius));
    for (let y = from; y <= to; y++) {
      for (let x = first; x <= last; x++) {
        const [px, py] = [x + 0.5 - sx, y + 0.5 - sy];
        const t = alone ? 0 : Math.max(0, Math.min(1, (px * (bx - sx) + py * (by - sy)) / squared));
        const share = Math.min(1, radius - Math.hypot(px - t * (bx - sx), py - t * (by - sy)));
        const at = (y - y1) * columns + x - x1;
        if (share > cover[at]!) cover[at] = share;
      }
    }
  });
  for (let i = 0; i < cover.length; i++) {
    if (cover[i]! > 0) blend(canvas, x1 + (i % columns), y1 + Math.floor(i / columns), colour, cover[i]! * opacity);
  }
}

/** Names and colours on white, in the corner of the plot where they hide least of the lines. */
function legend(
  canvas: Picture,
  lines: readonly Line[],
  placed: readonly (readonly Spot[])[],
  plot: Area,
  scale: number,
): void {
  const named = lines.flatMap(({ name, colour }) => (name === undefined ? [] : [{ name, colour }]));
  if (named.length === 0) return;
  const unit = TEXT_HEIGHT * scale;
  const width = Math.max(...named.map(({ name }) => textWidth(name, scale))) + 3 * unit;
  const height = (1.5 * named.length + 0.5) * unit;
  const spots = placed.filter((_, i) => (lines[i]!.opacity ?? 1) === 1).flatMap(between);
  const corners = [plot.y1 + unit / 2, plot.y2 - height - unit / 2].flatMap((y) =>
    [plot.x2 - width - unit / 2, plot.x1 + unit / 2].map((x) => ({
      x,
      y,
      hidden: spots.filter(([u, v]) => u > x && u < x + width && v > y && v < y + height).length,
    })),
  );
  const { x, y } = corners.reduce((best, corner) => (corner.hidden < best.hidden ? corner : best));
  fill(canvas, x, y, x + width, y + height, PAPER);
  for (const [i, { name, colour }] of named.entries()) {
    const top = y + (1.5 * i + 0.5) * unit;
    fill(canvas, x + unit / 2, top + unit / 2 - scale, x + 2 * unit, top + unit / 2 + scale, colour);
    drawText(canvas, name, x + 2.5 * unit, top, INK, scale);
  }
}

/** Spots along a line, eight for each of its parts. */
function between(spots: readonly Spot[]): Spot[] {
  return spots.flatMap(([x, y], i) => {
    const [fromX, fromY] = spots[i - 1] ?? [x, y];
    return Array.from({ length: 8 }, (_, k): Spot => [x + ((fromX - x) * k) / 8, y + ((fromY - y) * k) / 8]);
  });
}
