// The modules for pages that tools/bundle.mjs makes.

/** The entries that the package has below dist/. `inference`: nothing of training; in files, of which some are on demand. */
export const ENTRIES = {
  'retinaface.js': { source: 'src/browser/index.ts', inference: false },
  'inference.js': { source: 'src/browser/inference.ts', inference: true },
};
