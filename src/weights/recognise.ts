import type { StateDict } from './state.js';

/** The networks whose weights can be told from their names and shapes. */
export type ConfigurationName =
  'published-mobilenet0.25' | 'published-resnet50' | 'baseline' | 'context-no-landmark' | 'context' | 'full';

/** Files that hold an ImageNet classifier, whose trunk serves as a backbone. */
export type BackboneName = 'resnet50-backbone' | 'mobilenet0.25-backbone';

interface Signature<Name> {
  readonly name: Name;
  /** Tensors that must be there, with these shapes in PyTorch's layout. */
  readonly has: Readonly<Record<string, readonly number[]>>;
  /** Beginnings that no name may have. */
  readonly lacks: readonly string[];
}

const RESNET50 = { 'body.conv1.weight': [64, 3, 7, 7], 'body.layer4.2.conv3.weight': [2048, 512, 1, 1] };
const REPORT = {
  ...RESNET50,
  'fpn.lateral2.0.weight': [256, 256, 1, 1],
  'fpn.extra6.0.weight': [256, 2048, 3, 3],
  'ClassHead.4.conv1x1.weight': [6, 256, 1, 1],
  'BboxHead.4.conv1x1.weight': [12, 256, 1, 1],
};
const CONTEXT = { 'ssh2.conv3X3.0.weight': [128, 256, 3, 3] };
const LANDMARKS = { 'LandmarkHead.4.conv1x1.weight': [30, 256, 1, 1] };
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
  { name: 'baseline', has: { ...REPORT, ...LANDMARKS }, lacks: ['ssh', 'cascade.'] },
  { name: 'context-no-landmark', has: { ...REPORT, ...CONTEXT }, lacks: ['LandmarkHead.', 'cascade.'] },
  { name: 'context', has: { ...REPORT, ...CONTEXT, ...LANDMARKS }, lacks: ['cascade.'] },
  { name: 'full', has: { ...REPORT, ...CONTEXT, ...LANDMARKS, ...CASCADE }, lacks: [] },
];

const BACKBONES: readonly Signature<BackboneName>[] = [
  {
    name: 'resnet50-backbone',
    has: {
      'conv1.weight': [64, 3, 7, 7],
      'layer1.0.conv1.weight': [64, 64, 1, 1],
      'layer4.2.conv3.weight': [2048, 512, 1, 1],
    },
    lacks: ['body.', 'fpn.'],
  },
  {
    name: 'mobilenet0.25-backbone',
    has: { 'stage1.0.0.weight': [8, 3, 3, 3], 'stage3.1.3.weight': [256, 256, 1, 1] },
    lacks: ['body.', 'fpn.'],
  },
];

/** The configuration whose weights these are, or undefined: a few telling names and shapes decide, `matchState` compares all. */
export function recogniseConfiguration(tensors: StateDict): ConfigurationName | undefined {
  return recognise(tensors, CONFIGURATIONS);
}

/** The classifier whose trunk can serve as a backbone, or undefined. Its names have no `body.` yet (`toParameterNames`). */
export function recogniseBackbone(tensors: StateDict): BackboneName | undefined {
  return recognise(tensors, BACKBONES);
}

function recognise<Name>(tensors: StateDict, signatures: readonly Signature<Name>[]): Name | undefined {
  const names = [...tensors.keys()];
  return signatures.find(
    ({ has, lacks }) =>
      Object.entries(has).every(([name, shape]) => tensors.get(name)?.shape.join() === shape.join()) &&
      !names.some((name) => lacks.some((start) => name.startsWith(start))),
  )?.name;
}
