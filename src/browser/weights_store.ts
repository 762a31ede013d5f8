import { FileError } from '../gpu/errors.js';
import type { WeightsStore } from '../weights/fetch_weights.js';

const CACHE = 'retinaface-webgpu';

/**
 * Keeps fetched weights in the browser's Cache API, which is whole or not at all by itself; undefined where a page has
 * none, so that weights are fetched each time.
 */
export function weightsStore(): WeightsStore | undefined {
  if (!('caches' in globalThis)) return undefined;
  return {
    async read({ addresses }) {
      try {
        const response = await (await caches.open(CACHE)).match(addresses[0] ?? '');
        return response && new Uint8Array(await response.arrayBuffer());
      } catch {
        return undefined;
      }
    },
    async write({ addresses, file }, bytes) {
      try {
        await (await caches.open(CACHE)).put(addresses[0] ?? '', new Response(bytes));
      } catch (cause) {
        throw new FileError({
          operation: `keep ${file}`,
          expected: `room in the cache '${CACHE}' of this page`,
          got: cause instanceof Error ? cause.message : String(cause),
          remedy: 'Free storage of this page; until then the file is fetched each time.',
          cause,
        });
      }
    },
  };
}
