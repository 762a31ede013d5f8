import type { ConfigurationOption } from '../model_options.js';
import {
  flag,
  listOf,
  number,
  offFlag,
  oneOf,
  parsed,
  readNumber,
  text,
  texts,
  type Values,
  whole,
  wrong,
} from '../options.js';
import { LOSSES } from './losses.js';

/** A file of labels, or the folder of a data set, as it is named on the command line. */
export interface LabelsOption {
  readonly path: string;
  /** Times that each picture is drawn in an epoch. */
  readonly weight: number;
  /** Whether the hold-out takes from it; by default where it has faces. */
  readonly holdout: boolean | undefined;
}

/** Scenes as they are asked for on the command line. */
export interface ScenesOption {
  readonly count: number;
  /** Of all pictures of an epoch, where there are others; by default each scene is drawn once. */
  readonly share: number | undefined;
}

/** `PATH,KEY=VALUE,…` in its parts: what follows a comma is no more the path where it starts with one of the keys. */
function split(given: string, keys: readonly string[]): readonly [string, ReadonlyMap<string, string>] {
  const values = new Map<string, string>();
  const ending = new RegExp(`^(.*),(${keys.join('|')})=([^,]*)$`, 's');
  let rest = given;
  for (let found = ending.exec(rest); found; found = ending.exec(rest)) {
    rest = found[1]!;
    values.set(found[2]!, found[3]!);
  }
  return [rest, values];
}

/**
 * `PATH[,weight=W][,holdout=yes|no]`: in one word, so that nothing depends on the order of other options, and without signs that
 * shells read. @throws ArgumentError.
 */
export function labelsOption(name: string, given: string): LabelsOption {
  const [path, values] = split(given, ['weight', 'holdout']);
  const holdout = values.get('holdout');
  if (path === '' || (holdout !== undefined && holdout !== 'yes' && holdout !== 'no')) {
    throw wrong(
      'train',
      `${name} PATH, and behind it ,weight=W and ,holdout=yes or no where wanted`,
      `'${given}'`,
      `Write ${name} faces.jsonl,weight=2,holdout=no, for one.`,
    );
  }
  const weight = readNumber('train', `${name} …,weight=`, values.get('weight') ?? '1', { min: 0.001, max: 1000 });
  return { path, weight, holdout: holdout === undefined ? undefined : holdout === 'yes' };
}

/** `N[,share=S]`. @throws ArgumentError. */
export function scenesOption(given: string, command: string, name: string): ScenesOption {
  const [count, values] = split(given, ['share']);
  const share = values.get('share');
  return {
    count: readNumber(command, name, count, { min: 1, integer: true }),
    share: share === undefined ? undefined : shareOption(share, command, `${name} …,share=`),
  };
}

/** A part of a whole, below it: `20%` or `0.2`. @throws ArgumentError. */
export function shareOption(given: string, command: string, name: string): number {
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(given.trim())?.[1];
  const share = percent === undefined ? (given.trim() === '' ? NaN : Number(given)) : Number(percent) / 100;
  if (share >= 0 && share < 1) return share;
  const expected = `${name} to be a share, as 20% or 0.2, below the whole`;
  throw wrong(command, expected, `'${given}'`, 'Pass a share of all pictures, not how many.');
}

