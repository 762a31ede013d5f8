// The entry for pages that find faces and train nothing: tools/bundle.mjs makes one module of it, without gradients, the
// kernels of training, the trainer, evaluation and drawn scenes.
export * from '../gpu/errors.js';
export { alignFace } from '../image/align.js';
export { drawFaces } from '../image/draw.js';
export { extractFaces, type ExtractOptions } from '../image/extract.js';
export type { Box, Face, Landmarks, Point } from '../image/face.js';
export type { Picture, RawPicture } from '../image/picture.js';
export type { PictureInput } from '../image/source.js';
export type { MemoryReport } from '../gpu/buffers.js';
export type { DeviceOptions } from '../gpu/device.js';
export type { Configuration, ConfigurationName } from '../retinaface/config.js';
export type { DetectOptions, Rotation } from '../retinaface/detect_options.js';
export { FaceTracker, type FrameDetector, type FrameOptions, type TrackerOptions } from '../retinaface/face_tracker.js';
export type { TrackedFace, TrackRules } from '../retinaface/tracks.js';
export type { GivenConfiguration } from '../retinaface/given_configuration.js';
export type { Precision } from '../nn/parameter.js';
export type { CreateOptions, LoadOptions, LoadProgress, ModelOptions } from '../retinaface/retinaface.js';
export { namedWeights, type WeightsSource } from '../retinaface/weights_source.js';
export type { NamedWeights } from '../weights/catalogue.js';
export { readImage, requestDevice, RetinaFace } from './library.js';
