import assert from 'node:assert/strict';
import { test } from 'uvu';
import { drawTable, tableMarkdown } from '../../src/image/table.js';

const table = {
  header: ['variant', 'hard'],
  rows: [
    ['context', '0.783 ± 0.002'],
    ['a|b', '–'],
  ],
};

test('Markdown has names to the left, figures to the right, and no cell that breaks it', () => {
  assert.equal(
    tableMarkdown({ ...table, title: 'Table', notes: ['A note.'] }),
    `## Table

| variant |          hard |
| ------- | ------------: |
| context | 0.783 ± 0.002 |
| a\\|b    |             – |

A note.
`,
  );
});

test('the picture is as large as its texts', () => {
  const small = drawTable(table);
  const noted = drawTable({ ...table, title: 'Table', notes: ['many words '.repeat(40)] });
  assert.ok(noted.height > small.height && noted.width > small.width);
  assert.ok(noted.width < 1000, 'notes are broken into lines');
  assert.ok(
    small.data.some((value, i) => i % 4 === 0 && value < 100),
    'something is written',
  );
});

test.run();
