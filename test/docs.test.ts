// The guides say what the code says.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'uvu';
import { optionsPage } from '../site/docs/options_page.js';
import * as errors from '../src/gpu/errors.js';

const guide = new URL('../docs/guide/', import.meta.url);
const read = (name: string): string => readFileSync(new URL(name, guide), 'utf8');

test('the guide to all options is what the code says; `npm run docs -- --options` writes it anew', () => {
  assert.equal(read('options.md'), optionsPage());
});

test('every class of error has a row that says what to do', () => {
  const page = read('errors.md');
  for (const name of Object.keys(errors)) {
    if (name !== 'RetinaFaceError')
      assert.match(page, new RegExp(`^\\| \`${name}\` +\\| [^|]+ \\| [^|]+ \\|$`, 'm'), name);
  }
});

test('links between guides lead somewhere', () => {
  for (const name of readdirSync(guide)) {
    for (const [, path] of read(name).matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g)) {
      assert.ok(existsSync(new URL(path!, guide)), `docs/guide/${name}: ${path}`);
    }
  }
});

test.run();
