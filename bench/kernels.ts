import { Tape } from '../src/autograd/tape.js';
import { type AugmentPlan, augmentBatch } from '../src/data/augment.js';
import { faceTargets } from '../src/data/batch.js';
import { anchorsFor } from '../src/detect/anchors.js';
import { selectHardNegatives } from '../src/detect/hard_negatives.js';
import { iouMatrix } from '../src/detect/iou_matrix.js';
import { matchAnchors } from '../src/detect/match.js';
import { nms } from '../src/detect/nms.js';
import { selectFaces } from '../src/detect/select.js';
import type { Gpu } from '../src/gpu/gpu.js';
import { add } from '../src/ops/add.js';
import { batchNorm } from '../src/ops/batch_norm.js';
import { concat } from '../src/ops/concat.js';
import { inputGradient, weightGradient } from '../src/ops/conv/backward.js';
import { convGeometry } from '../src/ops/conv/geometry.js';
import { conv2d } from '../src/ops/conv2d.js';
import { deformConv2d } from '../src/ops/deform_conv2d.js';
import { maxPool2d } from '../src/ops/max_pool2d.js';
import { negativeLogLikelihood } from '../src/ops/negative_log_likelihood.js';
import { prepareImages } from '../src/ops/prepare_images.js';
import { leakyRelu, relu } from '../src/ops/relu.js';
import { smoothL1 } from '../src/ops/smooth_l1.js';
import { softmax } from '../src/ops/softmax.js';
import { sum } from '../src/ops/sum.js';
import { unpool } from '../src/ops/unpool.js';
import { configurations } from '../src/retinaface/config.js';
import { keep, scope } from '../src/tensor/scope.js';
import { elements, type Shape } from '../src/tensor/shape.js';
import { Tensor } from '../src/tensor/tensor.js';
import { Sgd } from '../src/train/sgd.js';
import { add as addTwin } from '../test/reference/add.js';
import { array64 } from '../test/reference/array64.js';
import { augment } from '../test/reference/augment.js';
import { batchNorm as batchNormTwin } from '../test/reference/batch_norm.js';
import { concat as concatTwin } from '../test/reference/concat.js';
import { conv2d as convTwin } from '../test/reference/conv2d.js';
import { deformConv2d as deformTwin } from '../test/reference/deform_conv2d.js';
import { selectHardNegatives as hardTwin } from '../test/reference/hard_negatives.js';
import { image } from '../test/reference/image.js';
import { iou as iouTwin } from '../test/reference/iou_matrix.js';
import { leakyRelu as leakyTwin } from '../test/reference/leaky_relu.js';
import { matchAnchors as matchTwin } from '../test/reference/match.js';
import { maxPool2d as poolTwin } from '../test/reference/max_pool2d.js';
import { negativeLogLikelihood as likelihoodTwin } from '../test/reference/negative_log_likelihood.js';
import { nms as nmsTwin } from '../test/reference/nms.js';
import { relu as reluTwin } from '../test/reference/relu.js';
import { sgd as sgdTwin } from '../test/reference/sgd.js';
import { smoothL1 as smoothTwin } from '../test/reference/smooth_l1.js';
import { softmax as softmaxTwin } from '../test/reference/softmax.js';
import { unpool as unpoolTwin } from '../test/reference/unpool.js';
import type { Row, Timed } from './harness.js';
import { agreesWhereSampled, agreesWithTwin, close, convolutionElement, fill, filled, type Twin } from './verify.js';

/** Times an expression over tensors that is freed after each run. */
function timed(inputs: readonly Tensor[], compute: () => Tensor, check: (y: Tensor) => Promise<void> | void): Timed {
  return {
    run: () => {
      compute().dispose();
    },
    check: async () => {
      using y = compute();
      await check(y);
    },
    dispose: () => {
      for (const input of inputs) input.dispose();
    },
  };
}

interface ConvRow {
  readonly size: number;
  readonly cin: number;
  readonly cout: number;
  readonly kernel: number;
  readonly stride?: number;
  readonly batch?: number;
  /** Every channel with a filter of its own; cin and cout are the same. */
  readonly depthwise?: boolean;
}

