// The entry `retinaface-webgpu/scale`: work that is more than one process. What it needs beside the library is loaded when it is used.
/// <reference types="@webgpu/types" preserve="true" />
/// <reference lib="esnext.disposable" preserve="true" />
export { FetchError, type FetchFault, type FetchOptions, PictureFetcher } from './fetch_picture.js';
export { MissingPackageError } from './optional.js';
export {
  type AddOptions,
  type JobOptions,
  type PictureJob,
  PictureQueue,
  type QueueCounts,
  QueueError,
  type QueuePlace,
} from './queue.js';
export { mergeResults, type MergedResults, ResultFile, type ResultLine } from './result_file.js';
export { PictureWorker, type Stage, type WorkerEvents, type WorkerOptions } from './worker.js';
export { serveMetrics, type WorkerMetrics } from './worker_metrics.js';
