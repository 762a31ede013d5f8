import type { ConfigurationName } from './recognise.js';

/** What is told of weights that have a name. */
export interface NamedWeights {
  /** What `load` and `--weights` take. */
  readonly name: string;
  /** The name of the file, in the package or in the cache. */
  readonly file: string;
  readonly bytes: number;
  readonly licence: string;
  /** Whose they are, and what they have learnt from. */
  readonly source: string;
  readonly configuration: ConfigurationName;
  /** Average precision, easy / medium / hard, on the pictures and by the protocol that `protocol` says. */
  readonly precision: readonly [easy: number, medium: number, hard: number];
  readonly protocol: string;
}

/** Weights of others, which are fetched when their name is first used. */
export interface PublicWeights extends NamedWeights {
  /** Where the same bytes lie, each pinned to a commit; tried in this order. */
  readonly addresses: readonly string[];
  /** Hosts (with a port where it is not the usual one) that an address may redirect to, beside its own. */
  readonly redirects?: readonly string[];
  /** Of the whole file, in hexadecimal. */
  readonly sha256: string;
}

/** Every name of public weights. No address is trusted: what comes must have this size and this hash. */
export const PUBLIC_WEIGHTS: readonly PublicWeights[] = [
  {
    name: 'mobilenet0.25-wider',
    file: 'mobilenet0.25_Final.pth',
    addresses: [
      'https://raw.githubusercontent.com/foamliu/InsightFace-v2/17cd17c32160121d99db34d2ec0878d6da216314/retinaface/weights/mobilenet0.25_Final.pth',
      'https://raw.githubusercontent.com/hukkelas/DSFD-Pytorch-Inference/382de8f715f9e4311e5d08241c1725e820cd8dce/RetinaFace_mobilenet025.pth',
    ],
    bytes: 1_789_735,
    sha256: '2979b33ffafda5d74b6948cd7a5b9a7a62f62b949cef24e95fd15d2883a65220',
    licence: 'Apache-2.0; WIDER FACE, which they have learnt from, is for research',
    source: 'biubug6/Pytorch_Retinaface, kept in foamliu/InsightFace-v2: WIDER FACE train, 12,880 pictures',
    configuration: 'published-mobilenet0.25',
    precision: [0.90775, 0.88253, 0.73955],
    protocol: 'all 3,226 pictures of WIDER FACE val at their own size, score > 0.02, suppression at 0.4 with + 1',
  },
];
