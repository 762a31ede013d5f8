import type * as PromClient from 'prom-client';
import { optionalPackage } from './optional.js';

/** What metrics are made with, and where they are kept. */
export interface Metrics {
  readonly client: typeof PromClient;
  /** Each holder has its own: two services in one process do not meet. */
  readonly registry: PromClient.Registry;
}

/**
 * Metrics in the format of Prometheus, those of the process itself (memory, processor time, delays of its event loop) among
 * them. `operation` is what an error calls the attempt.
 * @throws MissingPackageError without prom-client.
 */
export async function openMetrics(operation: string): Promise<Metrics> {
  const client = await optionalPackage('prom-client', () => import('prom-client'), operation);
  const registry = new client.Registry();
  client.collectDefaultMetrics({ register: registry });
  return { client, registry };
}
