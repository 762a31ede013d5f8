// What few pages need of the library, each with an entry of its own, too: drawn scenes, and evaluation.
export * from './data/synthetic.js';
export * from './evaluate/index.js';
