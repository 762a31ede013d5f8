// The table of times: what is done once, and what is done for each picture.
import { html } from '../dom.js';

/** Milliseconds by the name of a step; those that are part of the one before begin with a space. */
export type Times = ReadonlyMap<string, number>;

/** Milliseconds to three digits. */
function format(milliseconds: number): string {
  if (milliseconds >= 100) return Math.round(milliseconds).toLocaleString('en');
  return milliseconds.toFixed(milliseconds >= 10 ? 1 : 2);
}

/** Shows times in a body of the table. */
export function showTimes(body: HTMLTableSectionElement, times: Times): void {
  const rows = [...times].map(([name, milliseconds]) => {
    const head = html('th', { scope: 'row' }, name.trim());
    return html('tr', { className: name.startsWith(' ') ? 'part' : '' }, head, html('td', {}, format(milliseconds)));
  });
  body.replaceChildren(...rows);
}

/** The middle one of several values. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
