// Loaded before a test file (`node --import`): puts the fault that RETINAFACE_FAULT names into the kernel table of this
// process, before anything links a kernel.
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
