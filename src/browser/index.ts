// The entry for browsers: the whole library, with the browser's own WebGPU and picture decoders.
export * from '../index.js';
export { requestDevice } from './device.js';
export { RetinaFace } from './retinaface.js';
export { readImage } from './sources.js';
export { keepTuning, keptTuning } from './tuning.js';
