import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { anchorCount } from '../src/detect/anchors.js';
import type { Gpu } from '../src/gpu/gpu.js';
import { flopsOf } from '../src/gpu/work.js';
import { type ConfigurationName, configurations } from '../src/retinaface/config.js';
import type { Precision } from '../src/nn/parameter.js';
import { Network } from '../src/retinaface/network.js';
import { RetinaFace } from '../src/retinaface/retinaface.js';
import type { StateTensor } from '../src/weights/state.js';
import { faceTargets } from '../src/data/batch.js';
import { Tensor } from '../src/tensor/tensor.js';
import { Trainer } from '../src/train/trainer.js';
import { writeSafetensors } from '../src/weights/safetensors.js';
import type { Row } from './harness.js';
import { close } from './verify.js';

const scripts = fileURLToPath(new URL('.', import.meta.url));

/** More than this, and an adapter on the CPU takes half a minute or longer a detection. */
const HEAVY_FLOPS = 300e9;

/** Multiply-adds times two of all convolutions that `compute` would run: read off a rehearsal, so nothing is computed. */
export function convolutionFlops(gpu: Gpu, compute: () => void): number {
  let flops = 0;
  const run = gpu.run.bind(gpu);
  gpu.run = (name, dispatch) => {
    if (name.startsWith('conv2d_forward')) flops += flopsOf(name, dispatch.params);
    run(name, dispatch);
  };
  try {
    gpu.rehearse(compute);
  } finally {
    // The method of the class shows again.
    delete (gpu as Partial<Gpu>).run;
  }
  return flops;
}

const counted = new Map<string, number>();

/** Multiply-adds times two of the network on one picture of `size`² pixels. */
function networkFlops(gpu: Gpu, name: ConfigurationName, size: number): number {
  const key = `${name} ${size}`;
  let flops = counted.get(key);
  if (flops === undefined) {
    flops = convolutionFlops(gpu, () => {
      const network = new Network(gpu, configurations[name]);
      network.fold();
      const anchors = anchorCount(configurations[name].levels, size, size);
      network.infer(Tensor.empty(gpu, [1, size, size, 4]), Tensor.empty(gpu, [anchors, 4]));
    });
    counted.set(key, flops);
  }
  return flops;
}

/** Weights that find nothing, in PyTorch's layout: the network's time does not depend on them. */
function weightsOf(gpu: Gpu, name: ConfigurationName): Map<string, StateTensor> {
  const state = new Map<string, StateTensor>();
  const network = new Network(gpu, configurations[name]);
  for (const { name: parameter, shape } of network.parameters) {
    const [kh, kw, cin, cout] = shape;
    const torch = shape.length === 4 ? [cout!, cin!, kh!, kw!] : [...shape];
    const length = torch.reduce((product, axis) => product * axis, 1);
    state.set(parameter, { shape: torch, data: new Float32Array(length).fill(0.001) });
  }
  network.dispose();
  return state;
}

function detection(name: ConfigurationName, size: number, batch: number, precision: Precision = 'f32'): Row {
  return {
    name: `detect ${name} at ${size}² batch ${batch}${precision === 'f16' ? ' in f16' : ''}`,
    unfit: (gpu) => (precision === 'f16' && !gpu.device.features.has('shader-f16') ? 'no shader-f16' : undefined),
    flops: (gpu) => networkFlops(gpu, name, size) * batch,
    heavy: (gpu) => networkFlops(gpu, name, size) * batch > HEAVY_FLOPS,
    prepare: (gpu) => {
      const model = new RetinaFace(gpu.device, name, { precision });
      model.loadState(weightsOf(gpu, name), 'bench');
      const picture = { data: new Uint8Array(size * size * 4).fill(120), width: size, height: size };
      const detect = () => model.detect(Array.from({ length: batch }, () => picture));
      return {
        run: detect,
        check: async () => {
          const found = await detect();
          if (found.length !== batch) throw new Error(`${found.length} lists of faces for ${batch} pictures`);
        },
        dispose: () => {
          model.dispose();
        },
      };
    },
  };
}

/** From the bytes of a safetensors file in memory to a model that is ready, its weights on the device. */
function loading(name: ConfigurationName): Row {
  return {
    name: `load ${name}`,
    prepare: (gpu) => {
      const bytes = writeSafetensors(weightsOf(gpu, name));
      const model = new RetinaFace(gpu.device, name);
      return {
        run: () => model.load(bytes),
        check: async () => {
          const state = await model.state();
          for (const { data } of state.values()) close('a weight', data[0]!, 0.001, 1e-9);
        },
        dispose: () => {
          model.dispose();
        },
      };
    },
  };
}

interface FirstDetection {
  readonly fromStart: number;
  readonly fromDevice: number;
}

/** A detection in a process of its own that keeps compiled shaders in `cache` alone. */
function firstDetection(name: ConfigurationName, cache: string): FirstDetection {
  const out = execFileSync(
    process.execPath,
    ['--import', 'tsx', join(scripts, 'first_detection.ts'), name, join(cache, 'weights.safetensors')],
    {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      // Mesa's and NVIDIA's caches; Dawn keeps none on disk in Node.
      env: { ...process.env, MESA_SHADER_CACHE_DIR: cache, __GL_SHADER_DISK_CACHE_PATH: cache, XDG_CACHE_HOME: cache },
    },
  );
  return JSON.parse(out) as FirstDetection;
}

/** What was measured for each kind, in order: rows that count from another moment share the runs. */
const firsts = new Map<string, FirstDetection[]>();

