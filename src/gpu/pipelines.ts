import type { DeviceBuffer } from './buffers.js';
import type { Checks } from './checks.js';
import { ArgumentError, KernelError } from './errors.js';
import { type KernelName, linkKernel, type LinkedKernel } from './linker.js';

/** Buffers by the names of a kernel's bindings. */
export type Bound = Readonly<Record<string, DeviceBuffer | undefined>>;

interface KnownGroup {
  readonly group: GPUBindGroup;
  readonly forget: () => void;
}

/** One compiled variant of a kernel, and the bind groups that were made for it. */
export interface Pipeline {
  readonly name: KernelName;
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  readonly bindGroups: Map<string, KnownGroup>;
  /** Fields of its `Params`, four bytes each, in order. */
  readonly fields: readonly (readonly [name: string, type: string])[];
  /** Active storage bindings, in order of their numbers. */
  readonly bindings: readonly { readonly name: string; readonly binding: number; readonly writes: boolean }[];
}

/** Which variant of a kernel is wanted: its conditions, its constants, and what is float16. */
export interface Variant {
  readonly name: KernelName;
  readonly conditions: Readonly<Record<string, boolean | undefined>>;
  readonly constants: Readonly<Record<string, number>>;
  /** Bits: `READS_HALF`, `WRITES_HALF`. */
  readonly half: number;
}

const NOTHING = { gpu: undefined, offset: 0, capacity: 0 };
const MAX_BIND_GROUPS = 8192;
const COMPUTE = 4;

/** Compiles each variant of a kernel once, and makes each bind group once for as long as its buffers live. */
export class Pipelines {
  readonly #device: GPUDevice;
  readonly #checks: Checks;
  /** Bytes that one binding holds at most. */
  readonly #limit: number;
  readonly #known = new Map<string, Pipeline>();
  #bindGroups = 0;
  #bindGroupsMade = 0;

  constructor(device: GPUDevice, checks: Checks, limit: number) {
    this.#device = device;
    this.#checks = checks;
    this.#limit = limit;
  }

  get size(): number {
    return this.#known.size;
  }

  /** Bind groups made so far, not those kept. */
  get bindGroupsMade(): number {
    return this.#bindGroupsMade;
  }

  /** The pipeline of a variant, compiled at its first use. */
  of(variant: Variant): Pipeline {
    const key = keyOf(variant);
    let pipeline = this.#known.get(key);
    if (!pipeline) this.#known.set(key, (pipeline = this.#compile(key, variant)));
    return pipeline;
  }