/** Title, geometry and bounds of a convolution's three passes. */
function conv(row: ConvRow) {
  const { size, cin, cout, kernel, stride = 1, batch = 1, depthwise = false } = row;
  const groups = depthwise ? cin : 1;
  const window = { stride, padding: (kernel - 1) / 2, groups };
  const [x, weight] = [
    [batch, size, size, cin],
    [kernel, kernel, cin / groups, cout],
  ] as const;
  const geometry = convGeometry('bench', x, weight, window);
  const name = depthwise
    ? `depthwise ${kernel}×${kernel} of ${cin} at ${size}²`
    : `conv2d ${kernel}×${kernel} ${cin}→${cout} at ${size}²`;
  return {
    name: `${name}${stride > 1 ? ` stride ${stride}` : ''}${batch > 1 ? ` batch ${batch}` : ''}`,
    // A depthwise convolution does too little with what it reads to be bounded by arithmetic.
    bound: depthwise
      ? { bytes: 4 * (elements(x) + elements(geometry.shape)) }
      : { flops: (2 * elements(geometry.shape) * kernel * kernel * cin) / groups },
    shapes: { x, weight },
    window,
    geometry,
  };
}

/** A convolution with a ReLU behind it. */
export function convolution(row: ConvRow): Row {
  const { name, bound, shapes, window, geometry } = conv(row);
  return {
    name,
    ...bound,
    prepare: (gpu) => {
      const [x, weight] = [filled(gpu, shapes.x), filled(gpu, shapes.weight)];
      const expected = convolutionElement('forward', geometry);
      return timed(
        [x, weight],
        () => conv2d(x, weight, { ...window, slope: 0 }),
        async (y) => {
          agreesWhereSampled(await y.read(), elements(shapes.weight) / geometry.cout, (at) =>
            Math.max(0, expected(at)),
          );
        },
      );
    },
  };
}

/** One pass of a convolution's gradient, of as many operations as its forward. */
function convolutionGradient(pass: 'input' | 'weight', row: ConvRow): Row {
  const { name, bound, shapes, geometry } = conv(row);
  const { cin, cout, groups, kernelH, kernelW, batch, outH, outW } = geometry;
  return {
    name: `${row.depthwise ? 'depthwise' : 'conv2d'} gradient of ${pass}${name.slice(name.indexOf(' '))}`,
    ...bound,
    prepare: (gpu) => {
      const [x, weight, gradient] = [shapes.x, shapes.weight, geometry.shape].map((shape) => filled(gpu, shape)) as [
        Tensor,
        Tensor,
        Tensor,
      ];
      const terms = pass === 'input' ? (kernelH * kernelW * cout) / groups : batch * outH * outW;
      return timed(
        [x, weight, gradient],
        () =>
          pass === 'input'
            ? inputGradient(undefined, geometry, weight, gradient)
            : weightGradient(undefined, geometry, x, gradient),
        async (y) => {
          agreesWhereSampled(await y.read(), Math.max(terms, cin / groups), convolutionElement(pass, geometry));
        },
      );
    },
  };
}

/** What a row of an operation is made of: its inputs at the size of the networks, and a twin at a small one. */
interface Operation extends Twin {
  readonly name: string;
  readonly large: readonly Shape[];
  /** Floats moved for each float of the first input, forward. */
  readonly traffic: number;
}

function forward({ name, large, traffic, ...twin }: Operation): Row {
  return {
    name,
    bytes: elements(large[0]!) * 4 * traffic,
    prepare: (gpu) => {
      const inputs = large.map((shape) => filled(gpu, shape));
      return timed(
        inputs,
        () => scope(() => twin.op(...inputs)),
        async (y) => {
          if (!(await y.read()).every(Number.isFinite)) throw new Error('a result that is not finite');
          await agreesWithTwin(gpu, { ...twin, gradients: [] });
        },
      );
    },
  };
}

/**
 * An operation forward and backward on a tape, from the sum of its output, to the inputs of `gradients`. `traffic`: floats
 * moved for each float of the first input, the sum's and its gradient's two for each of the output included.
 */
