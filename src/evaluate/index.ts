export {
  averagePrecision,
  type AveragePrecisionOptions,
  type PrecisionRecall,
  precisionRecall,
  type ScoredPicture,
  type WiderPrecision,
} from './average_precision.js';
export type { Detections, Predictions } from './detections.js';
export {
  type Detector,
  type EvaluateOptions,
  evaluateModel,
  type Evaluation,
  type EvaluationSource,
  type PredictionStore,
  type SearchOptions,
  searchPictures,
} from './evaluate_model.js';
export {
  type AnnotatedPicture,
  type GroundTruth,
  groundTruthFromBoxes,
  groundTruthFromJson,
  groundTruthFromJsonLines,
  groundTruthFromMatlab,
  groundTruthFromRetinaFaceLabels,
  groundTruthFromSamples,
  type Subset,
  type SubsetFiles,
} from './ground_truth.js';
export {
  evaluateHeights,
  type HeightEvaluation,
  type HeightPrecision,
  HEIGHTS,
  LANDMARK_HEIGHT,
  meanPrecision,
} from './heights.js';
export { type LandmarkErrors, landmarkErrors, type LandmarkOptions } from './landmarks.js';
export { formatPredictions, parsePredictions } from './predictions.js';
export { type Protocol, type ProtocolName, protocols, type SearchSize } from './protocol.js';
