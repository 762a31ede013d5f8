import { ImageError } from '../gpu/errors.js';
import type { Size } from '../image/letterbox.js';
import { checkPicture, checkSize, isPicture, type Picture } from '../image/picture.js';
import { blobOf, kindOf, noSource, type PictureInput } from '../image/source.js';
import { type AnyPicture, capturePicture } from '../ops/device_picture.js';
import type { PictureReading } from '../retinaface/retinaface.js';
import { mistakenFor } from '../weights/appearance.js';

/** What WebGPU and a canvas both take as it is. */
type Shown = ImageBitmap | HTMLVideoElement | VideoFrame | HTMLCanvasElement | OffscreenCanvas;

const TAKEN = 'an image, video, canvas, ImageBitmap, ImageData, VideoFrame, address, Response';

/**
 * Reads a picture, upright, as pixels: of an address, a Response, a file's bytes in any format that the browser decodes, or of
 * what the page shows.
 * @throws FileError when it cannot be fetched, ImageError when it cannot be decoded or looked into, ArgumentError for anything
 * else.
 */
export async function readImage(source: PictureInput): Promise<Picture> {
  const operation = 'readImage';
  if (isPicture(source)) return checkPicture(source, operation);
  if (isShown(source)) return pixelsOf(source, sizeOf(source, operation), operation);
  using bitmap = await decoded(source, operation, undefined);
  return pixelsOf(bitmap.value, bitmap.value, operation);
}

/**
 * What a model reads pictures by: pixels as they are; what the page shows, and what the browser decodes, on the device without a
 * way through JavaScript, wherever the browser can.
 */
export function readPicture(source: PictureInput, reading: PictureReading): AnyPicture | Promise<AnyPicture> {
  const { operation } = reading;
  if (isPicture(source)) return checkPicture(source, operation);
  if (isShown(source)) return captured(source, sizeOf(source, operation), reading);
  return decodedPicture(source, reading);
}

async function decodedPicture(source: PictureInput, reading: PictureReading): Promise<AnyPicture> {
  using bitmap = await decoded(source, reading.operation, reading.signal);
  return captured(bitmap.value, bitmap.value, reading);
}

/**
 * On the device. What this browser's WebGPU does not take (video without a GPU process, some kinds in Firefox) goes over a canvas,
 * which it does; only what is too large for a texture comes as pixels.
 */
function captured(source: Shown, { width, height }: Size, { gpu, operation }: PictureReading): AnyPicture {
  const size = { width, height };
  for (const way of [() => source, () => drawn(source, size, operation).canvas]) {
    try {
      const picture = capturePicture(gpu, way(), size);
      if (!picture) break;
      return picture;
    } catch (error) {
      // An error of this library is about the device, or about what the page may look into.
      if (!(error instanceof DOMException || error instanceof TypeError)) throw error;
      if (error.name === 'SecurityError') throw unreadable(operation, source, error);
    }
  }
  return pixelsOf(source, size, operation);
}

function pixelsOf(source: Shown, { width, height }: Size, operation: string): Picture {
  const context = drawn(source, { width, height }, operation, { willReadFrequently: true });
  try {
    return { data: context.getImageData(0, 0, width, height).data, width, height };
  } catch (cause) {
    throw unreadable(operation, source, cause);
  }
}

/** A canvas with a copy of it. */
function drawn(
  source: Shown,
  { width, height }: Size,
  operation: string,
  settings?: CanvasRenderingContext2DSettings,
): OffscreenCanvasRenderingContext2D {
  try {
    const context = new OffscreenCanvas(width, height).getContext('2d', settings);
    if (!context) throw new Error('no 2D canvas');
    context.drawImage(source, 0, 0, width, height);
    return context;
  } catch (cause) {
    throw unreadable(operation, source, cause);
  }
}