function both({ name, large, traffic, ...twin }: Operation): Row {
  const watched = twin.gradients ?? [0];
  return {
    name: `${name}, forward and backward`,
    bytes: elements(large[0]!) * 4 * traffic,
    prepare: (gpu) => {
      const inputs = large.map((shape) => filled(gpu, shape));
      const tape = new Tape(gpu);
      for (const index of watched) tape.watch(inputs[index]!);
      return {
        run: () => {
          const loss = tape.record(() => scope(() => sum(twin.op(...inputs))));
          tape.backward(loss);
          loss.dispose();
        },
        check: async () => {
          for (const index of watched) {
            const gradient = await tape.gradient(inputs[index]!)!.read();
            if (!gradient.every(Number.isFinite)) throw new Error('a gradient that is not finite');
          }
          await agreesWithTwin(gpu, { ...twin, gradients: watched });
        },
        dispose: () => {
          tape.dispose();
          for (const input of inputs) input.dispose();
        },
      };
    },
  };
}

const trainingNorm: Operation = {
  name: 'batch norm in training, 256 at 80²',
  large: [[1, 80, 80, 256], [256], [256]],
  traffic: 3,
  op: (x, gamma, beta) => {
    const statistic = (): Tensor => Tensor.zeros(x.gpu, gamma.shape, { label: 'running statistic' });
    return batchNorm(x, { gamma, beta, runningMean: statistic(), runningVar: statistic(), training: true });
  },
  twin: (x, gamma, beta) => {
    const zeros = array64(gamma.shape, new Float64Array(gamma.data.length));
    return batchNormTwin(x, { gamma, beta, runningMean: zeros, runningVar: zeros, training: true }).output;
  },
  shapes: [[1, 6, 7, 8], [8], [8]],
};

const leak: Operation = {
  name: 'leaky ReLU of 256 at 80²',
  large: [[1, 80, 80, 256]],
  traffic: 2,
  op: (x) => leakyRelu(x, 0.1),
  twin: (x) => leakyTwin(x, 0.1),
  shapes: [[2, 3, 5, 4]],
};

const pool = (size: number): Operation => ({
  name: `max pool 3×3 stride 2 of 64 at ${size}²`,
  large: [[1, size, size, 64]],
  traffic: 1.25,
  op: (x) => maxPool2d(x, { kernel: 3, stride: 2, padding: 1 }),
  twin: (x) => poolTwin(x, { kernel: 3, stride: 2, padding: 1 }),
  shapes: [[1, 8, 6, 4]],
});

const upsampling: Operation = {
  name: 'unpool of 256 from 40² to 80²',
  large: [[1, 40, 40, 256]],
  traffic: 5,
  op: (x) => unpool(x, { size: [2 * x.shape[1]!, 2 * x.shape[2]!] }),
  twin: (x) => unpoolTwin(x, { size: [2 * x.shape[1]!, 2 * x.shape[2]!] }),
  shapes: [[1, 3, 4, 8]],
};

const softening: Operation = {
  name: 'softmax of 102,300 anchors',
  large: [[1, 102_300, 2]],
  traffic: 2,
  op: softmax,
  twin: softmaxTwin,
  shapes: [[1, 40, 2]],
};

const deformation: Operation = {
  name: 'deformable convolution 3×3 of 256 at 40²',
  large: [
    [1, 40, 40, 256],
    [1, 40, 40, 18],
    [3, 3, 256, 256],
  ],
  // The samples are written and read: nine for each element of x.
  traffic: 2 + 2 * 9,
  op: (x, offset, weight) => deformConv2d(x, offset, weight, { padding: 1 }),
  twin: (x, offset, weight) => deformTwin(x, offset, weight, { padding: 1 }),
  shapes: [
    [1, 4, 5, 4],
    [1, 4, 5, 18],
    [3, 3, 4, 4],
  ],
};

const depthwise: Operation = {
  name: 'depthwise 3×3 of 128 at 80², to the input',
  large: [
    [1, 80, 80, 128],
    [3, 3, 1, 128],
  ],
  traffic: 2,
  op: (x, weight) => conv2d(x, weight, { padding: 1, groups: weight.shape[3]! }),
  twin: (x, weight) => convTwin(x, weight, { padding: 1, groups: weight.shape[3]! }),
  shapes: [
    [1, 5, 6, 8],
    [3, 3, 1, 8],
  ],
};

