import type { NamedWeights } from '../weights/catalogue.js';

/** Weights that come with the package. */
export interface BundledWeights extends NamedWeights {
  /** Where the file lies: below the package, in a checkout and in its build alike. */
  readonly address: () => URL;
}

/**
 * Where the file lies for a module that Vite's development server moved into `node_modules/.vite/`: Vite before 8 leaves the
 * file where it was, and serves it from there. Undefined for a module that was not moved.
 */
export function addressBesideVite(file: string, module = import.meta.url): URL | undefined {
  const [, packages] = /^(.*\/node_modules\/)\.vite\//.exec(module) ?? [];
  return packages === undefined ? undefined : new URL(`retinaface-webgpu/dist/weights/${file}`, packages);
}

/**
 * Every name of weights in the box; the first is what `load()` takes. An address is written out with `import.meta.url`,
 * which is the form that bundlers for browsers copy files along by.
 */
export const BUNDLED_WEIGHTS: readonly [BundledWeights, ...BundledWeights[]] = [
  {
    name: 'faces',
    file: 'mobilenet0.25_faces.safetensors',
    address: () => new URL('../../fixtures/weights/mobilenet0.25_faces.safetensors', import.meta.url),
    bytes: 1_755_656,
    licence: 'for research: has learnt from WIDER FACE and FDDB',
    source: 'this project: photographs of WIDER FACE val, FDDB and of people with masks, after drawn scenes',
    configuration: 'published-mobilenet0.25',
    precision: [0.809, 0.718, 0.4],
    protocol:
      'a held-out fifth of its pictures of WIDER FACE val, long side 640, score > 0.02, suppression at 0.4 with + 1',
  },
  {
    name: 'synthetic',
    file: 'mobilenet0.25_synthetic.safetensors',
    address: () => new URL('../../fixtures/weights/mobilenet0.25_synthetic.safetensors', import.meta.url),
    bytes: 1_755_656,
    licence: 'MIT, as the code',
    source: 'this project: drawn scenes alone, no photograph',
    configuration: 'published-mobilenet0.25',
    precision: [0.3, 0.206, 0.07],
    protocol: '100 pictures of WIDER FACE val at 416×416, score > 0.02, suppression at 0.4 with + 1',
  },
];

/** The weights that `load()` takes. */
export const DEFAULT_WEIGHTS: BundledWeights = BUNDLED_WEIGHTS[0];
