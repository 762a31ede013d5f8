// The entry for browsers: the whole library, with the browser's own WebGPU and picture decoders.
export * from '../additions.js';
export * from './library.js';
