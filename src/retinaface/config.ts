import type { AnchorLevel } from '../detect/anchors.js';
import { checkOptions } from '../gpu/arguments.js';
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
  /** Every 3×3 of the pyramid's merges and of the context modules is a deformable convolution. */
  readonly deformable: boolean;
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

/*
 * Beside each configuration stands what it reproduces, the commands that train it without augmentation and with, and
 * the average precision to expect of each on WIDER FACE val (easy / medium / hard) with its source. `WIDER_FACE` is
 * the data set's folder, `resnet50.pth` torchvision's ImageNet weights, `mobilenetV1X0.25_pretrain.tar` those of
 * biubug6/Pytorch_Retinaface. What a command does not say is the report's: 60 epochs, batch 10, 640×640, rates 0.001,
 * 0.004 from epoch 28, 0.001 from 40, 0.0001 from 50, momentum 0.9, weight decay 5e-4, and the loss of the network's
 * family. Where a batch does not fit, `--batch 5 --accumulate 2`. `--synthetic 1000` in place of `--data` needs no
 * data set, `--dry-run` says what memory and time it takes.
 *
 * The report trained its variants without augmentation, and its full model with it as well (its §3.4); the published
 * code always augments. A figure is held against what
 *
 * `retinaface evaluate --weights RUN/best.safetensors --ground-truth OFFICIAL --images WIDER_FACE/WIDER_val/images --protocol report --out RUN/evaluation`
 *
 * prints (`OFFICIAL`: the folder of the official .mat files); `--protocol published` for the published figures. The
 * report does not name the size that it searched at: here it is the pictures' own, as in the published evaluation.
 */

/**
 * The report's FPN with landmarks (its §4.2, "Baseline"): ResNet-50, P2–P6, anchors of its Table 1.
 *
 * Without augmentation, as the report: .842 / .864 / .769 (Table 2, "Baseline").
 *
 * `retinaface train --config baseline --data WIDER_FACE --init resnet50.pth --no-augment --workdir runs/baseline`
 *
 * With augmentation: no published figure.
 *
 * `retinaface train --config baseline --data WIDER_FACE --init resnet50.pth --workdir runs/baseline-augmented`
 */
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
  deformable: false,
  landmarks: true,
  cascade: false,
  variances: [1, 1],
  input: { order: 'rgb', mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375] },
  plusOne: false,
};

/**
 * The report's best row: baseline and context modules.
 *
 * Without augmentation, as the report: .873 / .883 / .783 (Table 2, "Context Module with Landmark").
 *
 * `retinaface train --config context --data WIDER_FACE --init resnet50.pth --no-augment --workdir runs/context`
 *
 * With augmentation: no published figure.
 *
 * `retinaface train --config context --data WIDER_FACE --init resnet50.pth --workdir runs/context-augmented`
 */
const context: Configuration = { ...baseline, name: 'context', context: true };

/**
 * Context modules, no landmark task: what the report measures the landmarks' worth against.
 *
 * Without augmentation, as the report: .865 / .878 / .767 (Table 2, "Context Module without Landmark").
 *
 * `retinaface train --config context-no-landmark --data WIDER_FACE --init resnet50.pth --no-augment --workdir runs/no-landmark`
 *
 * With augmentation: no published figure.
 *
 * `retinaface train --config context-no-landmark --data WIDER_FACE --init resnet50.pth --workdir runs/no-landmark-augmented`
 */
const contextNoLandmark: Configuration = { ...context, name: 'context-no-landmark', landmarks: false };

/**
 * Context modules, landmarks and the cascade: the report's "Full Model".
 *
 * Without augmentation: .842 / .854 / .752 (report, Table 2, "Full Model"; it does not say which of its two trainings
 * that is: the rows beside it are without).
 *
 * `retinaface train --config full --data WIDER_FACE --init resnet50.pth --no-augment --workdir runs/full`
 *
 * With augmentation, as the report trained it as well: no published figure but that one, if it is of this training.
 *
 * `retinaface train --config full --data WIDER_FACE --init resnet50.pth --workdir runs/full-augmented`
 *
 * That is less than without the cascade, probably since the report's matching left most faces without an anchor;
 * `--loss report-strict` is that matching, the default mends it. The original paper has .966 / .959 / .912, with a
 * larger backbone, augmentation and test-time scales.
 */
const full: Configuration = { ...context, name: 'full', cascade: true };

/**
 * What the report leaves as future work, and the original paper has: `context`, with every 3×3 of the pyramid's merges and
 * of the context modules a deformable convolution. C6 stays as it is: it is no lateral connection.
 *
 * Version 1, without modulation (Dai et al. 2017; the paper cites both): with its offsets at 0, where it starts, it is
 * `context` itself, and can go on from its weights; a modulated one would start at half of each sample.
 * Offsets learn at a tenth of the rate (`offsetRate` of the trainer).
 *
 * Without augmentation: no published figure; at least the .873 / .883 / .783 of `context` (report, Table 2).
 *
 * `retinaface train --config deformable --data WIDER_FACE --init resnet50.pth --no-augment --workdir runs/deformable`
 *
 * With augmentation: no published figure; the original paper's .966 / .959 / .912 include deformable convolutions.
 *
 * `retinaface train --config deformable --data WIDER_FACE --init resnet50.pth --workdir runs/deformable-augmented`
 *
 * Or from a trained `context`: `--init runs/context/best.safetensors`.
 */
const deformable: Configuration = { ...context, name: 'deformable', deformable: true };

/**
 * What the checkpoints of biubug6/Pytorch_Retinaface with a ResNet-50 hold; the settings are those of its code.
 *
 * With augmentation, as that code: .955 / .940 / .844 (published, pictures at their original size).
 *
 * `retinaface train --config published-resnet50 --data WIDER_FACE --init resnet50.pth --size 840 --batch 24 --epochs 100 --schedule step:0.001@70,90 --workdir runs/published-resnet50`
 *
 * Without augmentation: no published figure.
 *
 * `retinaface train --config published-resnet50 --data WIDER_FACE --init resnet50.pth --size 840 --batch 24 --epochs 100 --schedule step:0.001@70,90 --no-augment --workdir runs/published-resnet50-plain`
 */
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

/**
 * The same with MobileNetV1 ×0.25, 64 channels and leaky activations: 426,608 parameters.
 *
 * With augmentation, as that code: .907 / .882 / .738 (published, pictures at their original size).
 *
 * `retinaface train --config published-mobilenet0.25 --data WIDER_FACE --init mobilenetV1X0.25_pretrain.tar --batch 32 --epochs 250 --schedule step:0.001@190,220 --workdir runs/published-mobilenet`
 *
 * Without augmentation: no published figure.
 *
 * `retinaface train --config published-mobilenet0.25 --data WIDER_FACE --init mobilenetV1X0.25_pretrain.tar --batch 32 --epochs 250 --schedule step:0.001@190,220 --no-augment --workdir runs/published-mobilenet-plain`
 */
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
  deformable,
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
  checkOptions('narrowed', { configuration, width }, { configuration: 'object!', width: 'number!' });
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
