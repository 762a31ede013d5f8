// What `npm run bench -- ranks` starts, alone or by mpirun: `step PARTS STEPS` or `sum NUMBERS ROUNDS`. Rank 0 prints JSON.
import { RetinaFace } from '../src/node/retinaface.js';
import { requestDevice } from '../src/node/device.js';
import { MpiRanks, startedRanks } from '../src/scale/mpi.js';
import { Tensor } from '../src/tensor/tensor.js';
import { OrderedSum } from '../src/train/ranks.js';
import { freeBatch, Trainer, type TrainingBatch } from '../src/train/trainer.js';

const SIZE = 320;
const BATCH = 4;
/** Direct, recorded, replayed: a step's first three. */
const WARM = 3;

const [mode, first = '1', second = '5'] = process.argv.slice(2);
const ranks = startedRanks() > 1 ? await MpiRanks.join('bench') : undefined;
const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
const seconds = (): number => performance.now() / 1000;

/** Two faces on each of four pictures of noise. */
function batchOf(device: GPUDevice): TrainingBatch {
  const x = Float32Array.from({ length: BATCH * SIZE * SIZE * 4 }, (_, i) =>
    i % 4 === 3 ? 0 : ((i * 7919) % 255) - 127,
  );
  const boxes = Float32Array.from({ length: BATCH * 2 * 4 }, (_, i) => [40, 40, 90, 100, 150, 160, 270, 300][i % 8]!);
  const points = Float32Array.from({ length: BATCH * 2 * 10 }, (_, i) => (i % 20 < 10 ? 60 : 200) + 3 * (i % 10));
  return {
    x: Tensor.from(device, x, [BATCH, SIZE, SIZE, 4]),
    targets: {
      boxes: Tensor.from(device, boxes, [BATCH, 2, 4]),
      landmarks: Tensor.from(device, points, [BATCH, 2, 10]),
      annotated: Tensor.from(device, new Float32Array(BATCH * 2).fill(1), [BATCH, 2]),
      counts: Tensor.from(device, new Uint32Array(BATCH).fill(2), [BATCH]),
    },
  };
}

async function step(parts: number, steps: number): Promise<object> {
  const device = await requestDevice();
  const model = new RetinaFace(device, 'published-mobilenet0.25');
  model.initialise(1);
  const trainer = new Trainer(model.network, ranks ? { ranks } : {});
  const times: number[] = [];
  for (let k = 0; k < WARM + steps; k++) {
    const batches = Array.from({ length: parts }, () => batchOf(device));
    await model.gpu.finish();
    const began = seconds();
    const losses = await trainer.accumulateTogether(batches);
    trainer.step(0.001);
    await trainer.read(losses);
    if (k >= WARM) times.push(seconds() - began);
    batches.forEach(freeBatch);
  }
  const bytes = trainer.optimiser.buckets.reduce((sum, { size }) => sum + size * 4, 0);
  return { seconds: median(times), bytes, adapter: model.gpu.info.description };
}

async function sum(numbers: number, rounds: number): Promise<object> {
  const values = new Float32Array(numbers).fill(1);
  const times: number[] = [];
  for (let k = 0; k < 1 + rounds; k++) {
    await ranks!.gather(new Uint8Array());
    const began = seconds();
    const total = new OrderedSum(ranks!, numbers);
    await total.add(values);
    await total.end();
    if (k > 0) times.push(seconds() - began);
  }
  return { seconds: median(times), bytes: numbers * 4 };
}

const answer = await (mode === 'sum' ? sum : step)(Number(first), Number(second));
if ((ranks?.rank ?? 0) === 0) process.stdout.write(`${JSON.stringify(answer)}\n`);
await ranks?.end();
process.exit(0);