const joined: Operation = {
  name: 'concat of 128, 64 and 64 channels at 80²',
  large: [128, 64, 64].map((channels) => [1, 80, 80, channels]),
  traffic: 4,
  op: (...inputs) => concat(inputs, 3),
  twin: (...inputs) => concatTwin(inputs, 3),
  shapes: [8, 4, 4].map((channels) => [1, 2, 3, channels]),
};

const added: Operation = {
  name: 'add of 256 at 80²',
  large: [
    [1, 80, 80, 256],
    [1, 80, 80, 256],
  ],
  traffic: 3,
  op: (a, b) => add(a, b),
  twin: addTwin,
  shapes: [
    [1, 3, 5, 4],
    [1, 3, 5, 4],
  ],
};

/** Every third row is a face. */
const labelOf = (row: number): number => (row % 3 === 0 ? 1 : 0);

const labels = new Map<number, Tensor<'u32'>>();

/** Labels of so many rows, made once: a row times the kernel, not the upload. */
function labelsOf(gpu: Gpu, rows: number): Tensor<'u32'> {
  let tensor = labels.get(rows);
  if (!tensor) {
    tensor = keep(
      Tensor.from(
        gpu,
        Uint32Array.from({ length: rows }, (_, i) => labelOf(i)),
        [rows],
      ),
    );
    labels.set(rows, tensor);
  }
  return tensor;
}

const likelihood: Operation = {
  name: 'negative log likelihood of 102,300 anchors',
  large: [[102_300, 2]],
  // Two logits and a label in, a loss out.
  traffic: 2,
  op: (logits) => negativeLogLikelihood(logits, labelsOf(logits.gpu, logits.shape[0]!)),
  twin: (logits) =>
    likelihoodTwin(
      logits,
      Array.from({ length: logits.shape[0]! }, (_, i) => labelOf(i)),
    ),
  shapes: [[40, 2]],
};

const distance: Operation = {
  name: 'smooth L1 of 102,300 boxes',
  large: [
    [102_300, 4],
    [102_300, 4],
  ],
  traffic: 3,
  op: (x, target) => smoothL1(x, target),
  twin: (x, target) => smoothTwin(x, target),
  shapes: [
    [17, 4],
    [17, 4],
  ],
};

/** Corners of the random-looking box `i`, of 8 to 71 pixels in a 1,024 pixel square. */
function boxOf(i: number): [number, number, number, number] {
  const [x, y, size] = [(i * 7919) % 1024, (i * 104_729) % 1024, 8 + ((i * 31) % 64)];
  return [x, y, x + size, y + size];
}

function boxes(gpu: Gpu, count: number): Tensor<'f32'> {
  return Tensor.from(gpu, Float32Array.from(listOf(count)), [count, 4]);
}

function listOf(count: number): number[] {
  return Array.from({ length: count }, (_, i) => boxOf(i)).flat();
}

function selection(anchors: number): Row {
  return {
    name: `select faces of ${anchors.toLocaleString('en')} anchors`,
    bytes: anchors * 8,
    prepare: (gpu) => {
      // Every hundredth anchor is a candidate, and one is better than the next; codes of 0 leave the anchors as they are.
      const score = (i: number): number => 1 + ((i * 13) % 997) / 512;
      const logits = Float32Array.from({ length: anchors * 2 }, (_, i) =>
        i % 200 === 1 ? score((i - 1) / 2) : -i % 2,
      );
      const places = Float32Array.from(listOf(anchors), (value, i) => (i % 4 < 2 ? value : 8 + ((i * 31) % 64)));
      const inputs = {
        logits: Tensor.from(gpu, logits, [1, anchors, 2]),
        boxes: Tensor.zeros(gpu, [1, anchors, 4]),
        landmarks: Tensor.zeros(gpu, [1, anchors, 10]),
        anchors: Tensor.from(gpu, places, [anchors, 4]),
      };
      const options = { scoreThreshold: 0.5, nmsThreshold: 0.4, topK: 5000, maxFaces: 750, plusOne: false };
      return timed(
        Object.values(inputs),
        () => selectFaces(inputs, { ...options, variances: [1, 1] }),
        async (y) => {
          const candidates = Array.from({ length: Math.ceil(anchors / 100) }, (_, k) => 100 * k);
          const corners = candidates.flatMap((i) => {
            const [cx, cy, w, h] = places.subarray(4 * i, 4 * i + 4) as unknown as [number, number, number, number];
            return [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2];
          });
          const kept = nmsTwin(
            array64([candidates.length, 4], corners),
            array64([candidates.length], candidates.map(score)),
            { iouThreshold: options.nmsThreshold },
          ).slice(0, options.maxFaces);
          const got = await y.read();
          close('the number of faces', got[0]!, kept.length, 0);
          for (const [face, k] of kept.entries()) {
            for (let i = 0; i < 4; i++) close(`face ${face}`, got[1 + 15 * face + 1 + i]!, corners[4 * k + i]!, 1e-6);
          }
        },
      );
    },
  };
}

