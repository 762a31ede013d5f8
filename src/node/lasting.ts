import type { Detector } from '../evaluate/evaluate_model.js';
import { DeviceLostError } from '../gpu/errors.js';
import type { Face } from '../image/face.js';
import type { Picture } from '../image/picture.js';
import type { ConfigurationName } from '../retinaface/config.js';
import type { DetectOptions } from '../retinaface/detect_options.js';
import type { GivenConfiguration } from '../retinaface/given_configuration.js';
import type { ModelOptions } from '../retinaface/retinaface.js';
import { requestDevice } from './device.js';
import { RetinaFace } from './retinaface.js';

/** Devices that may be lost one after the other with nothing done in between, before a job gives up. */
export const MAX_LOSSES = 3;

/**
 * What a long job holds on a device, made again on a new one where the device is lost (a driver that was reset, a laptop
 * that slept): the work at hand is repeated, and no other.
 *
 * ```ts
 * using lasting = new Lasting(async (device) => loadedModel(device), say);
 * for (const picture of pictures) await lasting.use((model) => model.detect(picture));
 * ```
 */
export class Lasting<T extends Disposable> implements Disposable {
  readonly #make: (device: GPUDevice) => Promise<T>;
  readonly #say: (words: string) => void;
  readonly #open: () => Promise<GPUDevice>;
  /** What is held now, once it is made; those that use it at once share it. */
  #holding: Promise<T> | undefined;
  #held: T | undefined;
  #device: GPUDevice | undefined;
  #losses = 0;

  /** `make` is called at the first use, and after each loss. `say` is told of losses. */
  constructor(make: (device: GPUDevice) => Promise<T>, say: (words: string) => void, open = () => requestDevice()) {
    this.#make = make;
    this.#say = say;
    this.#open = open;
  }

  /**
   * Does `work`, again from its beginning where the device is lost meanwhile; several at once on one device, where callers wish. Work
   * that can go on from where it was calls `advanced` when that place has moved: losses before it no longer count.
   * @throws DeviceLostError where devices are lost more than MAX_LOSSES times with nothing done in between; what `work`
   * and `make` throw.
   */
  async use<R>(work: (held: T, advanced: () => void) => Promise<R>): Promise<R> {
    const advanced = (): void => {
      this.#losses = 0;
    };
    for (;;) {
      const holding = (this.#holding ??= this.#hold());
      try {
        const result = await work(await holding, advanced);
        advanced();
        return result;
      } catch (error) {
        if (!(error instanceof DeviceLostError)) throw error;
        // Others that used it may have given it back already; one device is lost once.
        if (this.#holding !== holding) continue;
        this.dispose();
        if (++this.#losses > MAX_LOSSES) throw error;
        this.#say(`the device was lost, opening another (${this.#losses} of ${MAX_LOSSES}): ${error.got}\n`);
      }
    }
  }

  /** Frees what is held, and its device. */
  dispose(): void {
    this.#holding = undefined;
    this.#held?.[Symbol.dispose]();
    this.#held = undefined;
    this.#device?.destroy();
    this.#device = undefined;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  async #hold(): Promise<T> {
    try {
      this.#device ??= await this.#open();
      return (this.#held = await this.#make(this.#device));
    } catch (error) {
      if (error instanceof DeviceLostError) throw error;
      if (this.#losses === 0) {
        // The next use tries again, on the device where there is one.
        this.#holding = undefined;
        throw error;
      }
      // Where one could be had before, that none can be had now is nothing of the work's.
      throw new DeviceLostError({
        operation: 'open another device',
        expected: 'one in the place of that which was lost',
        got: error instanceof Error ? error.message : String(error),
        remedy: 'Repeat the command; `retinaface doctor` says what is missing.',
        cause: error,
      });
    }
  }
}

/** A model with weights that lasts. */
export class LastingModel extends Lasting<RetinaFace> implements Detector {
  constructor(
    configuration: ConfigurationName | GivenConfiguration | undefined,
    load: (model: RetinaFace) => Promise<void>,
    say: (words: string) => void,
    options: ModelOptions = {},
  ) {
    super(async (device) => {
      const model = new RetinaFace(device, configuration, options);
      await load(model);
      return model;
    }, say);
  }

  detect(pictures: readonly Picture[], options?: DetectOptions): Promise<Face[][]> {
    return this.use((model) => model.detect(pictures, options));
  }

  /** What the model is, and the driver that it runs on. */
  about(): Promise<{ readonly configuration: string | undefined; readonly driver: string }> {
    return this.use((model) =>
      Promise.resolve({ configuration: model.configuration?.name, driver: model.gpu.info.description }),
    );
  }
}