  /** Compiles variants side by side. What cannot be compiled is left to its first use, which says why. */
  async prepare(variants: Iterable<Variant>): Promise<void> {
    const wanted = new Map([...variants].map((variant) => [keyOf(variant), variant]));
    await Promise.all(
      [...wanted].map(async ([key, variant]) => {
        if (this.#known.has(key)) return;
        const { parts, descriptor } = this.#describe(key, variant);
        try {
          const pipeline = await this.#device.createComputePipelineAsync(descriptor);
          if (!this.#known.has(key)) this.#known.set(key, { ...parts, pipeline });
        } catch {
          // Reported where it is used.
        }
      }),
    );
  }

  /**
   * The bind group of a pipeline for these buffers, with parameters at the start of `params`, which is always the same
   * buffer: made once, and known for as long as all of them live.
   * @throws ArgumentError where one buffer is read and written, or missing.
   */
  bindGroup(pipeline: Pipeline, params: GPUBuffer, bound: Bound): GPUBindGroup {
    let key = '';
    for (const { name } of pipeline.bindings) {
      const buffer = bound[name];
      key += buffer ? `,${buffer.id}@${buffer.offset}+${buffer.capacity}` : ',none';
    }
    const known = pipeline.bindGroups.get(key);
    if (known) return known.group;
    const group = this.makeBindGroup(pipeline, params, bound);
    if (this.#bindGroups >= MAX_BIND_GROUPS) this.#forgetAll();
    const blocks = pipeline.bindings.flatMap(({ name }) => bound[name]?.block ?? []);
    const forget = (): void => {
      for (const block of blocks) block.forget.delete(forget);
      if (pipeline.bindGroups.delete(key)) this.#bindGroups--;
    };
    for (const block of blocks) block.forget.add(forget);
    pipeline.bindGroups.set(key, { group, forget });
    this.#bindGroups++;
    return group;
  }

  /** A bind group of the caller's own. */
  makeBindGroup(pipeline: Pipeline, params: GPUBuffer, bound: Bound): GPUBindGroup {
    this.#bindGroupsMade++;
    return this.#device.createBindGroup({
      label: pipeline.name,
      layout: pipeline.layout,
      entries: this.#entries(pipeline, params, bound),
    });
  }

  #entries(pipeline: Pipeline, params: GPUBuffer, bound: Bound): GPUBindGroupEntry[] {
    // To WebGPU a buffer is read or written as a whole: of two parts both may be read, or both written, if they do not overlap.
    const seen: { gpu: GPUBuffer; writes: boolean; offset: number; end: number }[] = [];
    const entries: GPUBindGroupEntry[] = [{ binding: 0, resource: { buffer: params, offset: 0, size: 256 } }];
    for (const { name, binding, writes } of pipeline.bindings) {
      const { gpu, offset, capacity } = bound[name] ?? NOTHING;
      const end = offset + capacity;
      const clashes = (other: (typeof seen)[number]): boolean =>
        other.gpu === gpu && (other.writes !== writes || (writes && offset < other.end && other.offset < end));
      if (!gpu || seen.some(clashes)) {
        throw new ArgumentError({
          operation: pipeline.name,
          expected: `\`${name}\` with memory of its own`,
          got: gpu ? 'one that the same dispatch also writes' : 'none',
          remedy: 'Write into another tensor.',
        });
      }
      seen.push({ gpu, writes, offset, end });
      entries.push({ binding, resource: { buffer: gpu, offset, size: Math.min(capacity, this.#limit) } });
    }
    return entries;
  }

  #forgetAll(): void {
    for (const { bindGroups } of this.#known.values()) for (const { forget } of bindGroups.values()) forget();
  }

  #compile(key: string, variant: Variant): Pipeline {
    const { parts, descriptor, linked } = this.#describe(key, variant);
    const pipeline = this.#checks.guard(
      `compile ${key}`,
      () => this.#device.createComputePipeline(descriptor),
      (error) => compileError(key, descriptor.compute.module, linked, error),
    );
    return { ...parts, pipeline };
  }

  #describe(
    key: string,
    { name, conditions, constants, half }: Variant,
  ): {
    readonly parts: Omit<Pipeline, 'pipeline'>;
    readonly descriptor: GPUComputePipelineDescriptor;
    readonly linked: LinkedKernel;
  } {
    const linked = linkKernel(name, conditions, constants, half);
    // A binding that the variant has not is not in its text.
    const bindings = [...linked.code.matchAll(/@binding\((\d+)\)var<storage,(\w+)>(\w+)/g)]
      .map(([, number, access, binding]) => ({ name: binding!, binding: Number(number), writes: access !== 'read' }))
      .sort((a, b) => a.binding - b.binding);
    const [, fields = ''] = /struct Params\{([^}]*)\}/.exec(linked.code) ?? [];
    const layout = this.#device.createBindGroupLayout({
      label: key,
      entries: [
        { binding: 0, visibility: COMPUTE, buffer: { type: 'uniform', hasDynamicOffset: true } },
        ...bindings.map(({ binding, writes }) => ({
          binding,
          visibility: COMPUTE,
          buffer: { type: writes ? ('storage' as const) : ('read-only-storage' as const) },
        })),
      ],
    });
    const module = this.#device.createShaderModule({ label: key, code: linked.code });
    return {
      parts: {
        name,
        layout,
        bindGroups: new Map(),
        bindings,
        fields: [...fields.matchAll(/(\w+):(\w+)/g)].map(([, field, type]) => [field!, type!]),
      },
      descriptor: {
        label: key,
        layout: this.#device.createPipelineLayout({ label: key, bindGroupLayouts: [layout] }),
        compute: { module, entryPoint: 'main' },
      },
      linked,
    };
  }
}

function keyOf({ name, conditions, constants, half }: Variant): string {
  let key: string = name;
  for (const condition in conditions) if (conditions[condition]) key += `+${condition}`;
  for (const constant in constants) key += ` ${constant}=${constants[constant]!}`;
  return half ? `${key} f16=${half}` : key;
}

async function compileError(
  key: string,
  module: GPUShaderModule,
  linked: LinkedKernel,
  error: GPUError,
): Promise<KernelError> {
  const { messages } = await module.getCompilationInfo();
  const lines = messages
    .filter(({ type }) => type === 'error')
    .map(({ offset, message }) => `${linked.locate(offset)}: ${message}`);
  return new KernelError({
    operation: `compile ${key}`,
    expected: 'a kernel that this device accepts',
    got: lines.length > 0 ? lines.join('; ') : `${linked.file}: ${error.message}`,
    remedy: 'Mend the kernel at that line, or choose a variant that this device supports.',
  });
}
