import type { ConfigurationName } from './config.js';

/** The network that the bundled weights are of. */
export const BUNDLED_CONFIGURATION: ConfigurationName = 'published-mobilenet0.25';

/**
 * Where the weights in the box lie: below the package, in a checkout and in its build alike. The form with
 * `import.meta.url` is the one that bundlers for browsers copy along.
 */
export function bundledWeights(): URL {
  return new URL('../../fixtures/weights/mobilenet0.25_synthetic.safetensors', import.meta.url);
}