export function suppression(count: number): Row {
  return {
    name: `nms of ${count.toLocaleString('en')} boxes`,
    prepare: (gpu) => {
      const all = boxes(gpu, count);
      const scores = filled(gpu, [count]);
      const options = { iouThreshold: 0.4 };
      return {
        run: async () => {
          await nms(all, scores, options);
        },
        check: async () => {
          const kept = await nms(all, scores, options);
          const values = array64(
            [count],
            Array.from({ length: count }, (_, i) => fill(i)),
          );
          const expected = nmsTwin(array64([count, 4], listOf(count)), values, options);
          close('the number of boxes kept', kept.length, expected.length, 0);
          for (const [rank, index] of expected.entries())
            close(`the box kept as number ${rank}`, kept[rank]!, index, 0);
        },
        dispose: () => {
          all.dispose();
          scores.dispose();
        },
      };
    },
  };
}

export function iou(faces: number): Row {
  const anchors = 102_300;
  const bytes = anchors * faces * 4;
  return {
    name: `IoU matrix 102,300 × ${faces.toLocaleString('en')}`,
    bytes,
    unfit: ({ limits }) => {
      const limit = Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize);
      return bytes <= limit ? undefined : `${bytes} bytes are more than the ${limit} that this device binds at once`;
    },
    prepare: (gpu) => {
      const [a, b] = [boxes(gpu, anchors), boxes(gpu, faces)];
      return timed(
        [a, b],
        () => iouMatrix(a, b),
        async (y) => {
          agreesWhereSampled(await y.read(), 1, (at) => {
            const [row, column] = [Math.floor(at / faces), at % faces];
            return iouTwin(array64([1, 4], boxOf(row)), 0, array64([1, 4], boxOf(column)), 0);
          });
        },
      );
    },
  };
}

const MATCHING = { positiveThreshold: 0.7, negativeThreshold: 0.3, forceBestAnchor: true, variances: [1, 1] } as const;
const MINING = { negativeRatio: 3, minimumNegatives: 100 } as const;
const report = configurations.full.levels;

/** What a picture of the report has to learn: its anchors are compared with its faces, then the hardest are mined. */
function matching(faces: number): Row {
  const list = Array.from({ length: faces }, (_, i) => ({ box: boxOf(i) }));
  const step = (anchors: Tensor, targets: ReturnType<typeof faceTargets>, losses: Tensor) => {
    const matches = matchAnchors(anchors, targets, MATCHING);
    return { ...matches, selected: selectHardNegatives(losses, matches.labels, MINING) };
  };
  return {
    name: `match 102,300 anchors and ${faces} ${faces === 1 ? 'face' : 'faces'}, mine hard negatives`,
    prepare: (gpu) => {
      const values = anchorsFor(report, 640, 640);
      const count = values.length / 4;
      const anchors = Tensor.from(gpu, values, [count, 4]);
      const targets = faceTargets(gpu, [list]);
      const losses = Tensor.from(
        gpu,
        Float32Array.from({ length: count }, (_, i) => Math.abs(fill(i))),
        [1, count],
      );
      return {
        run: () => {
          for (const tensor of Object.values(step(anchors, targets, losses))) tensor?.dispose();
        },
        check: async () => {
          // The same faces on the anchors of a picture of 64 pixels.
          const few = anchorsFor(report, 64, 64);
          const each = few.length / 4;
          const small = list.slice(0, 10).map(({ box }) => ({ box: box.map((value) => value / 16 + 3) as typeof box }));
          using place = Tensor.from(gpu, few, [each, 4]);
          using wanted = faceTargets(gpu, [small]);
          const loss = Float32Array.from({ length: each }, (_, i) => Math.abs(fill(i)));
          using lost = Tensor.from(gpu, loss, [1, each]);
          const got = step(place, wanted, lost);
          const expected = matchTwin(array64([each, 4], few), small, MATCHING);
          const chosen = hardTwin(loss, expected.labels, MINING);
          const [labels, selected, codes] = await Promise.all([
            got.labels.read(),
            got.selected.read(),
            got.boxes.read(),
          ]);
          for (let i = 0; i < each; i++) {
            close(`label ${i}`, labels[i]!, expected.labels[i]!, 0);
            close(`selected ${i}`, selected[i]!, chosen[i]!, 0);
          }
          for (const [i, code] of expected.boxes.data.entries()) close(`box code ${i}`, codes[i]!, code, 1e-5);
          for (const tensor of Object.values(got)) tensor?.dispose();
        },
        dispose: () => {
          for (const tensor of [anchors, losses]) tensor.dispose();
          targets[Symbol.dispose]();
        },
      };
    },
  };
}

