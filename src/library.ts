// What finds faces, and builds and trains networks, on any platform: the module for pages without a bundler is this, and what few
// pages need (src/additions.ts) are modules beside it.
export { checkFinite } from './autograd/check_finite.js';
export { Tape } from './autograd/tape.js';
export { anchorsFor, type AnchorLevel } from './detect/anchors.js';
export {
  augmentBatch,
  augmentFaces,
  type AugmentOptions,
  type AugmentPlan,
  drawAugmentation,
  plainPlan,
} from './data/augment.js';
export { faceTargets, plannedBatch, type PlannedPicture } from './data/batch.js';
export { formatJsonLines, parseJsonLines, parseRetinaFaceLabels, parseWiderBoxes } from './data/labels.js';
export { randomOf } from './data/random.js';
export type { Face as LabelledFace, PictureSource, Sample } from './data/sample.js';
export { iouMatrix } from './detect/iou_matrix.js';
export { type FaceTargets, matchAnchors, type Matches, type MatchOptions } from './detect/match.js';
export { nms } from './detect/nms.js';
export { topK } from './detect/top_k.js';
export type { MemoryReport } from './gpu/buffers.js';
export type { Choices } from './gpu/choices.js';
export type { DeviceOptions } from './gpu/device.js';
export * from './gpu/errors.js';
export { Gpu, type Counters } from './gpu/gpu.js';
export type { KernelTiming } from './gpu/profile.js';
export { alignFace } from './image/align.js';
export { drawFaces } from './image/draw.js';
export type { Box, Face, Landmarks, Point } from './image/face.js';
export { extractFaces, type ExtractOptions } from './image/extract.js';
export type { Picture, RawPicture } from './image/picture.js';
export type { PictureInput } from './image/source.js';
export * as ops from './ops/index.js';
export { type Configuration, type ConfigurationName, configurations, narrowed } from './retinaface/config.js';
export type { DetectOptions, Rotation } from './retinaface/detect_options.js';
export { FaceTracker, type FrameDetector, type FrameOptions, type TrackerOptions } from './retinaface/face_tracker.js';
export type { TrackedFace, TrackRules } from './retinaface/tracks.js';
export type { GivenConfiguration } from './retinaface/given_configuration.js';
export {
  type LossOptions,
  multiboxLoss,
  PUBLISHED_CASCADE_LOSS,
  PUBLISHED_LOSS,
  PUBLISHED_NEGATIVES_CASCADE_LOSS,
  PUBLISHED_NEGATIVES_LOSS,
  REPORT_CASCADE_LOSS,
  REPORT_LOSS,
  REPORT_STRICT_CASCADE_LOSS,
  REPORT_STRICT_LOSS,
} from './retinaface/loss.js';
export {
  type CreateOptions,
  type LoadOptions,
  type LoadProgress,
  type ModelOptions,
  RetinaFace,
} from './retinaface/retinaface.js';
export type { Precision } from './nn/parameter.js';
export { namedWeights, type WeightsSource } from './retinaface/weights_source.js';
export { keep, scope } from './tensor/scope.js';
export { type DType, Tensor } from './tensor/tensor.js';
export { encodeCheckpoint, type Position, restoreCheckpoint } from './train/checkpoint.js';
export { parseSchedule, type Schedule } from './train/schedule.js';
export { Sgd, type SgdOptions, type SgdParameter } from './train/sgd.js';
export { type Losses, Trainer, type TrainerOptions, type TrainingBatch } from './train/trainer.js';
export { tune, type TunedComputation, type TuneOptions, type Tuning } from './tune/tune.js';
export type { NamedWeights } from './weights/catalogue.js';
export { readWeights } from './weights/read.js';
export { readSafetensors, writeSafetensors } from './weights/safetensors.js';
export type { StateDict, StateTensor } from './weights/state.js';
