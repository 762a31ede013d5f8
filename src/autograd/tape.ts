import { checkAtOnce, checkOptions, checkTensors } from '../gpu/arguments.js';
import { TapeError } from '../gpu/errors.js';
import { Gpu } from '../gpu/gpu.js';
import { flatGrid } from '../gpu/grid.js';
import { keep, scope } from '../tensor/scope.js';
import { formatShape } from '../tensor/shape.js';
import { Tensor } from '../tensor/tensor.js';
import { observe } from './check_finite.js';

type Named = Readonly<Record<string, Tensor | undefined>>;

/** What an op tells the tape about one call. */
export interface Step {
  readonly name: string;
  readonly inputs: Named;
  readonly output: Tensor;
  readonly saved: Named;
  readonly backward: (gradient: Tensor, saved: Named, needs: Readonly<Record<string, boolean>>, places: Named) => Named;
}

interface Entry {
  readonly name: string;
  /** Identities of the inputs that need a gradient, by name. */
  readonly needs: Readonly<Record<string, number>>;
  readonly output: number;
  readonly saved: Record<string, Tensor | undefined>;
  readonly backward: Step['backward'];
}

const recording: Tape[] = [];

/** The tape that records now, if any. */
export function activeTape(): Tape | undefined {
  return recording.at(-1);
}

/**
 * Reverse-mode differentiation: a list of what ran, walked from its end. Gradients of a tensor used several times add
 * up, in the order of the walk, so the same program gives the same bits. Each saved tensor is freed right after its use.
 *
 * ```ts
 * const tape = new Tape(device);
 * tape.watch(weight);
 * const loss = tape.record(() => mean(conv2d(x, weight, {})));
 * tape.backward(loss);
 * const gradient = tape.gradient(weight);   // owned by the tape until dispose()
 * ```
 */
export class Tape implements Disposable {
  readonly #gpu: Gpu;
  readonly #watched = new Set<number>();
  readonly #tracked = new Set<number>();
  #entries: Entry[] = [];
  #gradients = new Map<number, Tensor>();
  #state: 'empty' | 'recorded' | 'spent' = 'empty';
  #one: Tensor | undefined;

  constructor(device: GPUDevice | Gpu) {
    this.#gpu = Gpu.of(device);
  }

  /** Asks for the gradient of a tensor; answers the tensor. @throws ArgumentError for one that is not of f32. */
  watch<T extends Tensor>(tensor: T): T {
    checkTensors('Tape.watch', { tensor });
    tensor.assertLive();
    this.#watched.add(tensor.id);
    this.#tracked.add(tensor.id);
    return tensor;
  }

  /** Runs `compute` and remembers what it did to watched tensors. It must be synchronous. */
  record<T>(compute: () => T): T {
    checkOptions('Tape.record', { compute }, { compute: 'function!' });
    if (recording.length > 0) {
      throw new TapeError({
        operation: 'Tape.record',
        expected: 'no other recording in progress',
        got: 'one inside another',
        remedy: 'Finish the outer recording first.',
      });
    }
    this.#dropEntries();
    this.#dropGradients();
    recording.push(this);
    try {
      const result = compute();
      checkAtOnce('Tape.record', result);
      this.#state = 'recorded';
      return result;
    } catch (error) {
      this.#dropEntries();
      throw error;
    } finally {
      recording.pop();
    }
  }

