// One way to compute the cases, in a process of its own (two copies of Dawn would share one): `ours`, `webgpu`, `cpu` or
// `tfjs`.
// For each case it is sent it answers { ms }, after writing the output (float32, NCHW) to the file named with the case.
import { writeFileSync } from 'node:fs';
import ort from 'onnxruntime-node';
import { Gpu } from '../../src/gpu/gpu.js';
import type { ConvBn } from '../../src/nn/conv_bn.js';
import { ParameterList } from '../../src/nn/parameter.js';
import { requestDevice } from '../../src/node/device.js';
import { faceTargets } from '../../src/data/batch.js';
import { anchorsFor } from '../../src/detect/anchors.js';
import { concat } from '../../src/ops/concat.js';
import { conv2d } from '../../src/ops/conv2d.js';
import { reshape } from '../../src/ops/reshape.js';
import { ResNet50 } from '../../src/retinaface/resnet50.js';
import { RetinaFace } from '../../src/retinaface/retinaface.js';
import { Plans } from '../../src/tensor/plans.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { Trainer } from '../../src/train/trainer.js';
import { formulaTensor } from '../../test/helpers/formula.js';
import { formulaState } from '../../test/helpers/formula_state.js';
import { type Case, FACES, type GraphCase, graphOf, inputOf, RATE, SHAPES } from './cases.js';
import { encodeOnnx } from './onnx.js';

export interface Request {
  readonly which: Case;
  /** Where the output goes; absent: it is dropped. */
  readonly file?: string;
}

export type Reply = { readonly ready: string } | { readonly ms: number } | { readonly error: string };

/** Input in and output out are part of a run, as an array in this process's memory, for all alike. */
type Compute = (input: Float32Array) => Promise<Float32Array>;

/** [a, b] in rows of `b` to columns: NCHW to NHWC and back. */
function transposed(data: Float32Array, rows: number, columns: number, width = rows): Float32Array<ArrayBuffer> {
  const result = new Float32Array(columns * width);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) result[c * width + r] = data[r * columns + c]!;
  return result;
}

/** Pictures of a case as NHWC, channels padded to a multiple of `unit`. */
function pictures(
  data: Float32Array,
  [n = 0, channels = 0, h = 0, w = 0]: readonly number[],
  unit: number,
): Float32Array {
  const width = Math.ceil(channels / unit) * unit;
  const result = new Float32Array(n * h * w * width);
  const size = channels * h * w;
  for (let i = 0; i < n; i++) {
    result.set(transposed(data.subarray(i * size, (i + 1) * size), channels, h * w, width), i * h * w * width);
  }
  return result;
}

/** PyTorch's [o, i, h, w] as our [h, w, i, o]. */
function weightOf(name: string, [kh, kw, cin, cout]: readonly number[]): Float32Array<ArrayBuffer> {
  const taps = kh! * kw!;
  const theirs = formulaTensor(name, [cout!, cin!, kh!, kw!]);
  const ours = new Float32Array(theirs.length);
  for (let o = 0; o < cout!; o++)
    for (let i = 0; i < cin!; i++)
      for (let t = 0; t < taps; t++) ours[(t * cin! + i) * cout! + o] = theirs[(o * cin! + i) * taps + t]!;
  return ours;
}

