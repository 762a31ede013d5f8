import { type ConfigurationName, configurations } from '../src/retinaface/config.js';
import { Network } from '../src/retinaface/network.js';
import { RetinaFace } from '../src/retinaface/retinaface.js';
import type { StateTensor } from '../src/weights/state.js';
import { faceTargets } from '../src/data/batch.js';
import { Tensor } from '../src/tensor/tensor.js';
import { Trainer } from '../src/train/trainer.js';
import type { Row } from './harness.js';

/** Multiply-adds times two of one 640×640 picture. */
const FLOPS_640: Readonly<Partial<Record<ConfigurationName, number>>> = { 'published-resnet50': 88.5e9 };

function detection(name: ConfigurationName, size: number, batch: number): Row {
  const flops = FLOPS_640[name];
  return {
    name: `detect ${name} at ${size}² batch ${batch}`,
    ...(flops === undefined ? {} : { flops: flops * (size / 640) ** 2 * batch }),
    prepare: (gpu) => {
      // Weights that find nothing: the network's time does not depend on them.
      const state = new Map<string, StateTensor>();
      const network = new Network(gpu, configurations[name]);
      for (const { name: parameter, shape } of network.parameters) {
        const [kh, kw, cin, cout] = shape;
        const torch = shape.length === 4 ? [cout!, cin!, kh!, kw!] : [...shape];
        const length = torch.reduce((product, axis) => product * axis, 1);
        state.set(parameter, { shape: torch, data: new Float32Array(length).fill(0.001) });
      }
      network.dispose();
      const model = new RetinaFace(gpu.device, name);
      model.loadState(state, 'bench');
      const picture = { data: new Uint8Array(size * size * 4).fill(120), width: size, height: size };
      return {
        run: async () => {
          await model.detect(Array.from({ length: batch }, () => picture));
        },
        dispose: () => {
          model.dispose();
        },
      };
    },
  };
}

/** One step: forward, loss, backward and update, with two faces on each picture. */
function trainingStep(name: ConfigurationName, size: number, batch: number): Row {
  return {
    name: `training step of ${name} at ${size}² batch ${batch}`,
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

/** Whole detections, from pixels to faces, and whole training steps. */
export const modelRows: readonly Row[] = [
  ...[320, 640, 1280].map((size) => detection('published-mobilenet0.25', size, 1)),
  detection('published-mobilenet0.25', 640, 8),
  ...[320, 640].map((size) => detection('published-resnet50', size, 1)),
  ...[1, 2, 4, 8].map((batch) => trainingStep('published-mobilenet0.25', 320, batch)),
  trainingStep('context', 320, 1),
];