/** One update of as many parameters as the report's full network has, in buckets. */
function update(parameters: number): Row {
  const size = Math.ceil(parameters / 32 / 64) * 64;
  const make = (gpu: Gpu, length: number, count: number) => {
    const values = Array.from({ length: count }, () => filled(gpu, [length]));
    const gradient = filled(gpu, [length]);
    const optimiser = new Sgd(
      gpu,
      values.map((value, i) => ({ name: `p${i}`, value })),
    );
    const step = (): void => {
      optimiser.accumulate(() => gradient);
      optimiser.step(0.01);
    };
    const dispose = (): void => {
      optimiser.dispose();
      for (const tensor of [...values, gradient]) tensor.dispose();
    };
    return { values, step, dispose };
  };
  return {
    name: `SGD step of ${Math.round(parameters / 1e6)} million parameters`,
    // Gradients are gathered (read, written), their norm measured (read), and read with values and momentum written back.
    bytes: parameters * 4 * (2 + 1 + 5),
    prepare: (gpu) => {
      const { step, dispose } = make(gpu, size, 32);
      return {
        run: step,
        check: async () => {
          const few = make(gpu, 70, 2);
          const start = array64(
            [70],
            Array.from({ length: 70 }, (_, i) => fill(i)),
          );
          const state = { value: start, moment: array64([70], new Float64Array(70)) };
          few.step();
          const options = { learningRate: 0.01, momentum: 0.9, weightDecay: 5e-4 };
          const [expected] = sgdTwin([state], [start], options) as [typeof state];
          const got = await few.values[0]!.read();
          for (const [i, value] of expected.value.data.entries()) close(`parameter ${i}`, got[i]!, value, 1e-6);
          few.dispose();
        },
        dispose,
      };
    },
  };
}

const INPUT = { order: 'rgb', mean: [104, 117, 123], std: [1, 2, 3] } as const;

/** A picture whose every pixel differs from its neighbours. */
function pictureOf(width: number, height: number) {
  return { data: Uint8Array.from({ length: width * height * 4 }, (_, i) => (i * 7 + (i >> 5)) % 256), width, height };
}

const preparation: Row = {
  name: 'prepare a picture, 1024×768 to 640×480',
  bytes: 1024 * 768 * 4 + 640 * 640 * 16,
  prepare: (gpu) => {
    const picture = pictureOf(1024, 768);
    const options = { width: 640, height: 640, placements: [{ scale: 0.625, width: 640, height: 480 }], ...INPUT };
    return timed(
      [],
      () => prepareImages(gpu, [picture], options),
      async () => {
        const small = pictureOf(16, 12);
        const placements = [{ scale: 0.625, width: 10, height: 8 }];
        using y = prepareImages(gpu, [small], { ...options, width: 10, height: 10, placements });
        const { order, mean, std } = INPUT;
        const expected = image(small, { size: 10, channelOrder: order, mean, std, resized: [8, 10] });
        const got = await y.read();
        for (const [i, value] of expected.data.entries()) close(`element ${i}`, got[i]!, value, 1e-4);
      },
    );
  },
};

