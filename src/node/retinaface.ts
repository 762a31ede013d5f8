import { type CreateOptions, type ModelHost, RetinaFace as AnyRetinaFace } from '../retinaface/retinaface.js';
import { requestDevice } from './device.js';
import { readPicture } from './files.js';
import { useOnce } from '../tune/kept.js';
import { nodeHost } from './weights_store.js';
import { keptTuning } from './tuning.js';

/** RetinaFace that also reads pictures and weights from files, and keeps those that it fetches in the user's cache folder. */
export class RetinaFace extends AnyRetinaFace {
  constructor(...given: ConstructorParameters<typeof AnyRetinaFace>) {
    super(...given);
    useOnce(this.gpu, () => keptTuning(this.gpu).choices);
  }

  static override create(options: CreateOptions = {}): Promise<RetinaFace> {
    return this.make(options, requestDevice, (device, configuration) => new this(device, configuration));
  }

  protected override get host(): ModelHost {
    return { ...nodeHost(), readPicture };
  }
}
