// Loaded before a test file (`node --import`): puts the fault that RETINAFACE_FAULT names into the kernel table of this
// process, before anything links a kernel, and leaves of the file's tests those whose names begin with RETINAFACE_TEST.
import { register } from 'node:module';
import { linkerOf, partsOf, readKernels } from '../../tools/link-kernels.mjs';
import { type KernelEntry, kernels } from '../../src/gpu/kernel_table.js';
import { FAULTS } from './faults.js';

const wanted = process.env['RETINAFACE_FAULT'];
if (wanted !== undefined) {
  const fault = FAULTS.find(({ what }) => what === wanted);
  if (!fault) throw new Error(`no fault is called '${wanted}'`);
  const { sources, kernels: described } = readKernels();
  const path = `${fault.kernel}.wgsl`;
  // A function, because `$` has a meaning in a replacement string.
  sources[path] = sources[path]!.replace(fault.find, () => fault.replace);
  const linker = linkerOf(sources);
  const table = kernels as Record<string, KernelEntry>;
  const within = ({ file, parts }: KernelEntry): boolean =>
    file === `kernels/${path}` || parts.some(([, , , from]) => from === path);
  for (const [name, kernel] of Object.entries(table)) {
    if (within(kernel)) table[name] = { ...kernel, parts: partsOf(described[name]!, linker) };
  }
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
