import type { Choices } from '../gpu/choices.js';
import { FileError } from '../gpu/errors.js';
import { Gpu } from '../gpu/gpu.js';
import { decodeChoices, encodeChoices, keptName } from '../tune/kept.js';

const PREFIX = 'retinaface-webgpu ';

/** Keeps choices for this adapter, driver and version of the kernels, in the page's local storage. @throws FileError. */
export function keepTuning(device: GPUDevice | Gpu, choices: Choices): Promise<void> {
  const gpu = Gpu.of(device);
  try {
    localStorage.setItem(PREFIX + keptName(gpu), encodeChoices(gpu, choices));
  } catch (cause) {
    return Promise.reject(
      new FileError({
        operation: 'keep what tuning found',
        expected: 'local storage with room',
        got: cause instanceof Error ? cause.message : String(cause),
        remedy: 'Call it in a page that may keep data; workers have no local storage.',
        cause,
      }),
    );
  }
  return Promise.resolve();
}

/** The choices that are kept for a device's adapter; none where there are none that hold, or nothing is kept here. */
export function keptTuning(device: GPUDevice | Gpu): { readonly choices: Choices } {
  const gpu = Gpu.of(device);
  const none = { choices: new Map<string, string>() };
  try {
    const text = localStorage.getItem(PREFIX + keptName(gpu));
    const choices = text === null ? 'nothing' : decodeChoices(gpu, text);
    return typeof choices === 'string' ? none : { choices };
  } catch {
    // A worker, or a page that may keep nothing.
    return none;
  }
}