/** The picture that a browser decodes from a source: its bytes, or an image element, upright. */
async function decoded(
  source: PictureInput,
  operation: string,
  signal: AbortSignal | undefined,
): Promise<Disposable & { readonly value: ImageBitmap }> {
  const isImage = kindOf(source) === 'HTMLImageElement';
  const blob = isImage ? await loaded(source as HTMLImageElement, operation) : await blobOf(source, signal);
  if (!blob) throw noSource(operation, source, TAKEN);
  signal?.throwIfAborted();
  let value: ImageBitmap;
  try {
    value = await createImageBitmap(blob, { imageOrientation: 'from-image', premultiplyAlpha: 'none' });
  } catch (cause) {
    throw isImage ? unreadable(operation, source, cause) : await undecoded(nameOf(source), blob as Blob, cause);
  }
  const picture = {
    value,
    [Symbol.dispose]() {
      value.close();
    },
  };
  try {
    checkSize(operation, value.width, value.height);
  } catch (error) {
    value.close();
    throw error;
  }
  return picture;
}

/** The image once it has loaded. */
async function loaded(image: HTMLImageElement, operation: string): Promise<HTMLImageElement> {
  try {
    await image.decode();
    return image;
  } catch (cause) {
    throw new ImageError({
      operation,
      expected: 'an image that loads',
      got: image.currentSrc === '' ? 'one without an address' : `one that does not: ${image.currentSrc.slice(0, 200)}`,
      remedy: 'Check its address (`src`), and what the network panel says of it.',
      cause,
    });
  }
}

function isShown(source: unknown): source is Shown {
  return ['ImageBitmap', 'HTMLVideoElement', 'VideoFrame', 'HTMLCanvasElement', 'OffscreenCanvas'].includes(
    kindOf(source),
  );
}

/** Its size in pixels. @throws ImageError where it has none, or has nothing to show yet. */
function sizeOf(source: Shown, operation: string): Size {
  const video = kindOf(source) === 'HTMLVideoElement' ? (source as HTMLVideoElement) : undefined;
  // HAVE_CURRENT_DATA
  if (video && video.readyState < 2) {
    throw new ImageError({
      operation,
      expected: 'a video that shows a frame',
      got: video.error ? `one that failed: ${video.error.message}` : 'one that has not loaded any yet',
      remedy: "Wait for its event 'loadeddata', or for `await video.play()`.",
    });
  }
  const [width, height] = video
    ? [video.videoWidth, video.videoHeight]
    : 'displayWidth' in source
      ? [source.displayWidth, source.displayHeight]
      : [(source as ImageBitmap).width, (source as ImageBitmap).height];
  checkSize(operation, width, height);
  return { width, height };
}

/** What errors call a source. */
function nameOf(source: PictureInput): string {
  if (typeof source === 'string' || source instanceof URL) return String(source).slice(0, 200);
  const kind = kindOf(source);
  if (kind === 'File') return (source as File).name;
  return kind === 'Response' && (source as Response).url !== '' ? (source as Response).url : 'the given picture';
}

/** Why a browser shows a picture to people and not to a script. */
function unreadable(operation: string, source: unknown, cause: unknown): ImageError {
  const foreign = cause instanceof DOMException && cause.name === 'SecurityError';
  return new ImageError({
    operation,
    expected: 'a picture that this page may look into',
    got: foreign
      ? `a ${kindOf(source)} that shows pixels of another origin`
      : `a ${kindOf(source)}: ${cause instanceof Error ? cause.message : String(cause)}`,
    remedy: foreign
      ? 'Load it with `crossorigin="anonymous"` from a server that allows it (CORS), or pass the file itself.'
      : 'Pass one that is open, and has something to show.',
    cause,
  });
}

async function undecoded(name: string, blob: Blob, cause: unknown): Promise<ImageError> {
  const mistaken = mistakenFor(new Uint8Array(await blob.slice(0, 1024).arrayBuffer()));
  return new ImageError({
    operation: `read ${name}`,
    expected: 'a picture that this browser decodes',
    got: mistaken?.what ?? 'bytes that it takes for none',
    remedy: 'Check the address, or convert the picture to PNG or JPEG.',
    cause,
  });
}
