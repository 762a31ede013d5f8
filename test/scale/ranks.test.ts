// Several ranks, here in one process on one device, against one that accumulates the parts of all of them: the same bits.
import assert from 'node:assert/strict';
import { test } from 'uvu';
import { Gpu } from '../../src/gpu/gpu.js';
import { NumericError } from '../../src/gpu/errors.js';
import { type Configuration, configurations, narrowed } from '../../src/retinaface/config.js';
import { RetinaFace } from '../../src/retinaface/retinaface.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { encodeCheckpoint, type Position } from '../../src/train/checkpoint.js';
import { anyRank, fromFirst, OrderedSum, type Ranks, ranksThatDiffer } from '../../src/train/ranks.js';
import { runTraining } from '../../src/train/run.js';
import { parseSchedule } from '../../src/train/schedule.js';
import { freeBatch, Trainer, type TrainerOptions, type TrainingBatch } from '../../src/train/trainer.js';
import { testDevice as device } from '../helpers/device.js';
import { formulaTensor } from '../helpers/formula.js';
import { localRanks } from '../helpers/local_ranks.js';

const gpu = Gpu.of(device);
const SIZE = 64;

/** Part `part` of step `step`: two pictures of noise with two faces and one; every third part has other faces. */
function partOf(step: number, part: number): TrainingBatch {
  const name = `${step} ${part}`;
  const x = formulaTensor(`pictures ${name}`, [2, SIZE, SIZE, 4]).map((v, i) => (i % 4 === 3 ? 0 : v * 100));
  const far = part % 3 === 2 ? 12 : 0;
  const boxes = Float32Array.of(8, 8, 30 + far, 36, 32, 20, 56, 44 + far, 10, 12, 40, 44, 0, 0, 0, 0);
  const counts = part % 3 === 1 ? [1, 0] : [2, 1];
  return {
    x: Tensor.from(device, x, [2, SIZE, SIZE, 4]),
    targets: {
      boxes: Tensor.from(device, boxes, [2, 2, 4]),
      landmarks: Tensor.from(
        device,
        formulaTensor(`points ${name}`, [2, 2, 10]).map((v) => 24 + 8 * v),
        [2, 2, 10],
      ),
      annotated: Tensor.from(device, Float32Array.of(1, part % 2, 1, 0), [2, 2]),
      counts: Tensor.from(device, Uint32Array.from(counts), [2]),
    },
  };
}

function start(configuration: Configuration, options: TrainerOptions = {}) {
  const model = new RetinaFace(device, configuration);
  model.initialise(7);
  return { model, trainer: new Trainer(model.network, { clipNorm: 5, ...options }) };
}

const AT: Position = { step: 3, epoch: 0, stepInEpoch: 3, run: '{}' };

interface Outcome {
  readonly losses: readonly Float32Array[];
  readonly norms: readonly Float32Array[];
  readonly checkpoint: Uint8Array;
}

/** Three steps of `parts` parts each, of which these are the own. */
async function threeSteps(
  configuration: Configuration,
  own: readonly number[],
  options: TrainerOptions,
): Promise<Outcome> {
  const { model, trainer } = start(configuration, options);
  const losses: Float32Array[] = [];
  const norms: Float32Array[] = [];
  for (let step = 0; step < AT.step; step++) {
    const parts = own.map((part) => partOf(step, part));
    const tensor = await trainer.accumulateTogether(parts);
    parts.forEach(freeBatch);
    trainer.step(0.01);
    losses.push(await (tensor as Tensor<'f32'>).read());
    norms.push(await trainer.optimiser.gradientNorm().read());
    tensor.dispose();
  }
  const checkpoint = await encodeCheckpoint(trainer, AT);
  trainer.dispose();
  model.dispose();
  return { losses, norms, checkpoint };
}

const mobileNet = configurations['published-mobilenet0.25'];
const cascade = narrowed(configurations.full, 1 / 16);

