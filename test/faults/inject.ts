// Loaded before a test file (`node --import`): puts the fault that RETINAFACE_FAULT names into the kernel table of this
// process, before anything links a kernel, and leaves of the file's tests those whose names begin with RETINAFACE_TEST.
import { register } from 'node:module';
import { sources } from '../../src/gpu/kernel_table.js';
import { FAULTS } from './faults.js';

const wanted = process.env['RETINAFACE_FAULT'];
if (wanted !== undefined) {
  const fault = FAULTS.find(({ what }) => what === wanted);
  if (!fault) throw new Error(`no fault is called '${wanted}'`);
  const path = `./${fault.kernel}.wgsl`;
  const table = sources as Record<string, string>;
  // A function, because `$` has a meaning in a replacement string.
  table[path] = table[path]!.replace(fault.find, () => fault.replace);
}

// uvu has no choice of tests by name: a module of ours stands in its place, and hands over those that are wanted.
const only = new URL('only.mjs', import.meta.url).href;
register(
  `data:text/javascript,${encodeURIComponent(`
    export const resolve = (name, context, next) =>
      name === 'uvu' && context.parentURL !== ${JSON.stringify(only)}
        ? { url: ${JSON.stringify(only)}, shortCircuit: true }
        : next(name, context);
  `)}`,
);
