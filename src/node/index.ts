// The entry for Node: the whole library, with Dawn as the WebGPU implementation and files by their paths.
export * from '../index.js';
export { encodeJpeg, encodePng, decodeImage } from './codecs.js';
export { type NodeDeviceOptions, requestDevice } from './device.js';
export { readImage, writeImage } from './files.js';
export { RetinaFace } from './retinaface.js';
