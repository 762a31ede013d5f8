import { checkAtOnce, checkOptions } from '../gpu/arguments.js';

/** What a scope can free. */
export interface Releasable {
  dispose(): void;
}

const open: Set<Releasable>[] = [];

/** Enters a new tensor into the innermost open scope, if there is one. */
export function register(value: Releasable): void {
  open.at(-1)?.add(value);
}

/** Takes a tensor out of every open scope: from here on its holder frees it. Answers the same tensor. */
export function keep<T extends Releasable>(value: T): T {
  for (const scope of open) scope.delete(value);
  return value;
}

/** Tensors found in a result: the value itself, the items of an array, the values of a plain object, to any depth. */
function* releasables(value: unknown): Generator<Releasable> {
  if (typeof value !== 'object' || value === null) return;
  if ('dispose' in value && typeof value.dispose === 'function') yield value as Releasable;
  else if (Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype) {
    for (const item of Object.values(value)) yield* releasables(item);
  }
}

/**
 * Runs `compute` and frees every tensor made inside but those it answers (a tensor, or arrays and plain objects of
 * them), which pass to the scope around. Nothing is left behind when it throws. `compute` must be synchronous: encoding
 * GPU work never waits. @throws ArgumentError where it answers a promise.
 */
export function scope<T>(compute: () => T): T {
  // Asked first: every layer of a network is computed in a scope.
  if (typeof compute !== 'function') checkOptions('scope', { compute }, { compute: 'function!' });
  const made = new Set<Releasable>();
  open.push(made);
  try {
    const result = compute();
    checkAtOnce('scope', result);
    for (const kept of releasables(result)) {
      if (made.delete(kept)) open.at(-2)?.add(kept);
    }
    return result;
  } finally {
    open.pop();
    for (const value of made) value.dispose();
  }
}