export const TRAIN_OPTIONS = {
  configuration: text({
    flag: 'config',
    value: 'NAME|FILE',
    help:
      'the network: published-mobilenet0.25, baseline, context, full, deformable, …; FILE.json names one and says what ' +
      'differs from it, as {"name":"context","input":{"order":"rgb"}}',
  }),
  data: texts({
    heading: 'Sources, at least one; --data and the pair of --images and --labels as often as there are sources:',
    value: 'DIR',
    help: 'WIDER FACE: label.txt (retinaface_gt_v1.1) or the official boxes, and its pictures',
  }),
  images: texts({ value: 'DIR', help: 'a folder of pictures, with' }),
  labels: texts({
    value: 'FILE',
    help:
      '  their faces: label.txt, wider_face_…_bbx_gt.txt or JSON lines {"image","faces":[{"box","landmarks"}]}; a picture ' +
      'without faces teaches what is none.\n' +
      'Behind a FILE or the DIR of --data: ,weight=W draws each of its pictures W times an epoch (1), 0.5 half of them in ' +
      'turn; ,holdout=no keeps none of them out, ,holdout=yes also where they have no faces',
  }),
  holdout: parsed(shareOption, {
    value: 'SHARE',
    shownDefault: '0',
    help: 'this share of the pictures (20%) is kept out of training, told by a hash of their names, and evaluated',
  }),
  heldOut: text({
    value: 'DIR',
    help:
      'the labels of those pictures are written there, for `evaluate` (held-out in the workdir; with --dry-run only ' +
      'where it is named)',
  }),
  scenes: parsed(scenesOption, {
    flag: 'synthetic',
    value: 'N[,share=S]',
    help:
      'N drawn scenes with exact boxes and points, no data set needed; beside other sources each is drawn ' +
      'once an epoch, or with ,share=25% they are that share of its pictures',
  }),
  sceneSize: whole({
    flag: 'scene',
    value: 'N',
    min: 32,
    help: 'edge of those scenes in pixels (a quarter more than --size, or --size with --no-augment)',
  }),
  workdir: text({
    heading: 'The training:',
    value: 'DIR',
    help:
      'last.safetensors, best.safetensors, log.jsonl, events.tfevents, curves.png\n' +
      '(`retinaface table --help` says how such folders become a table)',
  }),
  epochs: whole({ value: 'N', min: 1, fallback: 60, help: 'passes over the pictures' }),
  width: number({
    value: 'W',
    min: 0,
    max: 1,
    help: 'times all channels of a network on ResNet-50, a multiple of 1/16 (1): 0.25 costs a sixteenth',
  }),
  batch: whole({ value: 'N', min: 1, fallback: 10, help: 'pictures in one part of a step' }),
  accumulate: whole({
    value: 'N',
    min: 1,
    fallback: 1,
    help: 'parts of a step: --batch 4 --accumulate 8 is --batch 32 but for batch norms, which see 4 at a time',
  }),
  size: whole({ value: 'N', min: 32, fallback: 640, help: 'edge of the square input in pixels' }),
  schedule: text({
    value: 'TEXT',
    fallback: 'report',
    help:
      'learning rate: report, paper, constant:RATE, cosine:RATE[,LAST], step:RATE@EPOCH,EPOCH…[*FACTOR] or ' +
      'piecewise:RATE,RATE@EPOCH,…, each with +warmup:STEPS where wanted',
  }),
  loss: oneOf(Object.keys(LOSSES), {
    value: 'NAME',
    help:
      'report, report-strict (thresholds alone match, pictures without positives are skipped), paper (the ' +
      "original's weights 1, 0.25, 0.1), published, or published-negatives (pictures without faces teach by their 70 " +
      "hardest negatives); the network's family decides by default, and for the published one whether there are such " +
      "pictures; the box code stays the network's own",
  }),
  momentum: number({ value: 'M', min: 0, max: 1, fallback: 0.9, help: 'of the gradients before' }),
  weightDecay: number({ value: 'D', min: 0, fallback: 5e-4, help: 'times each parameter, added to its gradient' }),
  clipNorm: number({ flag: 'clip', value: 'NORM', min: 1e-9, help: 'scale longer gradients down to it' }),
  seed: whole({ value: 'N', min: 0, fallback: 1, help: 'every random choice follows from it' }),
  init: text({
    value: 'FILE|NAME',
    help: 'weights to start from: a checkpoint, a backbone alone, or a name that `retinaface weights` lists',
  }),
  freeze: listOf((name) => name, {
    value: 'NAME,…',
    help: 'parameters that stay as they are, by the beginning of their names: body, body.layer1',
  }),
  frozenStatistics: flag({ flag: 'freeze-norm', help: 'batch norms keep to their running statistics' }),
  stretch: number({
    value: 'RATIO',
    min: 1,
    help: 'crops up to so many times longer one way than the other fill the square (1)',
  }),
  crops: listOf((each, command, name) => readNumber(command, name, each, { min: 0.05, max: 8 }), {
    value: 'A,B,…',
    help:
      'edges of crops relative to the short side of the picture, one drawn for each; above 1 the picture shrinks on an ' +
      'empty ground (0.3,0.45,0.6,0.8,1)',
  }),
  portraits: number({
    value: 'P',
    min: 0,
    max: 1,
    help: 'probability of a crop that one face of 48 pixels or more fills by 40 to 90% of its edge (0)',
  }),
  ignoreBelow: number({
    value: 'PX',
    min: 0,
    help: "faces whose longer edge is under PX pixels of the network's input are neither taught nor taken for background (0)",
  }),
  augment: offFlag({ flag: 'no-augment', help: 'whole pictures as they are' }),
  evaluateEvery: whole({
    flag: 'evaluate',
    value: 'N',
    min: 0,
    fallback: 1,
    help:
      'average precision on what was held out, or on new scenes, after every Nth epoch: of faces from 50 pixels, from 24, ' +
      'and of all; the best weights are those of the best mean of the three',
  }),
  compare: text({
    value: 'FILE|NAME',
    help:
      'other weights, as a public checkpoint or a name that `retinaface weights` lists, measured once on what is ' +
      'evaluated, and named beside each evaluation',
  }),
  evaluationScenes: whole({ flag: 'evaluation', value: 'N', min: 1, fallback: 50, help: 'those scenes' }),
  workers: whole({
    value: 'N',
    min: 0,
    help: 'threads that read or draw pictures (one fewer than there are cores)',
  }),
  skipLimit: whole({
    value: 'N',
    min: 0,
    help: 'pictures that may be unreadable before it is an error (one in a hundred, and at least 10)',
  }),
  cache: whole({ value: 'MIB', min: 0, fallback: 512, help: 'memory for pictures that were read or drawn before' }),
  saveEvery: whole({ value: 'N', min: 1, fallback: 100, help: 'steps between two saves inside an epoch' }),
  dryRun: flag({ help: 'say what it learns from and what it takes, and end' }),
  quiet: flag({ help: 'no words on stderr but errors, and at the end what was left out' }),
};

