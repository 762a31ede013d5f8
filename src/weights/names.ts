import { recogniseBackbone } from './recognise.js';
import type { StateDict } from './state.js';

/**
 * The tensors under this library's parameter names. Published checkpoints and files written by this library have them
 * already. A classifier's trunk (torchvision's ResNet-50, the ImageNet-trained MobileNet-0.25) moves to `body.*` and loses
 * its last layer `fc`. Files of neither kind come back as they are, for `matchState` to say what they lack.
 */
export function toParameterNames(tensors: StateDict): StateDict {
  if (recogniseBackbone(tensors) === undefined) return tensors;
  return new Map(
    [...tensors].filter(([name]) => !name.startsWith('fc.')).map(([name, tensor]) => [`body.${name}`, tensor]),
  );
}
