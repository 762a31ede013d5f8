// Turns kernels/**/*.wgsl into src/gpu/kernel_table.ts: the linked lines of every kernel, and for each its parameters,
// bindings, conditions and constants as types, so that a misspelt name is a compile error and nothing reads or links kernel
// files at run time, in Node or in a browser.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { ALL, KernelFileError, linkerOf, partsOf, readKernels } from './link-kernels.mjs';

const target = new URL('../src/gpu/kernel_table.ts', import.meta.url);
const union = (names) => names.map((name) => `'${name}'`).join(' | ') || 'never';

/**
 * The module, of these kernels alone: what is left out cannot be run. `joined`: in few lines and without their numbers, so that the
 * place of an error is no more than the kernel that it is in.
 */
export function kernelTable({ kernels, sources }, { joined = false, off = [] } = {}) {
  const linker = linkerOf(sources);
  const shared = new Map();
  const entries = Object.entries(kernels).map(([name, described]) => {
    const kernel = { ...described, conditions: described.conditions.filter((condition) => !off.includes(condition)) };
    const parts = partsOf(kernel, linker).map(([code, line, variants = ALL, file]) => {
      const own = joined ? undefined : file;
      const part = [joined ? code.replace(/([;,{}])\n+/g, '$1') : code, joined ? 0 : line];
      if (variants !== ALL || own !== undefined) part.push(variants);
      if (own !== undefined) part.push(own);
      const text = JSON.stringify(part);
      if (file === undefined) return text;
      if (!shared.has(text)) shared.set(text, `shared${shared.size}`);
      return shared.get(text);
    });
    const { file, conditions, constants, half } = kernel;
    return `  ${name}: {${joined ? '' : `\n    file: ${JSON.stringify(file)},`}
    conditions: ${JSON.stringify(conditions)},
    constants: ${JSON.stringify(constants)},${half ? '\n    half: true,' : ''}
    parts: [\n${parts.map((part) => `      ${part},\n`).join('')}    ],
  },\n`;
  });
  const types = Object.entries(kernels).map(
    ([name, { params, bindings, optional, conditions, constants }]) => `  readonly ${name}: {
    readonly params: ${union(params)};
    readonly bindings: ${union(bindings)};
    readonly optional: ${union(optional)};
    readonly conditions: ${union(conditions)};
    readonly constants: ${union(constants)};
  };\n`,
  );
  return `// Written by tools/build-kernels.mjs from kernels/. Do not edit.

/** Lines of a linked kernel: where they begin in their file, 0 where that is not kept; the variants that have them, one bit each (all without). */
export type Part = readonly [text: string, line: number, variants?: number, file?: string];

/** A kernel, linked: the parts of all its variants in order; the kernel's own where no file is named. */
export interface KernelEntry {
  /** Below the project; the kernel's name stands for it where that is not kept. */
  readonly file?: string;
  /** Each is a bit in the number of a variant. */
  readonly conditions: readonly string[];
  readonly constants: readonly string[];
  /** It takes float16: the types of its elements, \`In\` and \`Out\`, are put to it as constants are. */
  readonly half?: boolean;
  readonly parts: readonly Part[];
}

/** The names of what each kernel takes. */
export interface Kernels {
${types.join('')}}

${[...shared].map(([text, name]) => `const ${name}: Part = ${text};\n`).join('')}
/** Changes with the text of any kernel file, whichever of them are here. */
export const kernelsVersion = '${sourcesHash(sources).slice(0, 16)}';

/** Every kernel by name. */
export const kernels: Readonly<Record<keyof Kernels, KernelEntry>> = {
${entries.join('')}};
`;
}

function sourcesHash(sources) {
  return createHash('sha256').update(JSON.stringify(sources)).digest('hex');
}

/** Writes the table, unless it is of these kernels and tools already. */
function write() {
  const { kernels, sources } = readKernels();
  const hash = createHash('sha256').update(sourcesHash(sources));
  for (const tool of ['build-kernels.mjs', 'link-kernels.mjs', '../package-lock.json'])
    hash.update(readFileSync(new URL(tool, import.meta.url)));
  const stamp = `// ${hash.digest('hex')}\n`;
  if (existsSync(target) && readFileSync(target, 'utf8').startsWith(stamp)) return;
  writeFileSync(target, stamp + kernelTable({ kernels, sources }));
}

if (import.meta.filename === process.argv[1]) {
  try {
    write();
  } catch (error) {
    if (!(error instanceof KernelFileError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
