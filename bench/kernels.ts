import { Tape } from '../src/autograd/tape.js';
import { iouMatrix } from '../src/detect/iou_matrix.js';
import { nms } from '../src/detect/nms.js';
import { selectFaces } from '../src/detect/select.js';
import type { Gpu } from '../src/gpu/gpu.js';
import { batchNorm } from '../src/ops/batch_norm.js';
import { inputGradient, weightGradient } from '../src/ops/conv/backward.js';
import { convGeometry } from '../src/ops/conv/geometry.js';
import { conv2d } from '../src/ops/conv2d.js';
import { maxPool2d } from '../src/ops/max_pool2d.js';
import { prepareImages } from '../src/ops/prepare_images.js';
import { leakyRelu, relu } from '../src/ops/relu.js';
import { softmax } from '../src/ops/softmax.js';
import { sum } from '../src/ops/sum.js';
import { unpool } from '../src/ops/unpool.js';
import { scope } from '../src/tensor/scope.js';
import { elements } from '../src/tensor/shape.js';
import { Tensor } from '../src/tensor/tensor.js';
import type { Row, Timed } from './harness.js';

/** Deterministic values of both signs, about 1 in size. */
function filled(gpu: Gpu, shape: readonly number[]): Tensor<'f32'> {
  return Tensor.from(
    gpu,
    Float32Array.from({ length: elements(shape) }, (_, i) => ((i * 37) % 101) / 50 - 1),
    shape,
  );
}

