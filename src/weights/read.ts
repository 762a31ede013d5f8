import { checkOptions } from '../gpu/arguments.js';
import { appearanceOf, isZip } from './appearance.js';
import { weightsProblem } from './byte_reader.js';
import { readSafetensors } from './safetensors.js';
import type { StateDict } from './state.js';
import { withoutBookkeeping } from './state.js';

/**
 * Reads a weights file of any known format, told by its first bytes: safetensors, or either format of torch.save. A prefix
 * `module.` is stripped and `num_batches_tracked` left out. `source` names the file in errors. Throws WeightsError for
 * anything else, saying what the file looks like.
 */
export async function readWeights(bytes: Uint8Array, source: string): Promise<StateDict> {
  checkOptions('readWeights', { bytes, source }, { bytes: 'Uint8Array!', source: 'string!' });
  if (isZip(bytes) || isPickle(bytes)) {
    // A page that only meets safetensors never fetches this.
    const { readPytorch } = await import('./pytorch.js');
    return readPytorch(bytes, source);
  }
  if (isSafetensors(bytes)) return withoutBookkeeping(readSafetensors(bytes, source).tensors, source);
  const { what, remedy } = appearanceOf(bytes);
  throw weightsProblem(source, 'a safetensors or PyTorch file', what, remedy);
}

/** A pickle of protocol 2 to 5, or the number that torch.save starts with in the text of protocol 1. */
function isPickle(bytes: Uint8Array): boolean {
  const binary = bytes[0] === 0x80 && bytes[1] !== undefined && bytes[1] >= 2 && bytes[1] <= 5;
  return binary || String.fromCharCode(...bytes.subarray(0, 8)) === 'L1195470';
}

/** A JSON object after eight bytes of length; the upper three of these are zero in any file under a terabyte. */
function isSafetensors(bytes: Uint8Array): boolean {
  return bytes[8] === 0x7b && bytes[5] === 0 && bytes[6] === 0 && bytes[7] === 0;
}
