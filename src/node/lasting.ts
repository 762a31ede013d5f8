import type { Detector } from '../evaluate/evaluate_model.js';
import { DeviceLostError } from '../gpu/errors.js';
import type { Face } from '../image/face.js';
import type { Picture } from '../image/picture.js';
import type { ConfigurationName } from '../retinaface/config.js';
import type { DetectOptions } from '../retinaface/detect_options.js';
import type { GivenConfiguration } from '../retinaface/given_configuration.js';
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
   * Does `work`, again from its beginning where the device is lost meanwhile. Work that can go on from where it was calls
   * `advanced` when that place has moved: losses before it no longer count.
   * @throws DeviceLostError where devices are lost more than MAX_LOSSES times with nothing done in between; what `work`
   * and `make` throw.
   */
  async use<R>(work: (held: T, advanced: () => void) => Promise<R>): Promise<R> {
    const advanced = (): void => {
      this.#losses = 0;
    };
    for (;;) {
      try {
        const result = await work(await this.#hold(), advanced);
        advanced();
        return result;
      } catch (error) {
        if (!(error instanceof DeviceLostError)) throw error;
        this.dispose();
        if (++this.#losses > MAX_LOSSES) throw error;
        this.#say(`the device was lost, opening another (${this.#losses} of ${MAX_LOSSES}): ${error.got}\n`);
      }
    }
  }

  /** Frees what is held, and its device. */
  dispose(): void {
    this.#held?.[Symbol.dispose]();
    this.#held = undefined;
    this.#device?.destroy();
    this.#device = undefined;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  async #hold(): Promise<T> {
    this.#device ??= await this.#open();
    return (this.#held ??= await this.#make(this.#device));
  }
}

/** A model with weights that lasts. */
export class LastingModel extends Lasting<RetinaFace> implements Detector {
  constructor(
    configuration: ConfigurationName | GivenConfiguration | undefined,
    load: (model: RetinaFace) => Promise<void>,
    say: (words: string) => void,
  ) {
    super(async (device) => {
      const model = new RetinaFace(device, configuration);
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