/** Times an expression over tensors that is freed after each run. */
function timed(inputs: readonly Tensor[], compute: () => Tensor): Timed {
  return {
    run: () => {
      compute().dispose();
    },
    check: async () => {
      using y = compute();
      const values = await y.read();
      if (!values.every(Number.isFinite)) throw new Error('a result that is not finite');
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
}

function convolution({ size, cin, cout, kernel, stride = 1 }: ConvRow): Row {
  const out = Math.ceil(size / stride);
  return {
    name: `conv2d ${kernel}×${kernel} ${cin}→${cout} at ${size}²${stride > 1 ? ` stride ${stride}` : ''}`,
    flops: 2 * out * out * cout * kernel * kernel * cin,
    prepare: (gpu) => {
      const x = filled(gpu, [1, size, size, cin]);
      const weight = filled(gpu, [kernel, kernel, cin, cout]);
      return timed([x, weight], () => conv2d(x, weight, { stride, padding: (kernel - 1) / 2, slope: 0 }));
    },
  };
}

/** One pass of a convolution's gradient, of as many operations as its forward. */
function convolutionGradient(pass: 'input' | 'weight', row: ConvRow): Row {
  const { size, cin, cout, kernel, stride = 1 } = row;
  const forward = convolution(row);
  return {
    ...forward,
    name: forward.name.replace('conv2d', `conv2d gradient of ${pass}`),
    prepare: (gpu) => {
      const window = { stride, padding: (kernel - 1) / 2 };
      const x = filled(gpu, [1, size, size, cin]);
      const weight = filled(gpu, [kernel, kernel, cin, cout]);
      const geometry = convGeometry('bench', x.shape, weight.shape, window);
      const gradient = filled(gpu, geometry.shape);
      return timed([x, weight, gradient], () =>
        pass === 'input'
          ? inputGradient(undefined, geometry, weight, gradient)
          : weightGradient(undefined, geometry, x, gradient),
      );
    },
  };
}

function elementwise(name: string, shape: readonly number[], traffic: number, compute: (x: Tensor) => Tensor): Row {
  return {
    name,
    bytes: elements(shape) * 4 * traffic,
    prepare: (gpu) => {
      const x = filled(gpu, shape);
      return timed([x], () => compute(x));
    },
  };
}

/**
 * An operation forward and backward on a tape, from the sum of its output. `traffic`: floats moved for each float of the
 * input, the sum's and its gradient's two for each of the output included.
 */
function both(name: string, shape: readonly number[], traffic: number, compute: (x: Tensor) => Tensor): Row {
  return {
    name: `${name}, forward and backward`,
    bytes: elements(shape) * 4 * traffic,
    prepare: (gpu) => {
      const x = filled(gpu, shape);
      const tape = new Tape(gpu);
      tape.watch(x);
      return {
        run: () => {
          const loss = tape.record(() => scope(() => sum(compute(x))));
          tape.backward(loss);
          loss.dispose();
        },
        check: async () => {
          const gradient = await tape.gradient(x)!.read();
          if (!gradient.every(Number.isFinite)) throw new Error('a gradient that is not finite');
        },
        dispose: () => {
          tape.dispose();
          x.dispose();
        },
      };
    },
  };
}

/** Random-looking boxes of 8 to 72 pixels in a 1,024 pixel square. */
function boxes(gpu: Gpu, count: number): Tensor<'f32'> {
  const data = new Float32Array(count * 4);
  for (let i = 0; i < count; i++) {
    const [x, y, size] = [(i * 7919) % 1024, (i * 104_729) % 1024, 8 + ((i * 31) % 64)];
    data.set([x, y, x + size, y + size], 4 * i);
  }
  return Tensor.from(gpu, data, [count, 4]);
}

function selection(anchors: number): Row {
  return {
    name: `select faces of ${anchors.toLocaleString('en')} anchors`,
    bytes: anchors * 8,
    prepare: (gpu) => {
      // Every hundredth anchor is a candidate.
      const logits = Float32Array.from({ length: anchors * 2 }, (_, i) => (i % 2 === 1 && i % 200 === 1 ? 3 : 0));
      const inputs = {
        logits: Tensor.from(gpu, logits, [1, anchors, 2]),
        boxes: Tensor.zeros(gpu, [1, anchors, 4]),
        landmarks: Tensor.zeros(gpu, [1, anchors, 10]),
        anchors: boxes(gpu, anchors),
      };
      const options = { scoreThreshold: 0.5, nmsThreshold: 0.4, topK: 5000, maxFaces: 750, plusOne: false };
      return timed(Object.values(inputs), () => selectFaces(inputs, { ...options, variances: [1, 1] }));
    },
  };
}

function suppression(count: number): Row {
  return {
    name: `nms of ${count.toLocaleString('en')} boxes`,
    prepare: (gpu) => {
      const all = boxes(gpu, count);
      const scores = filled(gpu, [count]);
      return {
        run: async () => {
          await nms(all, scores, { iouThreshold: 0.4 });
        },
        dispose: () => {
          all.dispose();
          scores.dispose();
        },
      };
    },
  };
}

/** The first rows give the peaks: a copy for memory, the largest convolution for arithmetic. */
export const PEAK_ROWS = 2;

/** Each kernel at shapes of the networks at 640×640. */
export const kernelRows: readonly Row[] = [
  // Two bytes moved for each byte of the tensor, no arithmetic to speak of: what memory gives.
  elementwise('copy peak: relu of 16 Mi values', [1 << 24], 2, relu),
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
  {
    name: 'depthwise 3×3 of 128 at 80²',
    bytes: 80 * 80 * 128 * 8,
    prepare: (gpu) => {
      const x = filled(gpu, [1, 80, 80, 128]);
      const weight = filled(gpu, [3, 3, 1, 128]);
      return timed([x, weight], () => conv2d(x, weight, { padding: 1, groups: 128, slope: 0.1 }));
    },
  },
  {
    name: 'batch norm in training, 256 at 80²',
    bytes: 80 * 80 * 256 * 12,
    prepare: (gpu) => {
      const x = filled(gpu, [1, 80, 80, 256]);
      const [gamma, beta, runningMean, runningVar] = [1, 2, 3, 4].map(() => filled(gpu, [256])) as [
        Tensor,
        Tensor,
        Tensor,
        Tensor,
      ];
      return timed([x, gamma, beta, runningMean, runningVar], () =>
        batchNorm(x, { gamma, beta, runningMean, runningVar, training: true }),
      );
    },
  },
  both('batch norm in training, 256 at 80²', [1, 80, 80, 256], 10, (x) => {
    const [gamma, beta, runningMean, runningVar] = [1, 2, 3, 4].map(() =>
      Tensor.zeros(x.gpu, [256], { label: 'parameter' }),
    ) as [Tensor, Tensor, Tensor, Tensor];
    return batchNorm(x, { gamma, beta, runningMean, runningVar, training: true });
  }),
  both('leaky ReLU of 256 at 80²', [1, 80, 80, 256], 7, (x) => leakyRelu(x, 0.1)),
  both('max pool 3×3 stride 2 of 64 at 160²', [1, 160, 160, 64], 3.25, (x) =>
    maxPool2d(x, { kernel: 3, stride: 2, padding: 1 }),
  ),
  both('unpool of 256 from 40² to 80²', [1, 40, 40, 256], 18, (x) => unpool(x, { size: [80, 80] })),
  both('softmax of 102,300 anchors', [1, 102_300, 2], 7, softmax),
  both('depthwise 3×3 of 128 at 80², to the input', [1, 80, 80, 128], 6, (x) =>
    conv2d(x, Tensor.zeros(x.gpu, [3, 3, 1, 128]), { padding: 1, groups: 128 }),
  ),
  elementwise('max pool 3×3 stride 2 of 64 at 320²', [1, 320, 320, 64], 1.25, (x) =>
    maxPool2d(x, { kernel: 3, stride: 2, padding: 1 }),
  ),
  elementwise('unpool of 256 from 40² to 80²', [1, 40, 40, 256], 5, (x) => unpool(x, { size: [80, 80] })),
  {
    name: 'prepare a picture, 1024×768 to 640×480',
    bytes: 1024 * 768 * 4 + 640 * 640 * 16,
    prepare: (gpu) => {
      const picture = { data: new Uint8Array(1024 * 768 * 4).fill(99), width: 1024, height: 768 };
      const placements = [{ scale: 0.625, width: 640, height: 480 }];
      const options = { width: 640, height: 640, placements, order: 'rgb' } as const;
      return timed([], () => prepareImages(gpu, [picture], { ...options, mean: [0, 0, 0], std: [1, 1, 1] }));
    },
  },
  selection(16_800),
  selection(102_300),
  ...[1, 10, 100, 300].map((faces) => ({
    name: `IoU matrix 102,300 × ${faces}`,
    bytes: 102_300 * faces * 4,
    prepare: (gpu: Gpu) => {
      const [a, b] = [boxes(gpu, 102_300), boxes(gpu, faces)];
      return timed([a, b], () => iouMatrix(a, b));
    },
  })),
  ...[100, 300, 1000, 3000, 10_000, 30_000].map(suppression),
];
