import { KernelError } from './errors.js';
import { type KernelEntry, kernels, type Kernels } from './kernel_table.js';

/** The name of a kernel: its file's, without the ending. */
export type KernelName = keyof Kernels;

/** One value for every field of the kernel's `Params`. */
export type KernelParams<N extends KernelName> = Readonly<Record<Kernels[N]['params'], number>>;

/** One buffer for every binding; those behind an `@if` may be left out. */
export type KernelBuffers<N extends KernelName, B> = Readonly<Record<Kernels[N]['bindings'], B>> &
  Readonly<Partial<Record<Kernels[N]['optional'], B>>>;

/** The `@if` conditions of a kernel that are on. */
export type KernelConditions<N extends KernelName> = Readonly<Partial<Record<Kernels[N]['conditions'], boolean>>>;

/** Values for the constants that a kernel imports (`constants::…`). */
export type KernelConstants<N extends KernelName> = Readonly<Record<Kernels[N]['constants'], number>>;

/** A kernel linked to plain WGSL, with the map back to its own files. */
export interface LinkedKernel {
  readonly code: string;
  /** `kernels/conv/conv2d_forward.wgsl:42` for an offset in `code`. */
  locate(offset: number): string;
}

/** Ones in the bits of every variant. */
const ALL = -1;

/**
 * Puts a kernel together with the functions that it imports, for one choice of conditions and constants.
 * @throws KernelError where a constant of it is missing, and where this build of the library has no such kernel.
 */
export function linkKernel(
  name: KernelName,
  conditions: Readonly<Record<string, boolean | undefined>>,
  constants: Readonly<Record<string, number>>,
): LinkedKernel {
  const kernel = kernels[name] as KernelEntry | undefined;
  if (!kernel) {
    throw new KernelError({
      operation: `link ${name}`,
      expected: 'a kernel of inference',
      got: 'one of training',
      remedy: "Import the whole library, 'retinaface-webgpu', instead of 'retinaface-webgpu/inference'.",
    });
  }
  const missing = kernel.constants.filter((constant) => constants[constant] === undefined);
  if (missing.length > 0) {
    throw new KernelError({
      operation: `link ${name}`,
      expected: `values for ${kernel.constants.join(', ')}`,
      got: `none for ${missing.join(', ')}`,
      remedy: 'Pass one for each constant that the kernel imports.',
    });
  }
  const variant = kernel.conditions.reduce((bits, condition, i) => bits | (Number(conditions[condition] ?? 0) << i), 0);
  const parts = kernel.parts.filter(([, , variants = ALL]) => (variants >>> variant) & 1);
  // Behind the rest, where they move nothing: `enable` comes first, and no other order matters.
  const values = kernel.constants.map((constant) => `const ${constant}=${constants[constant]!};`);
  return {
    code: [...parts.map(([text]) => text), ...values].join('\n'),
    locate(offset) {
      let start = 0;
      for (const [text, line, , file] of parts) {
        if (offset <= start + text.length) {
          const breaks = text.slice(0, offset - start).split('\n').length - 1;
          return `${file === undefined ? kernel.file : `kernels/${file}`}:${line + breaks}`;
        }
        start += text.length + 1;
      }
      return kernel.file;
    },
  };
}
