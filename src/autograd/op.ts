import { ArgumentError, DeviceMismatchError } from '../gpu/errors.js';
import { scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import { observe } from './check_finite.js';
import { activeTape } from './tape.js';

/** What an op reads: tensors by name; optional ones may be undefined. */
export type Inputs = Readonly<Record<string, Tensor | undefined>>;

/** Tensors that backward will need, by name; they may be inputs, the output, or made for the purpose. */
export type Saved = Readonly<Record<string, Tensor | undefined>>;

/** What backward is told besides the gradient of the output. */
export interface BackwardContext<I extends Inputs, O> {
  readonly saved: Saved;
  readonly options: O;
  /** Which inputs need a gradient; no other work may be done. */
  readonly needs: { readonly [K in keyof I]?: boolean };
  /**
   * Where the gradient of an input may be written instead of into a new tensor, which is answered then: contiguous, of as many
   * elements, perhaps of another shape. Behind these elements nothing may be written. An operation need not heed it.
   */
  readonly places: { readonly [K in keyof I]?: Tensor };
}

/** One differentiable operation: its forward, its backward, in one place. */
export interface OpDefinition<I extends Inputs, O> {
  readonly name: string;
  /** Encodes the computation. `recording` is true when backward will follow and `saved` is wanted. */
  readonly forward: (
    inputs: I,
    options: O,
    recording: boolean,
  ) => Tensor | { readonly output: Tensor; readonly saved: Saved };
  /** The gradient of each needed input from the gradient of the output. Absent for operations without one. */
  readonly backward?: (
    gradient: Tensor,
    context: BackwardContext<I, O>,
  ) => { readonly [K in keyof I]?: Tensor | undefined };
}

/**
 * Makes an op callable: checks that its inputs are alive and on one device, frees what its forward leaves behind, and
 * tells the recording tape, if there is one and it follows an input.
 */
export function defineOp<I extends Inputs, O>(definition: OpDefinition<I, O>): (inputs: I, options: O) => Tensor {
  return (inputs, options) => {
    let first: Tensor | undefined;
    for (const tensor of Object.values(inputs)) {
      if (!tensor) continue;
      tensor.assertLive();
      first ??= tensor;
      if (tensor.gpu !== first.gpu) {
        throw new DeviceMismatchError({
          operation: definition.name,
          expected: `all tensors on the device of ${first.label}`,
          got: `${tensor.label} on another device`,
          remedy: 'Make all tensors of one computation with the same device.',
        });
      }
    }
    const tape = activeTape();
    const follows = tape?.follows(inputs) === true;
    if (follows && !definition.backward) {
      throw new ArgumentError({
        operation: definition.name,
        expected: 'an operation with a gradient inside `tape.record`',
        got: 'one without',
        remedy: 'Call it outside the recording, or on tensors that the tape does not watch.',
      });
    }
    return scope(() => {
      const result = definition.forward(inputs, options, follows);
      const { output, saved } = 'output' in result ? result : { output: result, saved: {} };
      observe(definition.name, output);
      if (follows) {
        tape.append({
          name: definition.name,
          inputs,
          output,
          saved,
          backward: (gradient, kept, needs, places) =>
            definition.backward?.(gradient, { saved: kept, options, needs, places }) ?? {},
        });
      }
      return output;
    });
  };
}