  /** True if any of these tensors is watched or came from one that is. */
  follows(inputs: Named): boolean {
    return Object.values(inputs).some((tensor) => tensor !== undefined && this.#tracked.has(tensor.id));
  }

  /** For `defineOp`: remembers one call. */
  append(step: Step): void {
    const needs: Record<string, number> = {};
    for (const [name, tensor] of Object.entries(step.inputs)) {
      if (tensor && this.#tracked.has(tensor.id)) needs[name] = tensor.id;
    }
    const saved: Record<string, Tensor | undefined> = {};
    for (const [name, tensor] of Object.entries(step.saved)) saved[name] = tensor && keep(tensor.alias());
    this.#tracked.add(step.output.id);
    this.#entries.push({ name: step.name, needs, output: step.output.id, saved, backward: step.backward });
  }

  /**
   * Computes the gradient of every watched tensor. `places`: memory of the caller for them, by the tensors' ids, which is taken
   * out of the map: where an operation can, it writes a gradient there, and `gradient` answers that memory; where it cannot, or
   * several gradients add up, a tensor of the tape's.
   * @throws TapeError when nothing was recorded, when called a second time, or when the loss is no scalar of this tape.
   */
  backward(loss: Tensor, places?: Map<number, Tensor>): void {
    checkTensors('Tape.backward', { loss });
    if (this.#state !== 'recorded' || loss.size !== 1 || !this.#tracked.has(loss.id)) {
      const got = {
        empty: 'a tape without a recording',
        spent: 'a second backward of one recording',
        recorded: `a loss of shape ${formatShape(loss.shape)}${loss.size === 1 ? ' that does not depend on a watched tensor' : ''}`,
      }[this.#state];
      throw new TapeError({
        operation: 'Tape.backward',
        expected: 'one scalar loss of the last recording, once',
        got,
        remedy: 'Record anew, watch the parameters before, and reduce the loss with `sum` or `mean`.',
      });
    }
    this.#state = 'spent';
    this.#one ??= keep(Tensor.from(this.#gpu, [1], [], 'gradient of the loss'));
    this.#gradients.set(loss.id, keep(this.#one.view(loss.shape)));
    try {
      for (let entry = this.#entries.pop(); entry; entry = this.#entries.pop()) this.#walk(entry, places);
    } catch (error) {
      this.#dropGradients();
      throw error;
    } finally {
      this.#dropEntries();
    }
  }

  /** The gradient of a watched tensor after `backward`: the tape's own, valid until `release()` or the next recording. */
  gradient(tensor: Tensor): Tensor | undefined {
    checkTensors('Tape.gradient', { tensor });
    return this.#gradients.get(tensor.id);
  }

  /** Frees the gradients, and what was recorded. */
  release(): void {
    this.#dropEntries();
    this.#dropGradients();
    this.#state = 'empty';
  }

  dispose(): void {
    this.release();
    this.#watched.clear();
    this.#tracked.clear();
    this.#one?.dispose();
    this.#one = undefined;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #walk(entry: Entry, places?: Map<number, Tensor>): void {
    try {
      const gradient = this.#gradients.get(entry.output);
      if (!gradient) return;
      scope(() => {
        const inputs = Object.entries(entry.needs);
        const needs = Object.fromEntries(inputs.map(([name]) => [name, true]));
        // Of several gradients of one tensor the first is written there.
        const free: Record<string, Tensor | undefined> = {};
        for (const [name, id] of inputs) {
          free[name] = places?.get(id);
          places?.delete(id);
        }
        const found = entry.backward(gradient, entry.saved, needs, free);
        for (const [name, id] of inputs) {
          const part = found[name];
          if (!part) continue;
          observe(`gradient of ${entry.name}, to its ${name}`, part);
          this.#accumulate(id, part);
        }
      });
      if (!this.#watched.has(entry.output)) {
        gradient.dispose();
        this.#gradients.delete(entry.output);
      }
    } finally {
      for (const tensor of Object.values(entry.saved)) tensor?.dispose();
    }
  }

  #accumulate(id: number, part: Tensor): void {
    const before = this.#gradients.get(id);
    this.#gradients.set(id, keep(before ? addInto(before, part) : part.alias()));
    before?.dispose();
  }

  #dropEntries(): void {
    for (const { saved } of this.#entries) for (const tensor of Object.values(saved)) tensor?.dispose();
    this.#entries = [];
    this.#tracked.clear();
    for (const id of this.#watched) this.#tracked.add(id);
  }

  #dropGradients(): void {
    for (const gradient of this.#gradients.values()) gradient.dispose();
    this.#gradients = new Map();
  }
}

/** The sum of two gradients of one tensor, as a new one. */
function addInto(a: Tensor, b: Tensor): Tensor {
  const sum = Tensor.empty(a.gpu, a.shape, { label: a.label });
  const count4 = Math.ceil(a.size / 4);
  a.gpu.run('add', {
    params: { count4, slope: 1 },
    buffers: { a: a.buffer, b: b.buffer, y: sum.buffer },
    grid: flatGrid(count4, 64),
  });
  return sum;
}
