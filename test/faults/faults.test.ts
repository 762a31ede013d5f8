import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import { readKernels } from '../../tools/link-kernels.mjs';
import { FAULTS } from './faults.js';

const { kernels, sources } = readKernels();

test('every fault is in words of its own, and its text stands once in its kernel', () => {
  assert.equal(new Set(FAULTS.map(({ what }) => what)).size, FAULTS.length);
  for (const { what, kernel, find, replace, file } of FAULTS) {
    const source = sources[`${kernel}.wgsl`];
    assert.ok(source, `${what}: there is no kernels/${kernel}.wgsl`);
    assert.equal(source.split(find).length - 1, 1, `${what}: '${find}' in kernels/${kernel}.wgsl`);
    assert.notEqual(find, replace);
    assert.ok(existsSync(fileURLToPath(new URL(`../${file}`, import.meta.url))), `${what}: there is no test/${file}`);
  }
});

test('every family of kernels has faults', () => {
  const family = (path: string) => path.replace(/^kernels\//, '').split('/')[0]!;
  const families = new Set(Object.values(kernels).map(({ file }) => family(file)));
  for (const { kernel } of FAULTS) families.delete(family(kernel));
  assert.deepEqual([...families], []);
});

test.run();
