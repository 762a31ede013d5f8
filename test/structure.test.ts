import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';

const src = fileURLToPath(new URL('../src', import.meta.url));

/** Folders of src/ from the ground up: each may import itself and those below, not its neighbours. */
const FLOORS: readonly (readonly string[])[] = [
  ['gpu'],
  ['tensor', 'image'],
  ['autograd'],
  ['ops'],
  ['nn', 'detect', 'weights'],
  ['retinaface'],
  ['data'],
  ['train', 'evaluate', 'tune'],
  ['library.ts', 'additions.ts'],
  ['index.ts', 'library_surface.ts'],
  ['surface.ts'],
  ['node', 'browser'],
  ['scale'],
  ['cli'],
];
const NODE_FOLDERS = ['node', 'scale', 'cli'];
const NODE_PACKAGES = ['webgpu', 'pngjs', 'jpeg-js', '@cwasm/jpeg-turbo'];

const files = readdirSync(src, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
  .map((entry) => join(entry.parentPath, entry.name));

const roomOf = (file: string): string => relative(src, file).split('/')[0] ?? '';
const floorOf = (file: string): number => FLOORS.findIndex((rooms) => rooms.includes(roomOf(file)));

/** Every `from '…'` of a file, bare or relative. */
function importsOf(file: string): string[] {
  return [...readFileSync(file, 'utf8').matchAll(/^(?:import|export|\} from)[^'"]*?from '([^']+)'/gm)].map(
    ([, name]) => name ?? '',
  );
}

test('every folder of src has its place in the data flow', () => {
  for (const file of files) assert.notEqual(floorOf(file), -1, `${relative(src, file)} stands on no floor`);
});

test('imports point one way', () => {
  for (const file of files) {
    for (const name of importsOf(file)) {
      if (!name.startsWith('.')) continue;
      const target = resolve(dirname(file), name);
      const below = roomOf(target) === roomOf(file) || floorOf(target) < floorOf(file);
      assert.ok(below, `${relative(src, file)} imports ${relative(src, target)}, which is not below it`);
    }
  }
});

test('nothing outside src/node, src/scale and src/cli needs Node', () => {
  for (const file of files) {
    if (NODE_FOLDERS.includes(roomOf(file))) continue;
    for (const name of importsOf(file)) {
      const node = name.startsWith('node:') || NODE_PACKAGES.some((known) => name === known);
      assert.ok(!node, `${relative(src, file)} imports ${name}`);
    }
  }
});

test('what is optional is only loaded when it is asked for, in one room each', () => {
  const manifest = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  const { dependencies, peerDependencies, peerDependenciesMeta } = JSON.parse(manifest) as {
    readonly dependencies: Readonly<Record<string, string>>;
    readonly peerDependencies: Readonly<Record<string, string>>;
    readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional?: boolean }>>;
  };
  const optional = Object.keys(peerDependencies);
  for (const name of optional) {
    assert.equal(peerDependenciesMeta[name]?.optional, true, `${name} is optional`);
    assert.ok(!(name in dependencies), `${name} is no dependency`);
  }
  for (const file of files) {
    const text = readFileSync(file, 'utf8');
    for (const [whole, name = ''] of text.matchAll(/^(?:import|export|\} from)[^'"]*?from '([^']+)'/gm)) {
      if (!optional.some((known) => name === known || name.startsWith(`${known}/`))) continue;
      assert.match(whole, /^(import|export) type /, `${relative(src, file)} loads ${name} before anyone asks for it`);
    }
    for (const [, name = ''] of text.matchAll(/\bimport\('([^'.][^']*)'\)/g)) {
      if (!optional.includes(name)) continue;
      assert.equal(roomOf(file), name === 'sharp' ? 'node' : 'scale', `${relative(src, file)} loads ${name}`);
    }
  }
});

test('every test file runs what it registers, and all of it', () => {
  const tests = fileURLToPath(new URL('.', import.meta.url));
  for (const name of readdirSync(tests, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.test.ts')) continue;
    const text = readFileSync(join(tests, name), 'utf8');
    assert.match(text, /from 'uvu';/, `test/${name} is written for uvu`);
    assert.match(text, /\ntest\.run\(\);\n$/, `test/${name} ends with test.run()`);
    assert.doesNotMatch(text, /\btest\.only\(/, `test/${name} runs all of its tests`);
  }
});

test('every script of tests sets up what it runs on', () => {
  const manifest = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  const { scripts } = JSON.parse(manifest) as { readonly scripts: Readonly<Record<string, string>> };
  for (const [name, command] of Object.entries(scripts)) {
    if (!/^test(:|$)/.test(name)) continue;
    const before = (scripts[`pre${name}`] ?? '').replace(
      /^npm run -s (\S+)$/,
      (_, other: string) => scripts[other] ?? '',
    );
    assert.match(before, /^bash setup\.sh/, `npm run ${name} builds kernels and finds a driver`);
    if (command.includes('test/runtimes')) assert.match(before, /npm ci --prefix test\/runtimes/, `npm run ${name}`);
  }
});

test.run();