/** Labels, and the folder of their pictures where it is not told by where they lie. */
export type LabelledPictures = LabelsOption & { readonly images: string | undefined };

/** What a training is told: its options, the ones that must be there among them. */
export type TrainRun = Omit<
  Values<typeof TRAIN_OPTIONS>,
  'configuration' | 'workdir' | 'data' | 'images' | 'labels' | 'holdout' | 'freeze'
> & {
  readonly configuration: ConfigurationOption;
  readonly workdir: string;
  readonly labels: readonly LabelledPictures[];
  /** Share of the pictures that is kept out of training. */
  readonly holdout: number;
  readonly freeze: readonly string[];
};

/**
 * The options of a training in order, with what its `--config` stands for.
 * @throws ArgumentError where one is missing, or two do not go together.
 */
export function trainRun(
  values: Values<typeof TRAIN_OPTIONS>,
  configuration: ConfigurationOption | undefined,
): TrainRun {
  const { workdir, data = [], images = [], labels = [], holdout = 0, freeze = [], ...others } = values;
  const given = data.length + images.length + labels.length > 0 || others.scenes !== undefined;
  if (configuration === undefined || workdir === undefined || !given || images.length !== labels.length) {
    const missing = [
      configuration === undefined ? 'no --config' : '',
      workdir === undefined ? 'no --workdir' : '',
      given ? '' : 'nothing to learn from',
      images.length === labels.length ? '' : `--images ${images.length} times and --labels ${labels.length} times`,
    ];
    throw wrong(
      'train',
      '--config NAME, --workdir DIR, and a source or several: --data DIR, --images DIR with --labels FILE, --synthetic N',
      missing.filter((words) => words !== '').join(', '),
      'Write `retinaface train --config published-mobilenet0.25 --synthetic 1000 --workdir run`.',
    );
  }
  for (const name of ['stretch', 'crops', 'portraits'] as const) {
    if (others[name] === undefined || others.augment) continue;
    throw wrong('train', `--${name} or --no-augment`, 'both', 'Leave one of them out.');
  }
  const pictures = data.length + labels.length > 0;
  if (others.compare !== undefined && (others.evaluateEvery === 0 || (pictures && holdout === 0))) {
    throw wrong(
      'train',
      '--compare with something to evaluate',
      others.evaluateEvery === 0 ? '--evaluate 0' : 'labels without --holdout',
      others.evaluateEvery === 0 ? 'Leave one of them out.' : 'Add --holdout 20%, for one, or leave --compare out.',
    );
  }
  return {
    ...others,
    configuration,
    workdir,
    labels: [
      ...data.map((path) => ({ ...labelsOption('--data', path), images: undefined })),
      ...labels.map((path, i) => ({ ...labelsOption('--labels', path), images: images[i]! })),
    ],
    holdout,
    freeze,
  };
}