/** The first detection of a process: what a command line or a server's first request waits for. */
function first(name: ConfigurationName, kind: 'cold' | 'with a kept shader cache', since: keyof FirstDetection): Row {
  const from = since === 'fromStart' ? 'process start' : "the device's opening";
  return {
    name: `first detection of ${name} at 640², ${kind}, from ${from}`,
    samples: 3,
    prepare: (gpu) => {
      const weights = writeSafetensors(weightsOf(gpu, name));
      const folders: string[] = [];
      const folder = (): string => {
        const path = mkdtempSync(join(tmpdir(), 'retinaface-bench-'));
        folders.push(path);
        writeFileSync(join(path, 'weights.safetensors'), weights);
        return path;
      };
      const kept = folder();
      const key = `${name} ${kind}`;
      const known = firsts.get(key) ?? [];
      firsts.set(key, known);
      let runs = 0;
      return {
        run: () => {
          const found = (known[runs] ??= firstDetection(name, kind === 'cold' ? folder() : kept));
          runs++;
          return found[since];
        },
        dispose: () => {
          for (const path of folders) rmSync(path, { recursive: true, force: true });
        },
      };
    },
  };
}

/** One step: forward, loss, backward and update, with two faces on each picture. `heavy`: minutes, on a CPU. */
export function trainingStep(name: ConfigurationName, size: number, batch: number, heavy = false): Row {
  return {
    name: `training step of ${name} at ${size}² batch ${batch}`,
    heavy: () => heavy,
    prepare: (gpu) => {
      const model = new RetinaFace(gpu.device, name);
      model.initialise(1);
      const trainer = new Trainer(model.network);
      const pixels = Float32Array.from({ length: batch * size * size * 4 }, (_, i) =>
        i % 4 === 3 ? 0 : ((i * 37) % 255) - 127,
      );
      const x = Tensor.from(gpu, pixels, [batch, size, size, 4]);
      const side = size / 4;
      const boxes = [side, side, 2 * side, 2.2 * side, 2 * side, side / 2, 2.5 * side, side];
      const targets = faceTargets(
        gpu,
        Array.from({ length: batch }, () => [0, 4].map((at) => ({ box: boxes.slice(at, at + 4) as Box }))),
      );
      const losses: Tensor[] = [];
      return {
        run: () => {
          losses.pop()?.dispose();
          losses.push(trainer.accumulate({ x, targets }));
          trainer.step(0);
        },
        check: async () => {
          const { total } = await trainer.read(losses.pop()!);
          if (!Number.isFinite(total)) throw new Error('a loss that is not finite');
        },
        dispose: () => {
          for (const tensor of losses) tensor.dispose();
          trainer.dispose();
          model.dispose();
          targets[Symbol.dispose]();
          x.dispose();
        },
      };
    },
  };
}

type Box = [number, number, number, number];

/** Calls of a command encoder that do nothing. */
function silentEncoder(): GPUCommandEncoder {
  const nothing = (): undefined => undefined;
  const pass = { setPipeline: nothing, setBindGroup: nothing, dispatchWorkgroups: nothing, end: nothing };
  return {
    beginComputePass: () => pass,
    copyBufferToBuffer: nothing,
    clearBuffer: nothing,
    finish: nothing,
  } as unknown as GPUCommandEncoder;
}

/** What `call` answers while nothing that is encoded, submitted or uploaded reaches WebGPU. */
function silently<T>({ device }: Gpu, call: () => T): T {
  const { queue } = device;
  device.createCommandEncoder = silentEncoder;
  queue.submit = queue.writeBuffer = () => undefined;
  try {
    return call();
  } finally {
    // The methods of the classes show again.
    delete (device as Partial<GPUDevice>).createCommandEncoder;
    delete (queue as Partial<GPUQueue>).submit;
    delete (queue as Partial<GPUQueue>).writeBuffer;
  }
}

/** Runs of a row before its plan is kept: it runs as it is, then is recorded. */
const BEFORE_REPLAY = 3;

/**
 * The milliseconds that JavaScript takes for 1,000 dispatches of what `row` encodes, once that is replayed: WebGPU itself is
 * silent meanwhile.
 */
function replayed(row: Row): Row {
  return {
    name: `JavaScript of 1,000 dispatches, replayed: ${row.name}`,
    prepare: async (gpu) => {
      const { run, dispose, check } = await row.prepare(gpu);
      for (let i = 0; i < BEFORE_REPLAY; i++) await run();
      await check?.();
      await gpu.finish();
      return {
        run: async () => {
          let ms = 0;
          const { dispatches } = gpu.counters();
          await silently(gpu, () => {
            const start = performance.now();
            const running = run();
            gpu.flush();
            ms = performance.now() - start;
            return running;
          });
          return (1000 * ms) / (gpu.counters().dispatches - dispatches);
        },
        dispose,
      };
    },
  };
}

const PUBLISHED = ['published-mobilenet0.25', 'published-resnet50'] as const;

/** Whole detections, from pixels to faces, and whole training steps. */
export const modelRows: readonly Row[] = [
  ...PUBLISHED.map(loading),
  ...PUBLISHED.flatMap((name) =>
    (['cold', 'with a kept shader cache'] as const).flatMap((kind) =>
      (['fromStart', 'fromDevice'] as const).map((since) => first(name, kind, since)),
    ),
  ),
  ...PUBLISHED.flatMap((name) =>
    [1, 8].flatMap((batch) => [320, 640, 1280].map((size) => detection(name, size, batch))),
  ),
  ...PUBLISHED.map((name) => detection(name, 640, 1, 'f16')),
  ...[1, 2, 4, 8].map((batch) => trainingStep('published-mobilenet0.25', 320, batch)),
  trainingStep('context', 320, 1),
  trainingStep('context', 640, 2, true),
  replayed(detection('published-mobilenet0.25', 320, 1)),
  replayed(trainingStep('published-mobilenet0.25', 64, 1)),
];
