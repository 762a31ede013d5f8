// All that the library offers, on any platform. The Node and the browser entries add how to open a device and pictures.
export * from './additions.js';
export * from './library.js';
