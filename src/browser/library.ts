// The library for browsers, without what few pages need: tools/bundle.mjs makes one module of it.
export * from '../library.js';
export { requestDevice } from './device.js';
export { RetinaFace } from './retinaface.js';
export { readImage } from './sources.js';
export { keepTuning, keptTuning } from './tuning.js';
