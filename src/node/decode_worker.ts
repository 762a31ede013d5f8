// What a thread that decodes does: it decodes or draws one picture after the other, or cuts faces out, as it is told.
import { parentPort, workerData } from 'node:worker_threads';
import type { Face } from '../data/sample.js';
import { syntheticScene, type SyntheticOptions } from '../data/synthetic.js';
import { type Problem, RetinaFaceError } from '../gpu/errors.js';
import { alignFace } from '../image/align.js';
import type { Face as FoundFace } from '../image/face.js';
import type { Picture } from '../image/picture.js';
import { decodeImage, encodeJpeg, encodePng, formatOf, imageSize } from './codecs.js';
import { readImage } from './files.js';

/** A picture to decode or to draw. */
export type PictureJob =
  | { readonly kind: 'file'; readonly path: string }
  | BytesJob
  | { readonly kind: 'scene'; readonly seed: number; readonly index: number; readonly options: SyntheticOptions };

/** A PNG or JPEG; its bytes own their buffer, which goes over to the thread. */
export interface BytesJob {
  readonly kind: 'bytes';
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** What errors call it. */
  readonly name: string;
  readonly maxPixels: number;
}

/** Faces of a picture, whose pixels go over to the thread, to be turned upright into files of `size`×`size` pixels. */
export interface AlignJob {
  readonly kind: 'align';
  readonly picture: Picture;
  readonly faces: readonly FoundFace[];
  readonly size: number;
  readonly format: 'png' | 'jpeg';
}

/** What a thread does. */
export type DecodeJob = PictureJob | AlignJob;

/** Why a picture is no picture for us: another format, more pixels than are allowed, or damage. */
export type Unreadable = 'format' | 'pixels' | 'damage';

/** A picture that was made, or why it was not. */
export type PictureResult =
  | {
      readonly kind: 'picture';
      readonly data: Uint8Array<ArrayBuffer>;
      readonly width: number;
      readonly height: number;
      /** Of a drawn scene. */
      readonly faces?: readonly Face[];
    }
  | {
      readonly kind: 'unreadable';
      readonly message: string;
      /** Of bytes. */
      readonly why?: Unreadable;
      /** Of bytes: the parts of the error. */
      readonly problem?: Omit<Problem, 'cause'>;
    };

/** Files of faces, in order; undefined for one without landmarks to be aligned by. */
export interface AlignResult {
  readonly kind: 'aligned';
  readonly files: readonly (Uint8Array | undefined)[];
}

/** What comes of a job. */
export type ResultOf<J extends DecodeJob> = J extends AlignJob ? AlignResult : PictureResult;

/** What threads that decode are started with. */
export const DECODE_WORKER = 'retinaface-webgpu decode worker';

/** Does a job. A picture that cannot be read is an answer; anything else that goes wrong is thrown. */
export async function performJob(job: DecodeJob): Promise<PictureResult | AlignResult> {
  if (job.kind === 'scene') {
    const { picture, faces } = syntheticScene(job.seed, job.index, job.options);
    return { kind: 'picture', ...withOwnBytes(picture), faces };
  }
  if (job.kind === 'bytes') return decodeBytes(job);
  if (job.kind === 'align') return { kind: 'aligned', files: job.faces.map((face) => alignedFile(job, face)) };
  try {
    return { kind: 'picture', ...withOwnBytes(await readImage(job.path)) };
  } catch (error) {
    if (!(error instanceof RetinaFaceError)) throw error;
    return { kind: 'unreadable', message: error.message };
  }
}

function decodeBytes({ bytes, name, maxPixels }: BytesJob): PictureResult {
  let why: Unreadable = 'format';
  try {
    if (formatOf(bytes)) why = 'damage';
    const { width, height } = imageSize(bytes, name);
    if (width * height > maxPixels) why = 'pixels';
    return { kind: 'picture', ...withOwnBytes(decodeImage(bytes, name, { maxPixels })) };
  } catch (error) {
    if (!(error instanceof RetinaFaceError)) throw error;
    const { message, operation, expected, got, remedy } = error;
    return { kind: 'unreadable', message, why, problem: { operation, expected, got, remedy } };
  }
}

function alignedFile({ picture, size, format }: AlignJob, face: FoundFace): Uint8Array | undefined {
  let aligned: Picture;
  try {
    aligned = alignFace(picture, face, { size });
  } catch (error) {
    if (error instanceof RetinaFaceError) return undefined;
    throw error;
  }
  return format === 'png' ? encodePng(aligned) : encodeJpeg(aligned);
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
