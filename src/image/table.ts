import { fill } from './draw.js';
import { INK, FRAME, GRID, paper } from './chart.js';
import type { Picture } from './picture.js';
import { drawText, TEXT_HEIGHT, textWidth } from './text.js';

/** A table of texts. The first column is of names, the others of figures. */
export interface TextTable {
  readonly title?: string;
  readonly header: readonly string[];
  /** As long as the header each. */
  readonly rows: readonly (readonly string[])[];
  /** Lines below it. */
  readonly notes?: readonly string[];
}

/** The table in Markdown, its columns aligned for those who read it as text; notes are paragraphs below it. */
export function tableMarkdown({ title, header, rows, notes = [] }: TextTable): string {
  const cells = [header, ...rows].map((row) => row.map((cell) => cell.replaceAll('|', '\\|')));
  const widths = header.map((_, column) => Math.max(3, ...cells.map((row) => (row[column] ?? '').length)));
  const line = (row: readonly string[]): string => {
    const padded = widths.map((width, column) => {
      const cell = row[column] ?? '';
      return column === 0 ? cell.padEnd(width) : cell.padStart(width);
    });
    return `| ${padded.join(' | ')} |\n`;
  };
  const rule = widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return (
    (title === undefined ? '' : `## ${title}\n\n`) +
    line(cells[0]!) +
    `| ${rule.join(' | ')} |\n` +
    cells.slice(1).map(line).join('') +
    notes.map((note) => `\n${note}\n`).join('')
  );
}

/** The table as a picture, as large as it needs to be. `scale`: pixels for one of the font's. */
export function drawTable(table: TextTable, scale = 2): Picture {
  const { title, header, rows, notes = [] } = table;
  const unit = TEXT_HEIGHT * scale;
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => textWidth(row[column] ?? '', scale))));
  const inside = widths.reduce((sum, width) => sum + width + 2 * unit, 0);
  // Notes run as wide as the table, or as one of sixty characters where that is narrower.
  const columns = Math.floor(Math.max(inside, 60 * 6 * scale) / (6 * scale));
  const lines = notes.flatMap((note) => wrap(note, columns));
  const width =
    Math.max(inside, textWidth(title ?? '', scale), ...lines.map((line) => textWidth(line, scale))) + 2 * unit;
  const step = 2 * unit;
  const top = title === undefined ? unit : 3.5 * unit;
  const below = top + all.length * step;
  const height = below + (lines.length > 0 ? 1.5 * unit : 0) + lines.length * 1.6 * unit + unit;
  const canvas = paper(Math.ceil(width), Math.ceil(height));
  if (title !== undefined) drawText(canvas, title, unit, unit, INK, scale);
  const stroke = Math.max(1, Math.round(scale / 2));
  for (const [index, row] of all.entries()) {
    const y = top + index * step;
    let left = unit;
    for (const [column, own] of widths.entries()) {
      const text = row[column] ?? '';
      const room = own + 2 * unit;
      const x = column === 0 ? left + unit / 2 : left + room - unit / 2 - textWidth(text, scale);
      drawText(canvas, text, x, y + unit / 2, INK, scale);
      left += room;
    }
    const end = y + step - stroke;
    fill(canvas, unit, end, unit + inside, end + stroke, index === 0 || index === all.length - 1 ? FRAME : GRID);
  }
  for (const [index, text] of lines.entries()) {
    drawText(canvas, text, unit, below + 1.5 * unit + index * 1.6 * unit, INK, scale);
  }
  return canvas;
}

/** A text in lines of at most so many characters, broken between words. */
function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/)) {
    if (line !== '' && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return line === '' ? lines : [...lines, line];
}
