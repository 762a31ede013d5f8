import type { DeviceBuffer } from '../gpu/buffers.js';
import type { Choices } from '../gpu/choices.js';
import type { Gpu } from '../gpu/gpu.js';
import type { Plan } from '../gpu/plan.js';
import { keep, scope } from './scope.js';
import { elements, type Shape } from './shape.js';
import { bytesOf, type DType, Tensor } from './tensor.js';

/** An input of a plan: what the tensor that is filled before each use is like. */
export interface PlanInput {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly label: string;
}

/** A computation that can be kept as a plan. */
export interface Planned<R> {
  readonly inputs: readonly PlanInput[];
  /** Writes all inputs, before each use. */
  readonly fill: (inputs: readonly Tensor[]) => void;
  /**
   * Encodes the computation, the same for the same key: what changes between two uses comes from the inputs, or lies in
   * tensors that live outside. It may upload nothing. `note` is what the host learns from it, answered at each use.
   */
  readonly compute: (inputs: readonly Tensor[]) => { readonly outputs: readonly Tensor[]; readonly note: R };
}

/** What a use answers: outputs that the caller owns. */
export interface PlanResult<R> {
  readonly outputs: readonly Tensor[];
  readonly note: R;
}

interface Kept<R> {
  readonly plan: Plan;
  readonly inputs: readonly PlanInput[];
  readonly outputs: readonly Output[];
  readonly note: R;
}

/** An output inside the plan's memory, which its next use replaces. */
interface Output extends PlanInput {
  readonly buffer: DeviceBuffer;
}

/**
 * Keeps what computations encode, by their shapes, and encodes it again without running them. A computation runs as it is
 * the first time, is recorded the second, and is replayed from then on; the commands are the same each time, and so are
 * the bits. Where memory that a plan names has passed to others, it is recorded anew.
 */
export class Plans<R = undefined> implements Disposable {
  readonly #gpu: Gpu;
  readonly #most: number;
  /** The latest used last. */
  readonly #kept = new Map<string, Kept<R>>();
  readonly #seen = new Set<string>();
  /** The ways by which kept plans compute. */
  #choices: Choices;

  /** `most`: plans kept at a time. */
  constructor(gpu: Gpu, most = 8) {
    this.#gpu = gpu;
    this.#most = most;
    this.#choices = gpu.choices;
  }

  /** Runs a computation. The same `key` must always stand for the same commands. */
  run(key: string, planned: Planned<R>): PlanResult<R> {
    if (this.#choices !== this.#gpu.choices) this.clear();
    this.#choices = this.#gpu.choices;
    if (this.#gpu.busy || !this.#seen.has(key)) {
      const result = this.direct(planned);
      if (!this.#gpu.busy) this.#remember(key);
      return result;
    }
    const kept = this.#kept.get(key);
    if (kept) {
      this.#kept.delete(key);
      if (kept.plan.reserve()) {
        this.#kept.set(key, kept);
        return this.#replay(kept, planned);
      }
      kept.plan.dispose();
    }
    return this.#record(key, planned);
  }

  /** Runs a computation as it is. */
  direct({ inputs, fill, compute }: Planned<R>): PlanResult<R> {
    return scope(() => {
      const made = inputs.map(({ shape, dtype, label }) => Tensor.empty(this.#gpu, shape, { dtype, label }));
      fill(made);
      const { outputs, note } = compute(made);
      return { outputs, note };
    });
  }

  /** Forgets all plans. */
  clear(): void {
    for (const { plan } of this.#kept.values()) plan.dispose();
    this.#kept.clear();
    this.#seen.clear();
  }

  dispose(): void {
    this.clear();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #record(key: string, { inputs, fill, compute }: Planned<R>): PlanResult<R> {
    const gpu = this.#gpu;
    const made: Tensor[] = [];
    let computed: PlanResult<R> | undefined;
    let plan: Plan | undefined;
    let kept = false;
    try {
      for (const input of inputs) {
        const bytes = bytesOf(elements(input.shape), input.dtype);
        const buffer = gpu.allocate(bytes, input.label, { planned: true, half: input.dtype === 'f16' });
        made.push(keep(Tensor.over(gpu, buffer, input)));
      }
      fill(made);
      plan = gpu.record(
        made.map(({ buffer }) => buffer),
        () => {
          computed = scope(() => compute(made));
          for (const output of computed.outputs) keep(output);
        },
      );
      const { note } = computed!;
      const outputs = computed!.outputs.map(({ buffer, shape, dtype, label }) => ({ buffer, shape, dtype, label }));
      plan.encode();
      while (this.#kept.size >= this.#most) this.#drop(this.#kept.keys().next().value!);
      this.#kept.set(key, { plan, inputs, outputs, note });
      kept = true;
      return { outputs: outputs.map((output) => copyOf(gpu, output)), note };
    } finally {
      for (const tensor of [...made, ...(computed?.outputs ?? [])]) tensor.dispose();
      if (!kept) plan?.dispose();
    }
  }

  #replay({ plan, inputs, outputs, note }: Kept<R>, { fill }: Planned<R>): PlanResult<R> {
    const gpu = this.#gpu;
    const made = inputs.map((input, i) => keep(Tensor.over(gpu, plan.inputs[i]!, input)));
    try {
      fill(made);
      plan.encode();
      return { outputs: outputs.map((output) => copyOf(gpu, output)), note };
    } finally {
      for (const tensor of made) tensor.dispose();
      plan.release();
    }
  }

  #remember(key: string): void {
    if (this.#seen.size >= 64 * this.#most) this.#seen.clear();
    this.#seen.add(key);
  }

  #drop(key: string): void {
    this.#kept.get(key)?.plan.dispose();
    this.#kept.delete(key);
  }
}

/** The contents of an output in a tensor of their own. */
function copyOf(gpu: Gpu, { buffer, shape, dtype, label }: Output): Tensor {
  const copy = Tensor.empty(gpu, shape, { dtype, label });
  gpu.copy(buffer, copy.buffer, Math.ceil(bytesOf(copy.size, dtype) / 4) * 4);
  return copy;
}
