// The modules for pages that tools/bundle.mjs makes.

/**
 * The modules that the package has below dist/, each one minified file. `inference`: nothing of training. `beside`: the module
 * that it is used with, whose classes of errors it shares.
 */
export const ENTRIES = {
  'retinaface.js': { source: 'src/browser/library.ts' },
  'inference.js': { source: 'src/browser/inference.ts', inference: true },
  'evaluate.js': { source: 'src/evaluate/index.ts', beside: 'retinaface.js' },
  'scenes.js': { source: 'src/data/synthetic.ts', beside: 'retinaface.js' },
};

/** What is fetched when it is needed: modules beside each of the entries that import them, in dist/chunks/. */
export const ON_DEMAND = [
  'src/gpu/profile.ts',
  'src/retinaface/tiles.ts',
  'src/retinaface/turns.ts',
  'src/weights/fetch_weights.ts',
  'src/weights/pytorch.ts',
];
