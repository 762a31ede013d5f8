import { escapeXml } from '../../src/evaluate/chart_svg.js';
import { formatTick, LINE_COLOURS } from '../../src/image/chart.js';
import type { Peaks } from './peaks.js';
import type { Point } from './points.js';

/** Points of one computation. */
export interface Series {
  readonly title: string;
  readonly points: readonly Point[];
}

const WIDTH = 1000;
const PANEL = 560;
const PLOT = { left: 84, right: 976, top: 96, bottom: 500 } as const;

/** What does less for a byte stands here. */
const LEAST_INTENSITY = 1 / 32;

/** Kernels of a colour. */
const KINDS: readonly (readonly [title: string, kernels: RegExp])[] = [
  ['dense convolution', /^conv2d_forward_(?!depthwise)/],
  ['its weight gradient', /^conv2d_backward_weight_(?!depthwise)/],
  ['depthwise', /depthwise/],
  ['batch norm', /^batch_norm/],
  ["Winograd's transforms", /^conv2d_winograd/],
  ['all else', /./],
];

const kindOf = ({ kernel }: Point): number => KINDS.findIndex(([, kernels]) => kernels.test(kernel));

/** `value` in giga, with three digits. */
export const giga = (value: number): string => String(Number((value / 1e9).toPrecision(3)));

const power = (value: number): number => 10 ** Math.floor(Math.log10(value));

/**
 * The roofline of an adapter (Williams, Waterman and Patterson 2009) as an SVG document, a panel for each series: floating-point
 * operations a byte to the right, operations a second upwards, both in powers of ten; lines for what arithmetic, memory
 * and the fastest cache give. A point is a kernel at a shape, its area its part of the time. What computes next to nothing
 * stands at the left edge, as high as its bytes a second would take it there; what is too slow to show, at the lower edge.
 */
export function rooflineSvg(title: string, peaks: Peaks, series: readonly Series[]): string {
  const all = series.flatMap(({ points }) => points);
  const slow = peaks.memory.at(-1)!.rate;
  const fast = Math.max(...peaks.memory.map(({ rate }) => rate));
  const left = LEAST_INTENSITY;
  const right = 10 * power(Math.max((2 * peaks.flops) / slow, ...all.map(({ intensity }) => intensity)));
  const low = power(left * slow) / 100;
  const placed = (point: Point): { readonly x: number; readonly y: number } => {
    const x = Math.max(left, point.intensity);
    return { x, y: Math.max(low, (x * point.bytes) / point.seconds) };
  };
  const high = 10 * power(Math.max(peaks.flops, ...all.map((point) => placed(point).y)));
  const along = (value: number, [from, to]: readonly [number, number], a: number, b: number): number =>
    Math.round((a + (Math.log(value / from) / Math.log(to / from)) * (b - a)) * 10) / 10;
  const xAt = (value: number): number => along(value, [left, right], PLOT.left, PLOT.right);
  const yAt = (value: number): number => along(value, [low, high], PLOT.bottom, PLOT.top);
  const css = (kind: number): string => `rgb(${LINE_COLOURS[kind]!.join(',')})`;
  const text = (x: number, y: number, words: string, anchor = 'start', more = ''): string =>
    `<text x="${x}" y="${y}" text-anchor="${anchor}"${more}>${escapeXml(words)}</text>`;
  const tens = (from: number, to: number): number[] => {
    const values: number[] = [];
    for (let exponent = Math.ceil(Math.log10(from) - 1e-9); 10 ** exponent <= to * 1.001; exponent++)
      values.push(10 ** exponent);
    return values;
  };
  const roof = (rate: number, dashes: string): string => {
    const ridge = Math.min(right, Math.max(left, peaks.flops / rate));
    const path = `M${xAt(left)} ${yAt(left * rate)}L${xAt(ridge)} ${yAt(ridge * rate)}H${PLOT.right}`;
    return `<path d="${path}" fill="none" stroke="#282828" stroke-width="2"${dashes} clip-path="url(#plot)"/>`;
  };
  const panel = ({ title: name, points }: Series, index: number): string => {
    const total = points.reduce((sum, { seconds, count }) => sum + seconds * count, 0);
    const parts = [
      text(PLOT.left, 76, name, 'start', ' font-size="16"'),
      ...tens(left, right).flatMap((tick) => [
        `<path d="M${xAt(tick)} ${PLOT.top}V${PLOT.bottom}" stroke="#e2e2e2"/>`,
        text(xAt(tick), PLOT.bottom + 20, formatTick(tick), 'middle'),
      ]),
      ...tens(low, high).flatMap((tick) => [
        `<path d="M${PLOT.left} ${yAt(tick)}H${PLOT.right}" stroke="#e2e2e2"/>`,
        text(PLOT.left - 8, yAt(tick) + 5, formatTick(tick / 1e9), 'end'),
      ]),
      text(PLOT.right, PLOT.bottom + 40, 'FLOP a byte', 'end'),
      text(PLOT.left - 60, PLOT.top - 8, 'GFLOP/s'),
      roof(slow, ''),
      roof(fast, ' stroke-dasharray="6 4"'),
    ];
    for (const point of [...points].sort((a, b) => b.seconds * b.count - a.seconds * a.count)) {
      const { x, y } = placed(point);
      const part = (point.seconds * point.count) / total;
      const kind = kindOf(point);
      const words =
        `${point.kernel}: ${point.shape}\n${point.count} × ${(1000 * point.seconds).toPrecision(3)} ms, ` +
        `${(100 * part).toFixed(1)}% of the time; ${giga(point.flops / point.seconds)} GFLOP/s, ` +
        `${giga(point.bytes / point.seconds)} GB/s, ${(100 * point.share).toFixed(0)}% of the roof`;
      parts.push(
        `<circle cx="${xAt(x)}" cy="${yAt(y)}" r="${(3 + 40 * Math.sqrt(part / Math.PI)).toFixed(1)}" fill="${css(kind)}" ` +
          `fill-opacity="0.55" stroke="${css(kind)}"><title>${escapeXml(words)}</title></circle>`,
      );
    }
    return `<g transform="translate(0 ${40 + index * PANEL})">\n${parts.join('\n')}\n</g>`;
  };
  let at: number = PLOT.left;
  const legend = KINDS.flatMap(([words], kind) => {
    if (!all.some((point) => kindOf(point) === kind)) return [];
    const x = at;
    at += 48 + 7.5 * words.length;
    return [`<circle cx="${x + 6}" cy="63" r="6" fill="${css(kind)}"/>`, text(x + 18, 68, words)];
  });
  const height = 60 + PANEL * series.length;
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="14" fill="#282828">`,
    `<rect width="${WIDTH}" height="${height}" fill="white"/>`,
    `<clipPath id="plot"><rect x="${PLOT.left}" y="${PLOT.top}" width="${PLOT.right - PLOT.left}" height="${PLOT.bottom - PLOT.top}"/></clipPath>`,
    text(PLOT.left, 34, title, 'start', ' font-size="18"'),
    ...legend,
    ...series.map(panel),
  ].join('\n')}\n</svg>\n`;
}
