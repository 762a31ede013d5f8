import { type CreateOptions, type ModelHost, RetinaFace as AnyRetinaFace } from '../retinaface/retinaface.js';
import { requestDevice } from './device.js';
import { readPicture } from './sources.js';
import { weightsStore } from './weights_store.js';
import { keptTuning } from './tuning.js';

/** RetinaFace that takes what a page shows as it is, and keeps the weights that it fetches by name in the browser's cache. */
export class RetinaFace extends AnyRetinaFace {
  static override create(options: CreateOptions = {}): Promise<RetinaFace> {
    return this.make(options, requestDevice, (...given) => new this(...given));
  }

  protected override get host(): ModelHost {
    return { store: weightsStore(), readPicture, keptChoices: (gpu) => keptTuning(gpu).choices };
  }
}
