import type { StateDict } from './state.js';

/** The networks whose weights can be told from their names and shapes. */
export type ConfigurationName =
  | 'published-mobilenet0.25'
  | 'published-resnet50'
  | 'baseline'
  | 'context-no-landmark'
  | 'context'
  | 'full'
  | 'deformable';

/** Files that hold an ImageNet classifier, whose trunk serves as a backbone. */
export type BackboneName = 'resnet50-backbone' | 'mobilenet0.25-backbone';

/** Widths of a narrowed network are multiples of one over this. */
export const WIDTH_STEPS = 16;

/** Extents from here on are counts of channels, which a width scales; those below are colours, kernels and codes. */
const LEAST_CHANNELS = 64;

interface Signature<Name> {
  readonly name: Name;
  /** Tensors that must be there, with these shapes in PyTorch's layout. */
  readonly has: Readonly<Record<string, readonly number[]>>;
  /** Beginnings that no name may have. */
  readonly lacks: readonly string[];
}

const WIDEST = 'body.layer4.2.conv3.weight';
const RESNET50 = { 'body.conv1.weight': [64, 3, 7, 7], [WIDEST]: [2048, 512, 1, 1] } as const;
const REPORT = {
  ...RESNET50,
  'fpn.lateral2.0.weight': [256, 256, 1, 1],
  'fpn.extra6.0.weight': [256, 2048, 3, 3],
  'ClassHead.4.conv1x1.weight': [6, 256, 1, 1],
  'BboxHead.4.conv1x1.weight': [12, 256, 1, 1],
};
const CONTEXT = { 'ssh2.conv3X3.0.weight': [128, 256, 3, 3] };
const LANDMARKS = { 'LandmarkHead.4.conv1x1.weight': [30, 256, 1, 1] };
const DEFORMABLE = { 'fpn.merge2.offset.weight': [18, 256, 3, 3], 'ssh2.conv3X3.offset.weight': [18, 256, 3, 3] };
const OFFSETS = ['fpn.merge2.offset.', 'ssh2.conv3X3.offset.'];
const CASCADE = { 'cascade.ClassHead.4.conv1x1.weight': [6, 256, 1, 1] };

const CONFIGURATIONS: readonly Signature<ConfigurationName>[] = [
  {
    name: 'published-mobilenet0.25',
    has: {
      'body.stage1.0.0.weight': [8, 3, 3, 3],
      'fpn.output1.0.weight': [64, 64, 1, 1],
      'ClassHead.0.conv1x1.weight': [4, 64, 1, 1],
    },
    lacks: [],
  },
  {
    name: 'published-resnet50',
    has: { ...RESNET50, 'fpn.output1.0.weight': [256, 512, 1, 1], 'ClassHead.0.conv1x1.weight': [4, 256, 1, 1] },
    lacks: [],
  },
  { name: 'baseline', has: { ...REPORT, ...LANDMARKS }, lacks: ['ssh', 'cascade.', ...OFFSETS] },
  { name: 'context-no-landmark', has: { ...REPORT, ...CONTEXT }, lacks: ['LandmarkHead.', 'cascade.', ...OFFSETS] },
  { name: 'context', has: { ...REPORT, ...CONTEXT, ...LANDMARKS }, lacks: ['cascade.', ...OFFSETS] },
  { name: 'full', has: { ...REPORT, ...CONTEXT, ...LANDMARKS, ...CASCADE }, lacks: OFFSETS },
  { name: 'deformable', has: { ...REPORT, ...CONTEXT, ...LANDMARKS, ...DEFORMABLE }, lacks: ['cascade.'] },
];

/** Beginnings of the names that a backbone alone has none of. */
const DETECTOR = ['body.', 'fpn.', 'ssh', 'ClassHead.'];

const BACKBONES: readonly Signature<BackboneName>[] = [
  {
    name: 'resnet50-backbone',
    has: {
      'conv1.weight': [64, 3, 7, 7],
      'layer1.0.conv1.weight': [64, 64, 1, 1],
      'layer4.2.conv3.weight': [2048, 512, 1, 1],
    },
    lacks: DETECTOR,
  },
  {
    name: 'mobilenet0.25-backbone',
    has: { 'stage1.0.0.weight': [8, 3, 3, 3], 'stage3.1.3.weight': [256, 256, 1, 1] },
    lacks: DETECTOR,
  },
];

/**
 * The configuration whose weights these are, at any width (`recogniseWidth`), or undefined: a few telling names and shapes
 * decide, `matchState` compares all.
 */
export function recogniseConfiguration(tensors: StateDict): ConfigurationName | undefined {
  return recognise(tensors, CONFIGURATIONS, recogniseWidth(tensors));
}

/** The width of the ResNet-50 that these weights have; 1 where they have none, or one that no narrowed network has. */
export function recogniseWidth(tensors: StateDict): number {
  const [, inner = NaN] = tensors.get(WIDEST)?.shape ?? [];
  const [, whole] = RESNET50[WIDEST];
  const width = inner / whole;
  return width <= 1 && Number.isInteger(width * WIDTH_STEPS) ? width : 1;
}

/** The classifier whose trunk can serve as a backbone, or undefined; under its own names, or in `body.` and nothing beside. */
export function recogniseBackbone(tensors: StateDict): BackboneName | undefined {
  const names = [...tensors.keys()];
  if (!names.every((name) => name.startsWith('body.'))) return recognise(tensors, BACKBONES);
  return recognise(new Map([...tensors].map(([name, tensor]) => [name.slice('body.'.length), tensor])), BACKBONES);
}

function recognise<Name>(tensors: StateDict, signatures: readonly Signature<Name>[], width = 1): Name | undefined {
  const names = [...tensors.keys()];
  const scaled = (extent: number): number => (extent >= LEAST_CHANNELS ? extent * width : extent);
  return signatures.find(
    ({ has, lacks }) =>
      Object.entries(has).every(([name, shape]) => tensors.get(name)?.shape.join() === shape.map(scaled).join()) &&
      !names.some((name) => lacks.some((start) => name.startsWith(start))),
  )?.name;
}
