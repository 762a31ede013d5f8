// The package has one surface of types: what it promises, each platform's entry has.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'uvu';
import { ENTRIES } from '../tools/entries.mjs';
import type * as browser from '../src/browser/index.js';
import * as node from '../src/node/index.js';
import { addressBesideVite, BUNDLED_WEIGHTS } from '../src/retinaface/bundled.js';
import * as surface from '../src/surface.js';

/** A compile error where an entry lacks a name of the surface, or takes less than it says. */
type Holds<Entry extends typeof surface> = Entry;
type Entries = readonly [Holds<typeof node>, Holds<typeof browser>];

const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
  readonly files: readonly string[];
};

test('every entry has what the surface promises', () => {
  const entry: Entries[0] = node;
  for (const name of [...Object.keys(surface), 'requestDevice', 'readImage']) assert.ok(name in entry, name);
});

test('types come before the platforms, since conditions are taken in their order, and every target has its source', () => {
  const { '.': root, './inference': inference, ...others } = manifest.exports;
  for (const conditions of [root, inference])
    assert.deepEqual(Object.keys(conditions as object), ['types', 'node', 'default']);
  const entries = [root, inference, ...Object.values(others)].filter((conditions) => typeof conditions === 'object');
  for (const target of entries.flatMap((conditions) => Object.values(conditions))) {
    const file = target.replace(/^\.\/dist\//, '');
    const source = ENTRIES[file]?.source ?? file.replace(/(\.d\.ts|\.js)$/, '.ts');
    assert.ok(existsSync(new URL(`../${source}`, import.meta.url)), target);
  }
});

test('every file in the box has an exported address', () => {
  assert.equal(manifest.exports['./weights/*.safetensors'], './dist/weights/*.safetensors');
  for (const { file } of BUNDLED_WEIGHTS) assert.match(file, /^[^/]+\.safetensors$/);
});

test('a module that Vite moved finds its files where the package is', () => {
  const moved = 'http://localhost:5173/app/node_modules/.vite/deps/retinaface-webgpu.js?v=4f1a';
  const beside = 'http://localhost:5173/app/node_modules/retinaface-webgpu/dist/weights/some.safetensors';
  assert.equal(addressBesideVite('some.safetensors', moved)?.href, beside);
  assert.equal(addressBesideVite('some.safetensors', beside), undefined);
});

test('what the README and the guides show from the checkout is in the package', () => {
  const root = new URL('../', import.meta.url);
  const guides = readdirSync(new URL('docs/guide/', root)).map((name) => `docs/guide/${name}`);
  for (const page of ['README.md', ...guides]) {
    const text = readFileSync(new URL(page, root), 'utf8');
    for (const [, link] of text.matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g)) {
      const path = new URL(link!, new URL(page, root)).href.slice(root.href.length);
      const packed = manifest.files.some((file) => path === file || path.startsWith(`${file}/`));
      assert.ok(packed, `${page}: ${path}`);
    }
  }
});

test.run();
