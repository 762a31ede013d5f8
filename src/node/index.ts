// The entry for Node: the whole library, with Dawn as the WebGPU implementation and files by their paths.
/// <reference types="@webgpu/types" preserve="true" />
/// <reference lib="esnext.disposable" preserve="true" />
export * from '../index.js';
export { encodeJpeg, encodePng, decodeImage } from './codecs.js';
export { type NodeDeviceOptions, requestDevice } from './device.js';
export { readImage, writeImage } from './files.js';
export { RetinaFace } from './retinaface.js';
export { forgetTuning, keepTuning, keptTuning, tuningFile } from './tuning.js';
