import { DeviceLostError, KernelError, OutOfMemoryError, type RetinaFaceError } from './errors.js';
import type { Waiting } from './waiting.js';

/** What went wrong on a device since it was last asked: device errors come later than the calls that caused them. */
export class Checks {
  /** Settles when the device is lost, whoever lost it. */
  readonly lost: Promise<DeviceLostError>;
  readonly #device: GPUDevice;
  readonly #waiting: Waiting;
  #loss: DeviceLostError | undefined;
  #failure: RetinaFaceError | undefined;
  #running: Promise<void>[] = [];
  /** Told when the device is lost. */
  readonly #waiters = new Set<() => void>();

  constructor(device: GPUDevice, waiting: Waiting) {
    this.#device = device;
    this.#waiting = waiting;
    this.lost = device.lost.then((info) => {
      this.#loss = new DeviceLostError({
        operation: 'use the device',
        expected: 'a working GPU device',
        got: `a lost one (${info.reason}${info.message ? `: ${info.message}` : ''})`,
        remedy: 'Open a new device with requestDevice(), make a new model on it and load the weights again.',
      });
      for (const tell of this.#waiters) tell();
      return this.#loss;
    });
  }

  /** Throws a DeviceLostError once the device is lost. */
  assertAlive(): void {
    if (this.#loss) throw this.#loss;
  }

  /** Runs device calls inside error scopes; what they report is thrown by the next `settle`. */
  guard<T>(operation: string, call: () => T, explain?: (error: GPUError) => Promise<RetinaFaceError>): T {
    this.#device.pushErrorScope('out-of-memory');
    this.#device.pushErrorScope('validation');
    let result: T;
    try {
      result = call();
    } catch (error) {
      for (let i = 0; i < 2; i++) void this.#device.popErrorScope().catch(() => undefined);
      throw error;
    }
    const invalid = this.#device.popErrorScope();
    const full = this.#device.popErrorScope();
    const check = async (): Promise<void> => {
      const error = await invalid;
      if (error) {
        this.#failure ??= explain
          ? await explain(error)
          : new KernelError({
              operation,
              expected: 'commands that this device accepts',
              got: error.message,
              remedy: 'This is a fault of the library: please report it with this message.',
            });
      }
      const outOfMemory = await full;
      if (outOfMemory) {
        this.#failure ??= new OutOfMemoryError({
          operation,
          expected: 'enough device memory',
          got: outOfMemory.message,
          remedy: 'Use a smaller batch or a smaller input, or dispose of tensors that are no longer needed.',
        });
      }
    };
    // A lost device rejects or never answers; `lost` is what reports it then.
    this.#running.push(check().catch(() => undefined));
    return result;
  }

  /**
   * Waits for a promise of the device, then for all checks.
   * @throws what the device reported since the last call; else what the promise was rejected with.
   */
  async settle<T>(promise: Promise<T>): Promise<T> {
    let outcome: { readonly value: T } | { readonly cause: unknown };
    try {
      outcome = { value: await this.#waiting(promise) };
    } catch (cause) {
      outcome = { cause };
    }
    const running = this.#running;
    this.#running = [];
    await this.#waiting(this.#orLost(Promise.all(running)));
    const failure = this.#loss ?? this.#failure;
    this.#failure = undefined;
    if (failure) throw failure;
    if ('cause' in outcome) throw outcome.cause;
    return outcome.value;
  }

  /** Until the promise settles, or the device is lost. `Promise.race` would leave a reaction at `lost` each time, for good. */
  #orLost(promise: Promise<unknown>): Promise<void> {
    if (this.#loss) return Promise.resolve();
    return new Promise((resolve) => {
      const settle = (): void => {
        this.#waiters.delete(settle);
        resolve();
      };
      this.#waiters.add(settle);
      promise.then(settle, settle);
    });
  }
}