for (const [name, configuration, size, each, frozenStatistics] of [
  ['two ranks with a part each', mobileNet, 2, 1, false],
  ['three ranks with two parts each', mobileNet, 3, 2, false],
  ['two ranks with two parts each, norms frozen', mobileNet, 2, 2, true],
  ['two ranks of a cascade', cascade, 2, 1, false],
] as const) {
  test(`${name} learn what one process with all parts learns, to the bit`, async () => {
    const before = gpu.memory().bytes;
    const all = Array.from({ length: size * each }, (_, part) => part);
    const expected = await threeSteps(configuration, all, { frozenStatistics });
    const outcomes = await Promise.all(
      localRanks(size).map((ranks) =>
        threeSteps(
          configuration,
          all.filter((part) => part % size === ranks.rank),
          { frozenStatistics, ranks },
        ),
      ),
    );
    for (const [rank, { losses, norms, checkpoint }] of outcomes.entries()) {
      assert.deepEqual(losses, expected.losses, `losses of rank ${rank}`);
      assert.deepEqual(norms, expected.norms, `norms of rank ${rank}`);
      assert.ok(Buffer.compare(checkpoint, expected.checkpoint) === 0, `weights and momentum of rank ${rank}`);
    }
    assert.equal(gpu.memory().bytes, before);
  });
}

test('every running statistic moves in a step of ranks, and none is lost where a part fails', async () => {
  for (const configuration of [mobileNet, cascade, narrowed(configurations.deformable, 1 / 16)]) {
    const [ranks] = localRanks(1);
    const { model, trainer } = start(configuration, { ranks: ranks! });
    const statistics = [...model.network.parameters].filter(({ trainable }) => !trainable);
    const read = () => Promise.all(statistics.map((statistic) => statistic.read()));
    const before = await read();
    const part = partOf(0, 0);
    const { x, targets } = partOf(0, 1);
    x.dispose();
    await assert.rejects(trainer.accumulateTogether([part, { x, targets }]), /disposed of/);
    assert.deepEqual(await read(), before);
    (await trainer.accumulateTogether([part])).dispose();
    for (const [i, after] of (await read()).entries()) {
      assert.notDeepEqual(after, before[i], statistics[i]!.name);
    }
    trainer.dispose();
    model.dispose();
    freeBatch(part);
    for (const tensor of Object.values(targets) as Tensor[]) tensor.dispose();
  }
});

test('sums are those of float32 in the order of rounds and ranks, whatever their number and length', async () => {
  for (const [size, length] of [
    [1, 5],
    [2, 7],
    [3, 64],
    [5, 3],
  ] as const) {
    const values = (round: number, rank: number) =>
      Float32Array.from({ length }, (_, i) => Math.sin(1 + 7 * i + 31 * rank + 101 * round) * 10 ** (rank - round));
    const expected = new Float32Array(length);
    for (const round of [0, 1]) {
      for (let rank = 0; rank < size; rank++) values(round, rank).forEach((v, i) => (expected[i]! += v));
    }
    const sums = await Promise.all(
      localRanks(size).map(async (ranks) => {
        const sum = new OrderedSum(ranks, length);
        for (const round of [0, 1]) await sum.add(values(round, ranks.rank));
        return sum.end();
      }),
    );
    for (const sum of sums) assert.deepEqual(sum, expected, `${size} ranks, ${length} numbers`);
  }
});

test('what one rank says, all hear; what differs is named', async () => {
  const bytes = (rank: number) => Uint8Array.of(1, 2, rank === 2 ? 4 : 3);
  const answers = await Promise.all(
    localRanks(3).map(async (ranks) => [
      await anyRank(ranks, ranks.rank === 1),
      await anyRank(ranks, false),
      await fromFirst(ranks, () => Promise.resolve({ score: 0.1 + ranks.rank })),
      await ranksThatDiffer(ranks, bytes(ranks.rank)),
    ]),
  );
  for (const answer of answers) assert.deepEqual(answer, [true, false, { score: 0.1 }, [2]]);
});

