import { ArgumentError, KernelError } from './errors.js';
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
  /** `kernels/conv/conv2d_forward.wgsl`. */
  readonly file: string;
  /** `kernels/conv/conv2d_forward.wgsl:42` for an offset in `code`. */
  locate(offset: number): string;
}

/** Ones in the bits of every variant. */
const ALL = -1;

/** Bits of what is float16: what a kernel reads as `In`, and its `y`, what it writes as `Out` (kernels/shared/element.wgsl). */
export const READS_HALF = 1;
export const WRITES_HALF = 2;

/**
 * Puts a kernel together with the functions that it imports, for one choice of conditions and constants. `half`: bits of
 * what is float16.
 * @throws KernelError where a constant of it is missing, and where this build of the library has no such kernel;
 * ArgumentError where something is float16 for a kernel that takes none.
 */
export function linkKernel(
  name: KernelName,
  conditions: Readonly<Record<string, boolean | undefined>>,
  constants: Readonly<Record<string, number>>,
  half = 0,
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
  if (half && !kernel.half) {
    throw new ArgumentError({
      operation: name,
      expected: 'tensors of f32',
      got: 'f16',
      remedy: 'Cast them: only inference computes in f16.',
    });
  }
  const elements = (kernel.half ? ['In', 'Out'] : []).map((type, bit) =>
    (half >> bit) & 1 ? `alias ${type}=f16;alias ${type}4=vec4h;` : `alias ${type}=f32;alias ${type}4=vec4f;`,
  );
  const { file: own = `${name}.wgsl` } = kernel;
  const enable = half ? 'enable f16;\n' : '';
  return {
    code: enable + [...parts.map(([text]) => text), ...values, ...elements].join('\n'),
    file: own,
    locate(offset) {
      let start = enable.length;
      for (const [text, line, , file] of parts) {
        if (offset <= start + text.length) {
          const breaks = text.slice(0, offset - start).split('\n').length - 1;
          const path = file === undefined ? own : `kernels/${file}`;
          return line > 0 ? `${path}:${line + breaks}` : path;
        }
        start += text.length + 1;
      }
      return own;
    },
  };
}
