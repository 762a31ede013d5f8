import { type CreateOptions, type ModelHost, RetinaFace as AnyRetinaFace } from '../retinaface/retinaface.js';
import { requestDevice } from './device.js';
import { readPicture } from './files.js';
import { nodeHost } from './weights_store.js';
import { keptTuning } from './tuning.js';

/** RetinaFace that also reads pictures and weights from files, and keeps those that it fetches in the user's cache folder. */
export class RetinaFace extends AnyRetinaFace {
  static override create(options: CreateOptions = {}): Promise<RetinaFace> {
    return this.make(options, requestDevice, (...given) => new this(...given));
  }

  protected override get host(): ModelHost {
    return { ...nodeHost(), readPicture, keptChoices: (gpu) => keptTuning(gpu).choices };
  }
}
