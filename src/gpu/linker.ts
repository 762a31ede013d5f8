import { composeResolvers, createConstantsResolver, linkRegistry, RecordResolver, type SrcMap } from 'wesl/core';
import { KernelError } from './errors.js';
import { kernels, sources } from './kernel_table.js';

type KernelTable = typeof kernels;

/** The name of a kernel: its file's, without the ending. */
export type KernelName = keyof KernelTable;

/** What a kernel takes, read off its file by the build step. */
export type Kernel<N extends KernelName = KernelName> = KernelTable[N];

type BindingsOf<N extends KernelName> = Kernel<N>['bindings'];
type OptionalBinding<N extends KernelName> = {
  [B in keyof BindingsOf<N>]: BindingsOf<N>[B] extends { optional: true } ? B : never;
}[keyof BindingsOf<N>];

/** One value for every field of the kernel's `Params`. */
export type KernelParams<N extends KernelName> = { readonly [P in keyof Kernel<N>['params']]: number };

/** One buffer for every binding; those behind an `@if` may be left out. */
export type KernelBuffers<N extends KernelName, B> = Readonly<
  Record<Exclude<keyof BindingsOf<N>, OptionalBinding<N>>, B>
> &
  Readonly<Partial<Record<OptionalBinding<N>, B>>>;

/** The `@if` conditions of a kernel that are on. */
export type KernelConditions<N extends KernelName> = Readonly<
  Partial<Record<Kernel<N>['conditions'][number], boolean>>
>;

/** Values for the constants that a kernel imports (`constants::…`) or declares (`override`). */
export type KernelConstants<N extends KernelName> = {
  readonly [
    C in keyof Kernel<N>['constants'] as Kernel<N>['constants'][C] extends 'override-default' ? never : C
  ]: number;
} & {
  readonly [
    C in keyof Kernel<N>['constants'] as Kernel<N>['constants'][C] extends 'override-default' ? C : never
  ]?: number;
};

/** A kernel linked to plain WGSL, with the map back to its own files. */
export interface LinkedKernel {
  readonly code: string;
  /** `kernels/conv/conv2d_forward.wgsl:42` for an offset in `code`. */
  locate(offset: number): string;
}

const files = new RecordResolver(sources, { packageName: 'package', keepComments: false });

/**
 * Links one kernel with the functions it imports, for one choice of conditions and constants.
 * @throws KernelError when an import is missing or the text is no WGSL, with the kernel's own file and line.
 */
export function linkKernel(
  name: KernelName,
  conditions: Readonly<Record<string, boolean>>,
  constants: Readonly<Record<string, number>>,
): LinkedKernel {
  const { file } = kernels[name];
  let linked: SrcMap;
  try {
    linked = linkRegistry({
      resolver: composeResolvers(files, createConstantsResolver({ ...constants })),
      rootModuleName: file.replace(/^kernels\//, './'),
      conditions: { ...conditions },
    });
  } catch (cause) {
    throw new KernelError({
      operation: `link ${name}`,
      expected: 'a kernel that links',
      got: `${file}: ${cause instanceof Error ? cause.message : String(cause)}`,
      remedy: 'Mend the kernel at that line; `npm run kernels` reads it anew.',
      cause,
    });
  }
  return {
    code: linked.dest.text,
    locate(offset) {
      const { src, position } = linked.destToSrc(offset);
      const path = src.path?.replace(/^\.\//, 'kernels/').replace(/\.wesl$/, '.wgsl') ?? file;
      return `${path}:${src.text.slice(0, position).split('\n').length}`;
    },
  };
}
