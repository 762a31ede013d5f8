import type { AnchorLevel } from '../detect/anchors.js';
import { ArgumentError } from '../gpu/errors.js';
import { type ConfigurationName, WIDTH_STEPS } from '../weights/recognise.js';

export type { ConfigurationName } from '../weights/recognise.js';

/** Everything that tells one network of this family from another. */
export interface Configuration {
  readonly name: ConfigurationName;
  readonly backbone: 'mobilenet0.25' | 'resnet50';
  /** Times the channels of the backbone; 1 unless the network was `narrowed`. A multiple of 1/16. */
  readonly width: number;
  /** `report`: P2–P6 with a sixth map on top of C5. `published`: three levels, as public checkpoints hold them. */
  readonly pyramid: 'report' | 'published';
  /** Channels of every level of the pyramid. */
  readonly channels: number;
  /** Slope of the activations in pyramid and context modules: 0 is ReLU. */
  readonly slope: number;
  /** Finest level first; sizes are the edges of the square anchors of one cell, in pixels. */
  readonly levels: readonly AnchorLevel[];
  /** SSH context modules between pyramid and heads. */
  readonly context: boolean;
  readonly landmarks: boolean;
  /** A second set of heads whose anchors are the boxes of the first. */
  readonly cascade: boolean;
  /** What box codes are divided by: centres and landmarks, sizes. */
  readonly variances: readonly [centre: number, size: number];
  /** Channel order, and mean and standard deviation of each channel in that order, on the scale 0 to 255. */
  readonly input: {
    readonly order: 'rgb' | 'bgr';
    readonly mean: readonly [number, number, number];
    readonly std: readonly [number, number, number];
  };
  /** Widths are `x2 − x1 + 1` in non-maximum suppression, as the published evaluation has them. */
  readonly plusOne: boolean;
}

/** The report's FPN with landmarks (its §4.2, "Baseline"): ResNet-50, P2–P6, anchors of its Table 1. */
const baseline: Configuration = {
  name: 'baseline',
  backbone: 'resnet50',
  width: 1,
  pyramid: 'report',
  channels: 256,
  slope: 0,
  levels: [4, 8, 16, 32, 64].map((stride) => ({
    stride,
    sizes: [0, 1, 2].map((k) => 4 * stride * 2 ** (k / 3)),
  })),
  context: false,
  landmarks: true,
  cascade: false,
  variances: [1, 1],
  input: { order: 'rgb', mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375] },
  plusOne: false,
};

/** The report's best row: baseline and context modules. */
const context: Configuration = { ...baseline, name: 'context', context: true };

/** Context modules, no landmark task. */
const contextNoLandmark: Configuration = { ...context, name: 'context-no-landmark', landmarks: false };

/** Context modules, landmarks and the cascade: the report's "Full Model". */
const full: Configuration = { ...context, name: 'full', cascade: true };

/** What the checkpoints of biubug6/Pytorch_Retinaface with a ResNet-50 hold. */
const publishedResnet50: Configuration = {
  ...context,
  name: 'published-resnet50',
  pyramid: 'published',
  levels: [
    { stride: 8, sizes: [16, 32] },
    { stride: 16, sizes: [64, 128] },
    { stride: 32, sizes: [256, 512] },
  ],
  variances: [0.1, 0.2],
  input: { order: 'bgr', mean: [104, 117, 123], std: [1, 1, 1] },
  plusOne: true,
};

/** The same with MobileNetV1 ×0.25, 64 channels and leaky activations: 426,608 parameters. */
const publishedMobilenet: Configuration = {
  ...publishedResnet50,
  name: 'published-mobilenet0.25',
  backbone: 'mobilenet0.25',
  channels: 64,
  slope: 0.1,
};

/** Every configuration by its name. */
export const configurations: Readonly<Record<ConfigurationName, Configuration>> = {
  baseline,
  context,
  'context-no-landmark': contextNoLandmark,
  full,
  'published-mobilenet0.25': publishedMobilenet,
  'published-resnet50': publishedResnet50,
};

/**
 * The same graph with all channels of backbone, pyramid and context modules times `width`: for trainings on a CPU. Floating
 * point operations fall with its square.
 * @throws ArgumentError unless `width` is a multiple of 1/16 up to 1, so that every count of channels stays a multiple of
 * 4; for a MobileNet, which has no such factor here.
 */
export function narrowed(configuration: Configuration, width: number): Configuration {
  if (width === configuration.width) return configuration;
  const problem = (expected: string, got: string, remedy: string): ArgumentError =>
    new ArgumentError({ operation: 'narrow a network', expected, got, remedy });
  if (!(width > 0 && width <= 1 && Number.isInteger(width * WIDTH_STEPS))) {
    const near = Math.min(WIDTH_STEPS, Math.max(1, Math.round(width * WIDTH_STEPS) || 4)) / WIDTH_STEPS;
    throw problem(`a width that is a multiple of 1/${WIDTH_STEPS}, at most 1`, String(width), `Pass ${near}, for one.`);
  }
  if (configuration.backbone !== 'resnet50') {
    throw problem('a network on a ResNet-50', configuration.name, 'Narrow one of the report, as `context`.');
  }
  return { ...configuration, width, channels: (configuration.channels / configuration.width) * width };
}

/** Anchors per cell; every level has as many. */
export function anchorsPerCell(configuration: Configuration): number {
  return configuration.levels[0]?.sizes.length ?? 0;
}
