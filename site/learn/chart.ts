// A curve that grows: values over steps, as vectors.
import { svg } from '../dom.js';

/** What a chart shows. */
export interface ChartOptions {
  /** What it is called by screen readers. */
  readonly name: string;
  /** The top of the axis; by default it follows the values. */
  readonly top?: number;
  /** A line to reach. */
  readonly goal?: number;
  /** Digits behind the point. */
  readonly digits: number;
}

export interface Point {
  readonly step: number;
  readonly value: number;
}

const MARGIN = { left: 34, right: 10, top: 8, bottom: 22 };
/** Points of a curve, about as many as it has pixels. */
const MOST_POINTS = 400;

export class Chart {
  readonly #root: SVGSVGElement;
  readonly #options: ChartOptions;
  #curve: readonly Point[] = [];
  #each: readonly Point[] = [];
  #waiting = false;

  constructor(place: HTMLElement, options: ChartOptions) {
    this.#options = options;
    this.#root = svg('svg', { role: 'img' });
    place.replaceChildren(this.#root);
    new ResizeObserver(() => {
      this.#draw();
    }).observe(this.#root);
    this.#draw();
  }

  /** Shows a curve, and the single values behind it. */
  show(curve: readonly Point[], each: readonly Point[] = []): void {
    this.#curve = curve;
    this.#each = each;
    if (this.#waiting) return;
    this.#waiting = true;
    requestAnimationFrame(() => {
      this.#waiting = false;
      this.#draw();
    });
  }

  #draw(): void {
    const { name, goal, digits } = this.#options;
    const { width, height } = this.#root.getBoundingClientRect();
    if (width < 80) return;
    const last = this.#curve.at(-1);
    const now = last ? `now ${last.value.toFixed(digits)} at step ${last.step}` : 'nothing yet';
    this.#root.setAttribute('aria-label', `${name} over steps: ${now}`);
    this.#root.setAttribute('viewBox', `0 0 ${width} ${height}`);
    const right = width - MARGIN.right;
    const bottom = height - MARGIN.bottom;
    const top = this.#options.top ?? niceTop(Math.max(1, ...this.#curve.map(({ value }) => value)));
    const steps = niceTop(Math.max(50, last?.step ?? 0));
    const x = (step: number): number => MARGIN.left + ((right - MARGIN.left) * step) / steps;
    const y = (value: number): number => bottom - ((bottom - MARGIN.top) * Math.min(value, top)) / top;
    const parts: SVGElement[] = [];
    for (let i = 0; i <= 4; i++) {
      const value = (top * i) / 4;
      parts.push(
        svg('line', { class: 'rule', x1: MARGIN.left, x2: right, y1: y(value), y2: y(value) }),
        svg('text', { x: MARGIN.left - 6, y: y(value) + 4, 'text-anchor': 'end' }, String(Number(value.toFixed(2)))),
      );
    }
    for (const step of [0, steps / 2, steps]) {
      const anchor = step === 0 ? 'start' : step === steps ? 'end' : 'middle';
      parts.push(svg('text', { x: x(step), y: height - 5, 'text-anchor': anchor }, step.toLocaleString('en')));
    }
    if (goal !== undefined) {
      parts.push(svg('line', { class: 'goal', x1: MARGIN.left, x2: right, y1: y(goal), y2: y(goal) }));
    }
    const path = (points: readonly Point[]): string =>
      thinned(points)
        .map(({ step, value }) => `${x(step).toFixed(1)},${y(value).toFixed(1)}`)
        .join(' ');
    if (this.#each.length > 1) parts.push(svg('polyline', { class: 'each', points: path(this.#each) }));
    if (this.#curve.length > 1) parts.push(svg('polyline', { class: 'curve', points: path(this.#curve) }));
    if (last) parts.push(svg('circle', { class: 'now', cx: x(last.step), cy: y(last.value), r: 3.5 }));
    this.#root.replaceChildren(...parts);
  }
}

/** The next round number: of one digit but for zeros. */
function niceTop(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 3, 4, 5, 6, 8, 10].find((factor) => factor * power >= value) ?? 10) * power;
}

/** At most as many points as can be told apart, the last among them. */
function thinned(points: readonly Point[]): readonly Point[] {
  const every = Math.ceil(points.length / MOST_POINTS);
  return every <= 1 ? points : points.filter((_, i) => (points.length - 1 - i) % every === 0);
}
