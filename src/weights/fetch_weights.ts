import { RetinaFaceError, WeightsError } from '../gpu/errors.js';
import type { PublicWeights } from './catalogue.js';
import { type ByteProgress, download, faultOf } from './download.js';

/** Where fetched weights are kept from one run to the next: a folder in Node, a cache in a browser. */
export interface WeightsStore {
  /** Where the file of these weights belongs, where a person can put it there by hand. */
  readonly place?: (weights: PublicWeights) => string;
  /** What lies there, whole or damaged; undefined where nothing does, or nothing that can be read. */
  readonly read: (weights: PublicWeights) => Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** Keeps a file, whole or not at all. @throws FileError. */
  readonly write: (weights: PublicWeights, bytes: Uint8Array<ArrayBuffer>) => Promise<void>;
}

/** How weights are fetched. */
export interface FetchWeightsOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: ByteProgress) => void) | undefined;
  /** Why nothing may be fetched, where nothing may: `RETINAFACE_OFFLINE is set`. */
  readonly offline?: string | undefined;
  /** Milliseconds that a server is waited for (`DownloadOptions.patience`). */
  readonly patience?: number;
}

/** The file of public weights, and where it came from. */
export interface FetchedWeights {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** True where it had been kept, or put in its place by hand. */
  readonly kept: boolean;
  /** Why it could not be kept for the next time, where it could not. */
  readonly unkept?: Error;
}

/**
 * The file of public weights: the one that was kept, where that is the right one, or else from the first of its addresses
 * that gives it. Size and hash are checked either way; one that was kept and is damaged is fetched again.
 * @throws WeightsError that says where to put the file by hand, where no address gives it or none may be asked; the reason
 * of `signal` when that aborts.
 */
export async function fetchWeights(
  weights: PublicWeights,
  store: WeightsStore | undefined,
  options: FetchWeightsOptions = {},
): Promise<FetchedWeights> {
  const { signal, offline, onProgress, patience } = options;
  signal?.throwIfAborted();
  const kept = await store?.read(weights);
  const fault = kept && (await faultOf(kept, weights));
  if (kept && !fault) {
    onProgress?.({ loaded: kept.length, total: kept.length });
    return { bytes: kept, kept: true };
  }
  const refusals: string[] = [];
  const causes: unknown[] = [];
  if (kept && fault) refusals.push(`${fault.got} where ${fault.expected} was kept`);
  if (offline !== undefined) refusals.push(offline);
  for (const address of offline === undefined ? weights.addresses : []) {
    try {
      const bytes = await download(address, {
        expected: weights,
        redirects: weights.redirects ?? [],
        signal,
        onProgress,
        ...(patience === undefined ? {} : { patience }),
      });
      const unkept = await store?.write(weights, bytes).catch((error: unknown) => {
        if (error instanceof RetinaFaceError) return error;
        throw error;
      });
      return { bytes, kept: false, ...(unkept ? { unkept } : {}) };
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof RetinaFaceError)) throw error;
      refusals.push(`${address}: ${error.got} instead of ${error.expected}`);
      causes.push(error);
    }
  }
  throw new WeightsError({
    operation: `fetch the weights ${weights.name}`,
    expected: `the file of ${weights.bytes} bytes with SHA-256 ${weights.sha256}`,
    got: refusals.join('; '),
    remedy: byHand(weights, store),
    ...(causes.length > 0 ? { cause: causes.length === 1 ? causes[0] : new AggregateError(causes) } : {}),
  });
}

function byHand(weights: PublicWeights, store: WeightsStore | undefined): string {
  const [first] = weights.addresses;
  const fetchIt = `Fetch ${first ?? weights.file} by other means`;
  if (!store?.place) return `${fetchIt} and load it as bytes, or by an address of your own.`;
  return `${fetchIt} and put it at ${store.place(weights)}: it is found there and checked.`;
}