const PLAN = {
  epochs: 2,
  stepsPerEpoch: 3,
  schedule: parseSchedule('constant:0.01'),
  saveEvery: 2,
  evaluateEvery: 1,
};

function hostOf(ranks: Ranks | undefined, size: number, stopAfter = Infinity) {
  const saved: (readonly [string, Uint8Array])[] = [];
  const evaluated: number[] = [];
  const steps: number[] = [];
  return {
    saved,
    evaluated,
    steps,
    batches: (epoch: number, stepInEpoch: number) => {
      const own = Array.from({ length: size }, (_, part) => part).filter((part) => !ranks || part === ranks.rank);
      return Promise.resolve({ parts: own.map((part) => partOf(3 * epoch + stepInEpoch, part)), name: 'noise' });
    },
    onStep: ({ step, images }: { readonly step: number; readonly images: number }) => {
      steps.push(step);
      assert.equal(images, 2 * size);
    },
    save: (checkpoint: Uint8Array, which: string) => {
      saved.push([which, checkpoint]);
      return Promise.resolve();
    },
    evaluate: (epoch: number) => {
      evaluated.push(epoch);
      return Promise.resolve(0.5 + epoch / 10);
    },
    // Only the last rank is asked to stop.
    stopRequested: () => (!ranks || ranks.rank === size - 1) && steps.length >= stopAfter,
    now: () => 0,
  };
}

test('ranks save what one process saves, evaluate once, and stop together', async () => {
  const from: Position = { step: 0, epoch: 0, stepInEpoch: 0, run: '{}' };
  const run = async (ranks: Ranks | undefined, stopAfter?: number) => {
    const { model, trainer } = start(mobileNet, ranks ? { ranks } : {});
    const host = hostOf(ranks, 2, stopAfter);
    const end = await runTraining(trainer, PLAN, from, host);
    trainer.dispose();
    model.dispose();
    return { end, host };
  };
  const alone = await run(undefined);
  const [first, second] = await Promise.all(localRanks(2).map((ranks) => run(ranks)));
  for (const { end, host } of [first!, second!]) {
    assert.deepEqual(end, alone.end);
    assert.deepEqual(host.steps, alone.host.steps);
    assert.deepEqual(
      host.saved.map(([which]) => which),
      alone.host.saved.map(([which]) => which),
    );
    for (const [i, [, bytes]] of host.saved.entries()) assert.equal(Buffer.compare(bytes, alone.host.saved[i]![1]), 0);
  }
  assert.deepEqual([first!.host.evaluated, second!.host.evaluated], [[0, 1], []]);
  const stopped = await Promise.all(localRanks(2).map((ranks) => run(ranks, 3)));
  assert.deepEqual(
    stopped.map(({ end: { step } }) => step),
    [4, 4],
  );
});

test('ranks that drift apart are named, and nothing is saved', async () => {
  const from: Position = { step: 0, epoch: 0, stepInEpoch: 0, run: '{}' };
  const hosts: ReturnType<typeof hostOf>[] = [];
  const runs = localRanks(2).map(async (ranks) => {
    const { model, trainer } = start(mobileNet, { ranks });
    if (ranks.rank === 1)
      model.network.parameters.get('ssh1.conv3X3.0.weight')!.tensor.write(new Float32Array(9 * 64 * 32));
    const host = hostOf(ranks, 2);
    hosts.push(host);
    try {
      await runTraining(trainer, PLAN, from, host);
    } finally {
      trainer.dispose();
      model.dispose();
    }
  });
  for (const outcome of await Promise.allSettled(runs)) {
    assert.ok(outcome.status === 'rejected' && outcome.reason instanceof NumericError);
    assert.match(outcome.reason.message, /others than rank 0 has in rank 1/);
  }
  assert.deepEqual(
    hosts.map(({ saved }) => saved),
    [[], []],
  );
});

test.run();
