// The entry for browsers: the whole library, with the browser's own WebGPU and picture decoders.
import { type DeviceOptions, openDevice } from '../gpu/device.js';
import { AdapterError, ImageError } from '../gpu/errors.js';
import type { Picture } from '../image/picture.js';

export * from '../index.js';
export { RetinaFace } from './retinaface.js';
export { keepTuning, keptTuning } from './tuning.js';

/**
 * Opens a WebGPU device of this browser.
 * @throws AdapterError where the browser has no WebGPU, or no adapter.
 */
export async function requestDevice(options: DeviceOptions = {}): Promise<GPUDevice> {
  if (!('gpu' in navigator)) {
    throw new AdapterError({
      operation: 'requestDevice',
      expected: 'a browser with WebGPU, on a page served over https or from localhost',
      got: 'one without `navigator.gpu`',
      remedy: 'Use a current Chrome, Edge, Safari or Firefox.',
    });
  }
  return openDevice(
    navigator.gpu,
    options,
    'Switch on hardware acceleration in the settings of the browser, or try a current Chrome or Edge: `chrome://gpu` says what it has.',
  );
}

/**
 * Reads a picture, upright, from an address, a file or bytes: whatever formats the browser decodes.
 * @throws ImageError when it cannot be fetched or decoded.
 */
export async function readImage(source: string | URL | Blob | Uint8Array<ArrayBuffer>): Promise<Picture> {
  const name = typeof source === 'string' || source instanceof URL ? String(source) : 'the given picture';
  try {
    const blob =
      source instanceof Blob
        ? source
        : source instanceof Uint8Array
          ? new Blob([source])
          : await (await fetch(source)).blob();
    using bitmap = closing(await createImageBitmap(blob, { imageOrientation: 'from-image' }));
    const { width, height } = bitmap.value;
    const context = new OffscreenCanvas(width, height).getContext('2d');
    if (!context) throw new Error('no 2D canvas');
    context.drawImage(bitmap.value, 0, 0);
    return { data: context.getImageData(0, 0, width, height).data, width, height };
  } catch (cause) {
    throw new ImageError({
      operation: `read ${name}`,
      expected: 'a picture that this browser decodes',
      got: cause instanceof Error ? cause.message : String(cause),
      remedy: 'Check the address, or convert the picture to PNG or JPEG.',
      cause,
    });
  }
}

function closing(value: ImageBitmap): Disposable & { readonly value: ImageBitmap } {
  return {
    value,
    [Symbol.dispose]() {
      value.close();
    },
  };
}
