import { checkOptions } from '../gpu/arguments.js';
import { type DeviceOptions, openDevice } from '../gpu/device.js';
import { AdapterError } from '../gpu/errors.js';

/** What Dawn is opened with, besides what the device is asked for. */
export interface NodeDeviceOptions extends DeviceOptions {
  /** Dawn's own options, such as `backend=null` or `disable-dawn-features=timestamp_quantization`. */
  readonly dawn?: readonly string[];
}

/**
 * The `GPU` object of each device. Dawn ends the process if its own is collected while its device is in use, and the
 * device does not hold it: this map does, for as long as the device lives.
 */
const owners = new WeakMap<GPUDevice, GPU>();

/** The WebGPU of the runtime itself, where it has one: Deno does (with `--unstable-webgpu`), Node and Bun do not. */
export function ownGpu(): GPU | undefined {
  return (globalThis.navigator as Partial<Navigator> | undefined)?.gpu;
}

/**
 * Opens a WebGPU device: of the runtime itself where it has WebGPU, otherwise through Dawn, whose options, where some are
 * given, also ask for Dawn.
 * @throws AdapterError when no driver is found, with what to install.
 */
export async function requestDevice(options: NodeDeviceOptions = {}): Promise<GPUDevice> {
  checkOptions('requestDevice', options, {
    powerPreference: 'string',
    defaultLimits: 'boolean',
    dawn: 'array',
  });
  // A runtime directory is what Vulkan loaders and lavapipe ask for; without one they warn on stderr.
  process.env['XDG_RUNTIME_DIR'] ??= '/tmp';
  const gpu = (options.dawn ? undefined : ownGpu()) ?? (await openDawn(options.dawn ?? []));
  const device = await openDevice(gpu, options);
  owners.set(device, gpu);
  return device;
}

async function openDawn(options: readonly string[]): Promise<GPU> {
  try {
    // Its native module is loaded only where it is needed.
    const { create } = await import('webgpu');
    return create([...options]);
  } catch (cause) {
    throw new AdapterError({
      operation: 'requestDevice',
      expected: "Dawn's native module for this platform",
      got: cause instanceof Error ? cause.message : String(cause),
      remedy: 'Reinstall the package `webgpu` on this platform (Linux x64 or arm64, macOS, Windows).',
      cause,
    });
  }
}
