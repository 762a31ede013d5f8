import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';

const folder = fileURLToPath(new URL('../kernels', import.meta.url));
const files = readdirSync(folder, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.wgsl'))
  .map((entry) => relative(folder, join(entry.parentPath, entry.name)));

const readme = readFileSync(join(folder, 'README.md'), 'utf8');
/** Cells of the rows that begin with a link to a kernel. */
const rows = readme
  .split('\n')
  .filter((line) => line.startsWith('| ['))
  .map((line) =>
    line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );

test('every kernel has its row in kernels/README.md, and every row its kernel', () => {
  const listed = rows.map(([link]) => {
    const [, name, path] = /^\[(\w+)\]\(([\w/]+\.wgsl)\)$/.exec(link!) ?? [];
    assert.ok(name && path?.endsWith(`/${name}.wgsl`), `${link} links to the file of that name`);
    return path;
  });
  assert.deepEqual(listed.toSorted(), files.toSorted());
});

test('every row tells purpose, formula, source and grid', () => {
  for (const cells of rows) {
    assert.equal(cells.length, 5, cells[0]);
    for (const cell of cells) assert.ok(cell.length > 0, cells[0]);
  }
});

test('links inside kernels/README.md lead somewhere', () => {
  const anchors = new Set<string>();
  for (const [, title] of readme.matchAll(/^#+ (.+)$/gm)) {
    const slug = title!
      .toLowerCase()
      .replace(/[^\p{L}\p{N} -]/gu, '')
      .replaceAll(' ', '-');
    anchors.add(anchors.has(slug) ? `${slug}-1` : slug);
  }
  for (const [, anchor] of readme.matchAll(/\]\(#([^)]+)\)/g)) assert.ok(anchors.has(anchor!), `#${anchor}`);
});

test.run();
