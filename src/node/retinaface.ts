import { RetinaFace as AnyRetinaFace } from '../retinaface/retinaface.js';
import { readBytes } from './files.js';

/** RetinaFace that also loads weights from file paths. */
export class RetinaFace extends AnyRetinaFace {
  protected override async readBytes(source: string | URL): Promise<Uint8Array> {
    const address = String(source);
    return /^https?:/i.test(address) ? super.readBytes(source) : readBytes(source, 'load weights');
  }
}
