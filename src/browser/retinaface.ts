import { RetinaFace as AnyRetinaFace } from '../retinaface/retinaface.js';
import type { WeightsHost } from '../retinaface/weights_source.js';
import { weightsStore } from './weights_store.js';

/** RetinaFace that keeps the weights that it fetches by name in the browser's cache. */
export class RetinaFace extends AnyRetinaFace {
  protected override get host(): WeightsHost {
    return { store: weightsStore() };
  }
}
