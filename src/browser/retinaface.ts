import { RetinaFace as AnyRetinaFace } from '../retinaface/retinaface.js';
import { useOnce } from '../tune/kept.js';
import type { WeightsHost } from '../retinaface/weights_source.js';
import { weightsStore } from './weights_store.js';
import { keptTuning } from './tuning.js';

/** RetinaFace that keeps the weights that it fetches by name in the browser's cache. */
export class RetinaFace extends AnyRetinaFace {
  constructor(...given: ConstructorParameters<typeof AnyRetinaFace>) {
    super(...given);
    useOnce(this.gpu, () => keptTuning(this.gpu).choices);
  }

  protected override get host(): WeightsHost {
    return { store: weightsStore() };
  }
}
