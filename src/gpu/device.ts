import { describe, isPromise } from './arguments.js';
import { AdapterError, ArgumentError } from './errors.js';

/** A device, or an ArgumentError for anything else: a device that was not waited for, most of all. */
export function checkDevice(device: unknown): GPUDevice {
  if (typeof device === 'object' && device !== null && 'createComputePipeline' in device) return device as GPUDevice;
  throw new ArgumentError({
    operation: 'use a device',
    expected: 'a GPUDevice',
    got: describe(device),
    remedy: isPromise(device) ? 'Await it: `await requestDevice()`.' : 'Pass what `await requestDevice()` answers.',
  });
}

/** What a device is asked for. */
export interface DeviceOptions {
  readonly powerPreference?: GPUPowerPreference;
  /** Take only what every WebGPU device guarantees, to see what users with such a device see. */
  readonly defaultLimits?: boolean;
}

/** Optional features that kernels make use of where the adapter has them. */
const FEATURES: readonly GPUFeatureName[] = ['subgroups', 'shader-f16', 'timestamp-query'];

/** Limits that bound tensors, workgroups, bindings and pictures of a page; taken as high as the adapter allows. */
const LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
  'maxComputeWorkgroupStorageSize',
  'maxComputeWorkgroupsPerDimension',
  'maxTextureDimension2D',
] as const satisfies readonly (keyof GPUSupportedLimits)[];

/** What gives a machine an adapter. */
const INSTALL_DRIVER =
  'Install a GPU driver with Vulkan 1.3, Metal or D3D12; without a GPU, Mesa 23 or later has the software driver ' +
  'lavapipe (Debian 12: `apt install -t bookworm-backports mesa-vulkan-drivers`).';

/**
 * Opens a device on the best adapter that `gpu` offers, with the features and limits that the kernels can use. `remedy`: what
 * gives this platform an adapter.
 * @throws AdapterError when there is no adapter, with that.
 */
export async function openDevice(
  gpu: GPU,
  options: DeviceOptions = {},
  remedy: string = INSTALL_DRIVER,
): Promise<GPUDevice> {
  const adapter = await gpu.requestAdapter(
    options.powerPreference ? { powerPreference: options.powerPreference } : undefined,
  );
  if (!adapter) {
    throw new AdapterError({
      operation: 'requestDevice',
      expected: 'a WebGPU adapter',
      got: 'none',
      remedy,
    });
  }
  if (options.defaultLimits) return adapter.requestDevice({ label: 'retinaface-webgpu, default limits' });
  return adapter.requestDevice({
    label: 'retinaface-webgpu',
    requiredFeatures: FEATURES.filter((feature) => adapter.features.has(feature)),
    requiredLimits: Object.fromEntries(LIMITS.map((limit) => [limit, adapter.limits[limit]])),
  });
}

/** Drivers that compute on the CPU, as they call themselves; 6880 is SwiftShader's Vulkan vendor. (Mesa's has GPUs, too.) */
const SOFTWARE = /llvmpipe|lavapipe|swiftshader|softpipe|software|basic render|^6880$/i;

/**
 * True where an adapter computes on the CPU. Not every implementation of WebGPU says so itself: it is known by what the
 * driver is called, too.
 */
export function computesOnCpu(info: Partial<GPUAdapterInfo>): boolean {
  const { vendor = '', architecture = '', device = '', description = '' } = info;
  return (
    info.isFallbackAdapter === true || [vendor, architecture, device, description].some((name) => SOFTWARE.test(name))
  );
}
