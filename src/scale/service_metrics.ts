import type { Engine } from './engine.js';
import { openMetrics } from './metrics.js';

/** Seconds from a hundredth to a minute. */
const SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** What a service counts. */
export interface ServiceMetrics {
  readonly contentType: string;
  text(): Promise<string>;
  /** A request was answered, or its caller has gone (status 499). */
  request(route: string, status: number, milliseconds: number): void;
  /** A picture was searched: the milliseconds of its stages. */
  picture(faces: number, times: Readonly<Record<string, number>>): void;
  /** A batch was searched: its pictures, bytes that the process which searches holds, and seconds of processors that it has had. */
  batch(pictures: number, resident: number, processor: number): void;
  start(): void;
  /** Watches what waits and what is held. */
  watch(engine: Engine, heldBytes: () => number): void;
}

/** @throws MissingPackageError without prom-client. */
export async function openServiceMetrics(): Promise<ServiceMetrics> {
  const { client, registry } = await openMetrics('serve');
  const registers = [registry];
  const gauge = (name: string, help: string, read: () => number): void => {
    new client.Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  };
  const requests = new client.Histogram({
    name: 'retinaface_request_seconds',
    help: 'Time of requests, by route and status; 499 where the caller has gone.',
    labelNames: ['route', 'status'] as const,
    buckets: SECONDS,
    registers,
  });
  const stages = new client.Histogram({
    name: 'retinaface_stage_seconds',
    help: 'Time of each stage of a picture.',
    labelNames: ['stage'] as const,
    buckets: [0.001, 0.0025, 0.005, ...SECONDS],
    registers,
  });
  const batches = new client.Histogram({
    name: 'retinaface_batch_pictures',
    help: 'Pictures that were searched together.',
    buckets: [1, 2, 4, 8, 16, 32, 64],
    registers,
  });
  const faces = new client.Counter({ name: 'retinaface_faces_total', help: 'Faces found.', registers });
  const starts = new client.Counter({
    name: 'retinaface_engine_starts_total',
    help: 'Times that the process that searches was started.',
    registers,
  });
  const seconds = new client.Counter({
    name: 'retinaface_engine_cpu_seconds_total',
    help: 'Time of processors that the process that searches has had, driver and all, up to its last batch.',
    registers,
  });
  let resident = 0;
  let processorBefore = 0;
  gauge(
    'retinaface_engine_resident_bytes',
    'Memory of the process that searches, after its last batch.',
    () => resident,
  );
  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    request: (route, status, milliseconds) => {
      requests.observe({ route, status }, milliseconds / 1000);
    },
    picture: (found, times) => {
      faces.inc(found);
      for (const [stage, milliseconds] of Object.entries(times)) stages.observe({ stage }, milliseconds / 1000);
    },
    batch: (pictures, bytes, processor) => {
      batches.observe(pictures);
      resident = bytes;
      seconds.inc(processor - processorBefore);
      processorBefore = processor;
    },
    start: () => {
      processorBefore = 0;
      starts.inc();
    },
    watch: (engine, heldBytes) => {
      gauge('retinaface_waiting_pictures', 'Pictures that wait to be searched.', () => engine.waiting);
      gauge('retinaface_searching_pictures', 'Pictures that are decoded or searched.', () => engine.inHand);
      gauge('retinaface_held_bytes', 'Bytes that requests under way may hold.', heldBytes);
      gauge('retinaface_ready', '1 where pictures that come now are searched.', () => Number(engine.ready));
    },
  };
}