async function ours(): Promise<{ ready: string; prepare: (which: Case) => Compute }> {
  const gpu = Gpu.of(await requestDevice());
  const { vendor, description } = gpu.info;
  const detector = (): RetinaFace => {
    const name = 'published-mobilenet0.25';
    const model = new RetinaFace(gpu.device, name);
    model.loadState(formulaState(gpu, name), 'formula');
    return model;
  };
  /** As `detect` runs it, without what surrounds the network. */
  const codes = (size: number): Compute => {
    const { network } = detector();
    const places = anchorsFor(network.configuration.levels, size, size);
    const anchors = Tensor.from(gpu, places, [places.length / 4, 4]);
    const plans = new Plans(gpu);
    return async (input) => {
      const { outputs } = plans.run('codes', {
        inputs: [{ shape: [1, size, size, 4], dtype: 'f32', label: 'input' }],
        fill: ([x]) => {
          (x as Tensor<'f32'>).write(input as Float32Array<ArrayBuffer>);
        },
        compute: ([x]) => {
          const { logits, boxes, landmarks } = network.infer(x!, anchors).outputs;
          const lists = [logits, boxes, landmarks!].map((each) => reshape(each, [each.size]));
          return { outputs: [concat(lists, 0)], note: undefined };
        },
      });
      using y = outputs[0] as Tensor<'f32'>;
      return y.read();
    };
  };
  const step = ([n = 0, , h = 0, w = 0]: readonly number[]): Compute => {
    const trainer = new Trainer(detector().network);
    const faces = FACES.map((box) => ({ box }));
    const targets = faceTargets(gpu, new Array<typeof faces>(n).fill(faces));
    return async (input) => {
      using x = Tensor.from(gpu, input as Float32Array<ArrayBuffer>, [n, h, w, 4]);
      using losses = trainer.accumulate({ x, targets });
      trainer.step(RATE);
      const { class: ofClass, box, total } = await trainer.read(losses);
      return Float32Array.of(ofClass, box, total);
    };
  };
  const network = (which: GraphCase): ((x: Tensor) => Tensor) => {
    if (which === 'convolution') {
      const shape = [3, 3, 256, 256];
      const weight = Tensor.from(gpu, weightOf('filter.weight', shape), shape);
      return (x) => conv2d(x, weight, { padding: 1 });
    }
    const parameters = new ParameterList(gpu);
    const layers: ConvBn[] = [];
    const trunk = new ResNet50(parameters, layers);
    for (const parameter of parameters) {
      const { name, shape } = parameter;
      parameter.write(
        shape.length === 4 ? weightOf(name, shape) : (formulaTensor(name, shape) as Float32Array<ArrayBuffer>),
      );
    }
    for (const layer of layers) layer.fold();
    return (x) => {
      const maps = trunk.forward(x);
      for (const map of maps.slice(0, -1)) map.dispose();
      return maps.at(-1)!;
    };
  };
  return {
    ready: `${vendor}, ${description}`,
    prepare(which) {
      const [, , height = 0, width = 0] = SHAPES[which].input;
      if (which === 'network') return codes(height);
      if (which === 'step') return step(SHAPES[which].input);
      const compute = network(which);
      return async (input) => {
        using x = Tensor.from(gpu, input as Float32Array<ArrayBuffer>, [
          1,
          height,
          width,
          input.length / height / width,
        ]);
        using y = compute(x) as Tensor<'f32'>;
        return y.read();
      };
    },
  };
}

function theirs(provider: 'webgpu' | 'cpu'): { ready: string; prepare: (which: Case) => Promise<Compute> } {
  return {
    ready: `ONNX Runtime ${ort.env.versions.node ?? ort.env.versions.common}`,
    async prepare(which) {
      const graph = graphOf(which as GraphCase);
      const session = await ort.InferenceSession.create(encodeOnnx(graph), { executionProviders: [provider] });
      return async (input) => {
        const { output } = await session.run({ input: new ort.Tensor('float32', input, SHAPES[which].input) });
        return output!.data as Float32Array;
      };
    },
  };
}

/** Loaded where it is asked for: it takes `navigator` for its own. */
async function tensorflow(): Promise<{ ready: string; prepare: (which: Case) => Compute }> {
  const { openTfjs, tfjsStep } = await import('./tfjs.js');
  const { ready, wait } = await openTfjs();
  const valuesOf = (name: string, shape: readonly number[]): Float32Array =>
    shape.length === 4 ? weightOf(name, shape) : formulaTensor(name, shape);
  return { ready, prepare: (which) => tfjsStep(SHAPES[which].input, valuesOf, wait) };
}

const kind = process.argv[2] as 'ours' | 'webgpu' | 'cpu' | 'tfjs';
const reply = (message: Reply): void => void process.send!(message);
const { ready, prepare } = kind === 'ours' ? await ours() : kind === 'tfjs' ? await tensorflow() : theirs(kind);
const prepared = new Map<Case, { readonly compute: Compute; readonly input: Float32Array }>();

process.on('message', ({ which, file }: Request) => {
  void (async () => {
    let state = prepared.get(which);
    if (!state) {
      const input = inputOf(which);
      // The order is each library's own and not part of a run.
      const unit = kind === 'ours' ? 4 : kind === 'tfjs' ? 1 : undefined;
      const own = unit === undefined ? input : pictures(input, SHAPES[which].input, unit);
      state = { compute: await prepare(which), input: own };
      prepared.set(which, state);
    }
    const start = performance.now();
    const output = await state.compute(state.input);
    const ms = performance.now() - start;
    if (file !== undefined) {
      const [, c = 0, h = 0, w = 0] = SHAPES[which].output;
      const turned = kind === 'ours' && c > 0 ? transposed(output, h * w, c) : output;
      writeFileSync(file, new Uint8Array(turned.slice().buffer));
    }
    reply({ ms });
  })().catch((error: unknown) => {
    reply({ error: error instanceof Error ? error.message : String(error) });
  });
});
process.on('disconnect', () => process.exit(0));
reply({ ready });
