import { RetinaFace as AnyRetinaFace } from '../retinaface/retinaface.js';
import { useOnce } from '../tune/kept.js';
import type { WeightsHost } from '../retinaface/weights_source.js';
import { nodeHost } from './weights_store.js';
import { keptTuning } from './tuning.js';

/** RetinaFace that also loads weights from files, and keeps those that it fetches in the user's cache folder. */
export class RetinaFace extends AnyRetinaFace {
  constructor(...given: ConstructorParameters<typeof AnyRetinaFace>) {
    super(...given);
    useOnce(this.gpu, () => keptTuning(this.gpu).choices);
  }

  protected override get host(): WeightsHost {
    return nodeHost();
  }
}
