// What a worker thread of the picture loader does: it decodes or draws one picture after the other, as it is told.
import { parentPort, workerData } from 'node:worker_threads';
import type { Face } from '../data/sample.js';
import { syntheticScene, type SyntheticOptions } from '../data/synthetic.js';
import { RetinaFaceError } from '../gpu/errors.js';
import { readImage } from './files.js';

/** A picture to decode or to draw. */
export type DecodeJob =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'scene'; readonly seed: number; readonly index: number; readonly options: SyntheticOptions };

/** A picture that was made, or why it was not. */
export type DecodeResult =
  | {
      readonly kind: 'picture';
      readonly data: Uint8Array<ArrayBuffer>;
      readonly width: number;
      readonly height: number;
      /** Of a drawn scene. */
      readonly faces?: readonly Face[];
    }
  | { readonly kind: 'unreadable'; readonly message: string };

/** What the loader's worker threads are started with. */
export const DECODE_WORKER = 'retinaface-webgpu decode worker';

/** Does a job. A picture that cannot be read is an answer; anything else that goes wrong is thrown. */
export async function performJob(job: DecodeJob): Promise<DecodeResult> {
  if (job.kind === 'scene') {
    const { picture, faces } = syntheticScene(job.seed, job.index, job.options);
    return { kind: 'picture', ...withOwnBytes(picture), faces };
  }
  try {
    return { kind: 'picture', ...withOwnBytes(await readImage(job.path)) };
  } catch (error) {
    if (!(error instanceof RetinaFaceError)) throw error;
    return { kind: 'unreadable', message: error.message };
  }
}

/** The same picture with a buffer that holds nothing else, so that it can be handed over. */
function withOwnBytes({
  data,
  width,
  height,
}: {
  data: Uint8Array | Uint8ClampedArray;
  width: number;
  height: number;
}): {
  data: Uint8Array<ArrayBuffer>;
  width: number;
  height: number;
} {
  const { buffer, byteOffset, byteLength } = data;
  const whole = buffer instanceof ArrayBuffer && byteOffset === 0 && byteLength === buffer.byteLength;
  return { data: whole ? new Uint8Array(buffer) : Uint8Array.from(data), width, height };
}

if (workerData === DECODE_WORKER && parentPort) {
  const port = parentPort;
  port.on('message', (job: DecodeJob) => {
    performJob(job).then(
      (result) => {
        port.postMessage(result, result.kind === 'picture' ? [result.data.buffer] : []);
      },
      (error: unknown) => {
        // Out of this promise, so that the loader hears of it as the worker's failure.
        setImmediate(() => {
          throw error;
        });
      },
    );
  });
}
