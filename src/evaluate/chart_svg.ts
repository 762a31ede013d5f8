import { type Chart, formatTick, type Range, ticks } from '../image/chart.js';
import type { Colour } from '../image/draw.js';

const WIDTH = 800;
const HEIGHT = 600;
const PLOT = { left: 72, right: 776, top: 84, bottom: 540 } as const;

/**
 * A chart with given, evenly divided axes as an SVG document of 800×600. Lines break where a number is missing; what lies
 * outside the axes is cut off.
 */
export function chartSvg(chart: Chart & { readonly xRange: Range; readonly yRange: Range }): string {
  const { title, xLabel = '', lines, xRange, yRange } = chart;
  const along = ([low, high]: Range, value: number, from: number, to: number): number =>
    Math.round((from + ((value - low) / (high - low)) * (to - from)) * 10) / 10;
  const xAt = (value: number): number => along(xRange, value, PLOT.left, PLOT.right);
  const yAt = (value: number): number => along(yRange, value, PLOT.bottom, PLOT.top);
  const css = ([r, g, b]: Colour): string => `rgb(${r},${g},${b})`;
  const text = (x: number, y: number, words: string, anchor: 'start' | 'middle' | 'end', more = ''): string =>
    `<text x="${x}" y="${y}" text-anchor="${anchor}"${more}>${escapeXml(words)}</text>`;
  const grid = (path: string): string => `<path d="${path}" stroke="#e2e2e2"/>`;

  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="14" fill="#282828">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>`,
    text(PLOT.left, 34, title, 'start', ' font-size="18"'),
    text(PLOT.right, HEIGHT - 16, xLabel, 'end'),
    `<clipPath id="plot"><rect x="${PLOT.left}" y="${PLOT.top - 2}" width="${PLOT.right - PLOT.left}" height="${PLOT.bottom - PLOT.top + 4}"/></clipPath>`,
    ...ticks(xRange, 6).flatMap((tick) => [
      grid(`M${xAt(tick)} ${PLOT.top}V${PLOT.bottom}`),
      text(xAt(tick), PLOT.bottom + 20, formatTick(tick), 'middle'),
    ]),
    ...ticks(yRange, 6).flatMap((tick) => [
      grid(`M${PLOT.left} ${yAt(tick)}H${PLOT.right}`),
      text(PLOT.left - 8, yAt(tick) + 5, formatTick(tick), 'end'),
    ]),
  ];
  let legend = PLOT.left;
  for (const { name, colour, points, opacity = 1 } of lines) {
    const style = `fill="none" stroke="${css(colour)}" stroke-width="2" stroke-linejoin="round" opacity="${opacity}"`;
    parts.push(`<path d="${pathOf(points.map(([x, y]) => [xAt(x), yAt(y)]))}" clip-path="url(#plot)" ${style}/>`);
    if (name === undefined) continue;
    parts.push(`<rect x="${legend}" y="54" width="16" height="6" fill="${css(colour)}"/>`);
    parts.push(text(legend + 22, 62, name, 'start'));
    legend += 48 + 8.5 * name.length;
  }
  return `${parts.join('\n')}\n</svg>\n`;
}

function pathOf(points: readonly (readonly [x: number, y: number])[]): string {
  let path = '';
  let last = '';
  for (const [x, y] of points) {
    const place = Number.isFinite(x) && Number.isFinite(y) ? `${x} ${y}` : '';
    if (place !== '' && place !== last) path += `${last === '' ? 'M' : 'L'}${place}`;
    last = place;
  }
  return path;
}

/** Text as it stands in XML and HTML. */
export function escapeXml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
