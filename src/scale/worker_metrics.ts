import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { FileError } from '../gpu/errors.js';
import { openMetrics } from './metrics.js';
import type { WorkerEvents } from './worker.js';

/** What a worker counts, where Prometheus asks for it. */
export interface WorkerMetrics extends AsyncDisposable {
  /** To be given to the worker. */
  readonly events: Required<Pick<WorkerEvents, 'onStage' | 'onBatch' | 'onJob' | 'onError'>>;
  /** `http://HOST:PORT/metrics` */
  readonly address: string;
}

/**
 * Counts, and answers `GET /metrics` in Prometheus' format: `retinaface_jobs_total` by outcome, `retinaface_stage_seconds` by stage,
 * `retinaface_batch_pictures`, `retinaface_queue_errors_total`, and what Node tells of its process.
 * @throws MissingPackageError without prom-client; FileError where the port is taken.
 */
export async function serveMetrics(port: number, host = '127.0.0.1'): Promise<WorkerMetrics> {
  const { client, registry } = await openMetrics('serve metrics');
  const { Counter, Histogram } = client;
  const registers = [registry];
  const jobs = new Counter({
    name: 'retinaface_jobs_total',
    help: 'Jobs by what became of them: done, retried, dead, stalled',
    labelNames: ['outcome'],
    registers,
  });
  const stages = new Histogram({
    name: 'retinaface_stage_seconds',
    help: 'Seconds of a stage: read, decode and deliver of a picture, search of a batch',
    labelNames: ['stage'],
    buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30],
    registers,
  });
  const batches = new Histogram({
    name: 'retinaface_batch_pictures',
    help: 'Pictures of a search',
    buckets: [1, 2, 4, 8, 16, 32, 64],
    registers,
  });
  const errors = new Counter({
    name: 'retinaface_queue_errors_total',
    help: 'What went wrong outside of any job: the connection to Redis above all',
    registers,
  });
  const server = createServer((request, response) => {
    if (request.method !== 'GET' || request.url !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    registry.metrics().then(
      (text) => response.writeHead(200, { 'content-type': registry.contentType }).end(text),
      () => response.writeHead(500).end(),
    );
  });
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, resolve);
    });
  } catch (cause) {
    throw new FileError({
      operation: 'serve metrics',
      expected: `a port that is free on ${host}`,
      got: cause instanceof Error ? cause.message : String(cause),
      remedy: 'Name another one: --metrics PORT.',
      cause,
    });
  }
  // It serves the work, and does not keep the process alive after it.
  server.unref();
  return {
    events: {
      onStage: (stage, seconds) => {
        stages.observe({ stage }, seconds);
      },
      onBatch: (pictures) => {
        batches.observe(pictures);
      },
      onJob: (outcome) => {
        jobs.inc({ outcome });
      },
      onError: () => {
        errors.inc();
      },
    },
    address: `http://${host.includes(':') ? `[${host}]` : host}:${(server.address() as AddressInfo).port}/metrics`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}
