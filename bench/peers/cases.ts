// What is measured: the same weights and input, as an ONNX graph and as ours. Weights are functions of their names.
import { formulaTensor } from '../../test/helpers/formula.js';
import type { Constant, Graph, Node } from './onnx.js';

/** Blocks and inner channels of ResNet-50's stages. */
const STAGES = [
  [3, 64],
  [4, 128],
  [6, 256],
  [3, 512],
] as const;

export const CASES = ['convolution', 'trunk', 'network', 'step'] as const;
export type Case = (typeof CASES)[number];
/** Those that are ONNX graphs as well. */
export type GraphCase = 'convolution' | 'trunk';

/** Multiply-adds times two of a run, where they are counted. */
export const FLOPS: Readonly<Partial<Record<Case, number>>> = {
  convolution: 2 * 160 * 160 * 256 * 9 * 256,
  trunk: trunkFlops(),
};

export const TITLES: Readonly<Record<Case, string>> = {
  convolution: 'convolution 3×3 256→256 at 160²',
  trunk: 'ResNet-50 trunk at 640²',
  network: 'MobileNet-0.25 detection network at 640², pixels to codes',
  step: 'training step of MobileNet-0.25 at 320² batch 4',
};

/** Shapes of inputs and outputs: pictures and maps are NCHW, other outputs lists. */
export const SHAPES: Readonly<Record<Case, { readonly input: number[]; readonly output: number[] }>> = {
  convolution: { input: [1, 256, 160, 160], output: [1, 256, 160, 160] },
  trunk: { input: [1, 3, 640, 640], output: [1, 2048, 20, 20] },
  // Two logits, four codes of boxes and ten of landmarks of 16,800 anchors, one kind after the other.
  network: { input: [1, 3, 640, 640], output: [16_800 * 16] },
  // Class, box and total loss.
  step: { input: [4, 3, 320, 320], output: [3] },
};

/** Faces of each picture of a training step, as corners in pixels. */
export const FACES: readonly (readonly [number, number, number, number])[] = [
  [80, 80, 160, 176],
  [160, 40, 200, 80],
];

/** Learning rate of the step; momentum 0.9 and weight decay 5e-4 are everyone's. */
export const RATE = 1e-3;

interface Layer {
  readonly conv: string;
  readonly norm: string;
  readonly cin: number;
  readonly cout: number;
  readonly kernel: number;
  readonly stride: number;
  readonly from: string;
  readonly add?: string;
  readonly rectified: boolean;
  readonly to: string;
}

/** ResNet-50's convolutions in order (He et al. 2015; the stride on the 3×3), under the names of its parameters. */
function layers(): Layer[] {
  const list: Layer[] = [
    {
      conv: 'body.conv1',
      norm: 'body.bn1',
      cin: 3,
      cout: 64,
      kernel: 7,
      stride: 2,
      from: 'input',
      rectified: true,
      to: 'stem',
    },
  ];
  let [at, cin] = ['pooled', 64];
  STAGES.forEach(([blocks, width], s) => {
    for (let b = 0; b < blocks; b++) {
      const name = `body.layer${s + 1}.${b}`;
      const stride = s > 0 && b === 0 ? 2 : 1;
      const layer = (conv: string, norm: string, rest: Omit<Layer, 'conv' | 'norm' | 'to'>): string => {
        list.push({ conv: `${name}.${conv}`, norm: `${name}.${norm}`, to: `${name}.${conv}.out`, ...rest });
        return `${name}.${conv}.out`;
      };
      const out = width * 4;
      const shortcut =
        b === 0
          ? layer('downsample.0', 'downsample.1', { cin, cout: out, kernel: 1, stride, from: at, rectified: false })
          : at;
      const reduced = layer('conv1', 'bn1', { cin, cout: width, kernel: 1, stride: 1, from: at, rectified: true });
      const filtered = layer('conv2', 'bn2', {
        cin: width,
        cout: width,
        kernel: 3,
        stride,
        from: reduced,
        rectified: true,
      });
      at = layer('conv3', 'bn3', {
        ...{ cin: width, cout: out, kernel: 1, stride: 1, from: filtered, rectified: true },
        add: shortcut,
      });
      cin = out;
    }
  });
  return list;
}

function trunkFlops(): number {
  // Sizes by the name of each map: 640 halves in the stem, in the pool and in three stages.
  const sizes = new Map([
    ['input', 640],
    ['pooled', 160],
  ]);
  let flops = 0;
  for (const { cin, cout, kernel, stride, from, to } of layers()) {
    const size = sizes.get(from)! / stride;
    sizes.set(to, size);
    flops += 2 * size * size * cin * cout * kernel * kernel;
  }
  return flops;
}

function convolution(name: string, [from, to]: readonly [string, string], kernel: number, stride: number): Node {
  const pad = (kernel - 1) / 2;
  return {
    op: 'Conv',
    inputs: [from, `${name}.weight`],
    output: to,
    ints: { kernel_shape: [kernel, kernel], strides: [stride, stride], pads: [pad, pad, pad, pad] },
  };
}

/** The graph of a case, with its weights. ONNX Runtime folds batch norms and rectifiers into the convolutions itself. */
export function graphOf(which: GraphCase): Graph {
  const { input, output } = SHAPES[which];
  const nodes: Node[] = [];
  const constants: Constant[] = [];
  const constant = (name: string, shape: readonly number[]): void => {
    constants.push({ name, shape, data: formulaTensor(name, shape) });
  };
  if (which === 'convolution') {
    constant('filter.weight', [256, 256, 3, 3]);
    nodes.push(convolution('filter', ['input', 'output'], 3, 1));
  } else {
    for (const { conv, norm, cin, cout, kernel, stride, from, add, rectified, to } of layers()) {
      constant(`${conv}.weight`, [cout, cin, kernel, kernel]);
      const names = ['weight', 'bias', 'running_mean', 'running_var'].map((each) => `${norm}.${each}`);
      for (const name of names) constant(name, [cout]);
      const last = rectified ? `${to}.sum` : to;
      const normed = add === undefined ? last : `${to}.normed`;
      nodes.push(convolution(conv, [from, `${to}.conv`], kernel, stride));
      nodes.push({ op: 'BatchNormalization', inputs: [`${to}.conv`, ...names], output: normed });
      if (add !== undefined) nodes.push({ op: 'Add', inputs: [normed, add], output: last });
      if (rectified) nodes.push({ op: 'Relu', inputs: [last], output: to });
      if (to === 'stem') {
        const ints = { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] };
        nodes.push({ op: 'MaxPool', inputs: ['stem'], output: 'pooled', ints });
      }
    }
    nodes.push({ op: 'Identity', inputs: [nodes.at(-1)!.output], output: 'output' });
  }
  return { nodes, constants, input: { name: 'input', shape: input }, output: { name: 'output', shape: output } };
}

/** The input of a case, NCHW. */
export function inputOf(which: Case): Float32Array {
  return formulaTensor('input', SHAPES[which].input);
}
