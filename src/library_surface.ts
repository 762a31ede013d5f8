// What src/library.ts is on every platform, as types, true in Node and in browsers.
/// <reference types="@webgpu/types" preserve="true" />
/// <reference lib="esnext.disposable" preserve="true" />
import type { Choices } from './gpu/choices.js';
import type { DeviceOptions } from './gpu/device.js';
import type { Gpu } from './gpu/gpu.js';
import type { Picture } from './image/picture.js';
import type { PictureInput } from './image/source.js';

export * from './library.js';

/** Opens a WebGPU device: this browser's, or in Node that of Dawn. @throws AdapterError where there is none. */
export declare function requestDevice(options?: DeviceOptions): Promise<GPUDevice>;

/**
 * Reads a picture, upright, as pixels. In Node PNG and JPEG, other formats with the package `sharp`; in a browser whatever
 * that decodes.
 * @throws FileError when it cannot be read or fetched, ImageError when it is no picture, ArgumentError for anything else.
 */
export declare function readImage(source: PictureInput): Promise<Picture>;

/** Keeps what `tune` found for this adapter, driver and version of the kernels: each later model uses it. @throws FileError. */
export declare function keepTuning(device: GPUDevice | Gpu, choices: Choices): Promise<void>;

/** The choices that are kept for a device's adapter; none where there are none that hold. */
export declare function keptTuning(device: GPUDevice | Gpu): { readonly choices: Choices };
