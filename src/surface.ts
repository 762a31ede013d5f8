// What the package exports on every platform, as types: the one `types` of package.json, true in Node and in browsers.
// What Node adds (files to write, codecs) is in `retinaface-webgpu/node`.
export * from './additions.js';
export * from './library_surface.js';