const augmentation: Row = {
  name: 'augment a picture, a crop of 700² of 1024×768 to 640²',
  bytes: 1024 * 768 * 4 + 640 * 640 * 16,
  prepare: (gpu) => {
    const plan = (edge: number): AugmentPlan => ({
      crop: { x: edge / 16, y: edge / 20, width: edge, height: edge },
      flip: true,
      colour: { brightness: -20, contrast: 1.2, saturation: 0.7, hue: 20, order: 'contrast-last' },
    });
    const picture = pictureOf(1024, 768);
    return timed(
      [],
      () => augmentBatch(gpu, [picture], [plan(700)], { size: 640, ...INPUT }),
      async () => {
        const small = pictureOf(16, 12);
        using y = augmentBatch(gpu, [small], [plan(11)], { size: 10, ...INPUT });
        const expected = augment(small, plan(11), { size: 10, ...INPUT });
        const got = await y.read();
        // Hue divides by the chroma, which may be as small as 1 of 255.
        for (const [i, value] of expected.data.entries()) close(`element ${i}`, got[i]!, value, 5e-3);
      },
    );
  },
};

/** The first rows give the peaks: a copy for memory, the largest convolution for arithmetic. */
export const PEAK_ROWS = 2;

/** Each kernel at shapes of the networks at 640×640. */
export const kernelRows: readonly Row[] = [
  // Two bytes moved for each byte of the tensor, no arithmetic to speak of: what memory gives.
  forward({
    name: 'copy peak: relu of 16 Mi values',
    large: [[1 << 24]],
    traffic: 2,
    op: relu,
    twin: reluTwin,
    shapes: [[60]],
  }),
  convolution({ size: 160, cin: 256, cout: 256, kernel: 3 }),
  convolution({ size: 80, cin: 256, cout: 256, kernel: 3 }),
  convolution({ size: 80, cin: 64, cout: 64, kernel: 3 }),
  convolution({ size: 80, cin: 512, cout: 256, kernel: 1 }),
  convolution({ size: 160, cin: 64, cout: 256, kernel: 1 }),
  convolution({ size: 20, cin: 512, cout: 2048, kernel: 1 }),
  convolution({ size: 80, cin: 256, cout: 256, kernel: 3, stride: 2 }),
  convolution({ size: 640, cin: 4, cout: 64, kernel: 7, stride: 2 }),
  ...(['input', 'weight'] as const).flatMap((pass) => [
    convolutionGradient(pass, { size: 80, cin: 256, cout: 256, kernel: 3 }),
    convolutionGradient(pass, { size: 80, cin: 512, cout: 256, kernel: 1 }),
    convolutionGradient(pass, { size: 80, cin: 256, cout: 256, kernel: 3, stride: 2 }),
    convolutionGradient(pass, { size: 20, cin: 512, cout: 2048, kernel: 1 }),
  ]),
  convolution({ size: 80, cin: 128, cout: 128, kernel: 3, depthwise: true }),
  convolutionGradient('input', { size: 80, cin: 128, cout: 128, kernel: 3, depthwise: true }),
  convolutionGradient('weight', { size: 80, cin: 128, cout: 128, kernel: 3, depthwise: true }),
  both({ ...depthwise, traffic: 6 }),
  forward(deformation),
  both({ ...deformation, traffic: 2 * deformation.traffic + 3 * 2 * 9, gradients: [0, 1, 2] }),
  forward(trainingNorm),
  both({ ...trainingNorm, traffic: 10, gradients: [0, 1, 2] }),
  forward(leak),
  both({ ...leak, traffic: 7 }),
  forward(pool(320)),
  both({ ...pool(160), traffic: 3.25 }),
  forward(upsampling),
  both({ ...upsampling, traffic: 18 }),
  forward(joined),
  both({ ...joined, traffic: 12, gradients: [0, 1, 2] }),
  forward(added),
  both({ ...added, traffic: 5, gradients: [0, 1] }),
  forward(softening),
  both({ ...softening, traffic: 7 }),
  forward(likelihood),
  both({ ...likelihood, traffic: 4 }),
  forward(distance),
  both({ ...distance, traffic: 7 }),
  update(40e6),
  preparation,
  augmentation,
  ...[1, 10, 100].map(matching),
  selection(16_800),
  selection(102_300),
  ...[1, 10, 100, 300, 1000].map(iou),
  ...[100, 300, 1000, 3000, 10_000, 30_000].map(suppression),
];
