import { RetinaFace as AnyRetinaFace } from '../retinaface/retinaface.js';
import type { WeightsHost } from '../retinaface/weights_source.js';
import { nodeHost } from './weights_store.js';

/** RetinaFace that also loads weights from files, and keeps those that it fetches in the user's cache folder. */
export class RetinaFace extends AnyRetinaFace {
  protected override get host(): WeightsHost {
    return nodeHost();
  }
}
