import type { Part } from '../src/gpu/kernel_table.js';

/** What a kernel takes, read off its file. */
export interface DescribedKernel {
  /** Below the project. */
  readonly file: string;
  readonly params: readonly string[];
  readonly bindings: readonly string[];
  /** Bindings behind an `@if`. */
  readonly optional: readonly string[];
  readonly conditions: readonly string[];
  readonly constants: readonly string[];
}

export interface LinkedLine {
  readonly text: string;
  /** Below kernels/. */
  readonly file: string;
  readonly line: number;
}

/** What links kernels from the texts that it was made of. */
export type Linker = object;

export declare class KernelFileError extends Error {}
export declare function readKernels(): {
  /** By path below kernels/. */
  readonly sources: Record<string, string>;
  readonly kernels: Readonly<Record<string, DescribedKernel>>;
};
export declare function linkerOf(sources: Readonly<Record<string, string>>): Linker;
export declare function linkVariant(
  kernel: DescribedKernel,
  conditions: Readonly<Record<string, boolean>>,
  constants: Readonly<Record<string, number>>,
  linker: Linker,
): readonly LinkedLine[];
export declare function partsOf(kernel: DescribedKernel, linker: Linker): Part[];
