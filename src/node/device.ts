import { create, globals } from 'webgpu';
import { type DeviceOptions, openDevice } from '../gpu/device.js';
import { AdapterError } from '../gpu/errors.js';

/** What Dawn is opened with, besides what the device is asked for. */
export interface NodeDeviceOptions extends DeviceOptions {
  /** Dawn's own options, such as `backend=null` or `disable-dawn-features=timestamp_quantization`. */
  readonly dawn?: readonly string[];
}

/**
 * Dawn's `GPU` object of each device. Dawn ends the process if it is collected while its device is in use, and the
 * device does not hold it: this map does, for as long as the device lives.
 */
const owners = new WeakMap<GPUDevice, GPU>();

/**
 * Opens a WebGPU device in Node, through Dawn.
 * @throws AdapterError when no driver is found, with what to install.
 */
export async function requestDevice(options: NodeDeviceOptions = {}): Promise<GPUDevice> {
  // A runtime directory is what Vulkan loaders and lavapipe ask for; without one they warn on stderr.
  process.env['XDG_RUNTIME_DIR'] ??= '/tmp';
  let gpu: GPU;
  try {
    gpu = create([...(options.dawn ?? [])]);
  } catch (cause) {
    throw new AdapterError({
      operation: 'requestDevice',
      expected: "Dawn's native module for this platform",
      got: cause instanceof Error ? cause.message : String(cause),
      remedy: 'Reinstall the package `webgpu` on this platform (Linux x64 or arm64, macOS, Windows).',
      cause,
    });
  }
  const device = await openDevice(gpu, options);
  owners.set(device, gpu);
  return device;
}

/** WebGPU's constants and classes (`GPUBufferUsage` …), which a browser has as globals. */
export const webgpuGlobals: typeof globals = globals;
