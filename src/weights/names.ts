import { recogniseBackbone } from './recognise.js';
import type { StateDict } from './state.js';

/** What Lightning puts before the names of the network that its module holds. */
const LIGHTNING_PREFIX = 'model.';

/** Names of yakhyo/retinaface-pytorch, and what they are in the published checkpoints. */
const OTHER_NAMES: readonly (readonly [RegExp, (...groups: string[]) => string])[] = [
  // A depthwise block nests its two convolutions; published ones list [conv, norm, activation] twice.
  [
    /^(fx\.)?(stage\d+\.\d+)\.([01])\.([01])\./,
    (fx, block = '', i, j) => `${fx ? 'body.' : ''}${block}.${3 * Number(i) + Number(j)}.`,
  ],
  [/^fx\./, () => 'body.'],
  [/^class_head\.class_head\.(\d+)\./, (level = '') => `ClassHead.${level}.conv1x1.`],
  [/^bbox_head\.bbox_head\.(\d+)\./, (level = '') => `BboxHead.${level}.conv1x1.`],
  [/^landmark_head\.landmark_head\.(\d+)\./, (level = '') => `LandmarkHead.${level}.conv1x1.`],
];

/**
 * The tensors under this library's parameter names. Published checkpoints and files written by this library have them
 * already. Files of Lightning lose their prefix `model.`, those of yakhyo/retinaface-pytorch are renamed; a classifier's
 * trunk (torchvision's ResNet-50, the ImageNet-trained MobileNet-0.25) moves to `body.*` and loses its last layer `fc`.
 * Files of another kind come back as they are, for `matchState` to say what they lack.
 */
export function toParameterNames(tensors: StateDict): StateDict {
  const named = renamed(withoutPrefix(tensors, LIGHTNING_PREFIX));
  if (recogniseBackbone(named) === undefined || everyName(named, 'body.')) return named;
  return new Map(
    [...named].filter(([name]) => !name.startsWith('fc.')).map(([name, tensor]) => [`body.${name}`, tensor]),
  );
}

const everyName = (tensors: StateDict, prefix: string): boolean =>
  tensors.size > 0 && [...tensors.keys()].every((name) => name.startsWith(prefix));

/** Without a prefix that all names have. */
function withoutPrefix(tensors: StateDict, prefix: string): StateDict {
  if (!everyName(tensors, prefix)) return tensors;
  return new Map([...tensors].map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

function renamed(tensors: StateDict): StateDict {
  const published = new Map([...tensors].map(([name, tensor]) => [publishedName(name), tensor]));
  // Names that fall together are of yet another network.
  const same = published.size < tensors.size || [...published.keys()].every((name) => tensors.has(name));
  return same ? tensors : published;
}

function publishedName(name: string): string {
  for (const [pattern, replace] of OTHER_NAMES) {
    const found = pattern.exec(name);
    if (found) return replace(...found.slice(1)) + name.slice(found[0].length);
  }
  return name;
}
