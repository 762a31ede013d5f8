// Many detections at once, over several models and devices, while others are aborted, loaded and disposed of.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { test } from 'uvu';
import { DisposedError } from '../../src/gpu/errors.js';
import { Gpu } from '../../src/gpu/gpu.js';
import type { Picture } from '../../src/image/picture.js';
import { requestDevice } from '../../src/node/device.js';
import { RetinaFace } from '../../src/node/retinaface.js';
import type { DetectOptions } from '../../src/retinaface/detect_options.js';
import type { Random } from '../../src/tensor/random.js';
import { drawnPicture } from '../helpers/drawn_picture.js';
import { assertNoFaults, figures, MemoryTrend, randomOfCase, times } from './harness.js';

const unhandled: unknown[] = [];
process.on('unhandledRejection', (reason) => unhandled.push(reason));

/** Milliseconds within which all calls begin. */
const SPREAD = 500;

const pictures = [drawnPicture(96, 64), drawnPicture(64, 80), drawnPicture(160, 120), drawnPicture(33, 47)];

interface Asked {
  readonly input: Picture | readonly Picture[];
  readonly options: DetectOptions;
}

/** One pass, several of one canvas, several of others, and several of one picture. */
const asked: readonly Asked[] = [
  ...pictures.flatMap((input) => [
    { input, options: { scoreThreshold: 0.02 } },
    { input, options: { scoreThreshold: 0.02, maxFaces: 5 } },
  ]),
  { input: pictures[2]!, options: { scoreThreshold: 0.01, size: 96 } },
  { input: pictures, options: { scoreThreshold: 0.02 } },
  { input: [...pictures, ...pictures], options: { scoreThreshold: 0.02, size: 64 } },
  { input: pictures[0]!, options: { scoreThreshold: 0.02, scales: [0.5, 1], rotations: [0, 90] } },
];

const detect = (model: RetinaFace, { input, options }: Asked, signal?: AbortSignal): Promise<unknown> =>
  model.detect(input as Picture, { ...options, ...(signal && { signal }) });

/** Weights in the box, and others of the same network. */
const WEIGHTS = [undefined, 'synthetic'] as const;

/** What each weights find, one call after the other. */
async function alone(device: GPUDevice): Promise<unknown[][]> {
  const found: unknown[][] = [];
  for (const weights of WEIGHTS) {
    using model = new RetinaFace(device);
    await model.load(weights);
    const row: unknown[] = [];
    for (const each of asked) row.push(await detect(model, each));
    found.push(row);
  }
  assert.ok(found[0]!.flat(2).length > 0, 'some picture has a face at that threshold');
  assert.notDeepEqual(found[0], found[1], 'other weights find others');
  return found;
}

interface Counts {
  calls: number;
  aborted: number;
  loads: number;
  disposed: number;
}

/** One call among the others: `of` are the models that live throughout, and the weights that each has or may just get. */
async function oneCall(
  random: Random,
  models: readonly { readonly model: RetinaFace; weights: Set<number> }[],
  devices: readonly GPUDevice[],
  expected: readonly (readonly unknown[])[],
  counts: Counts,
): Promise<string | undefined> {
  await sleep(SPREAD * random.next());
  const which = random.int(asked.length);
  const call = asked[which]!;
  const kind = random.next();
  if (kind < 0.15) {
    // A model that is disposed of at some moment, between its passes or before its answer.
    const weights = random.int(2);
    using model = new RetinaFace(random.pick(devices));
    await model.load(WEIGHTS[weights]);
    const work = detect(model, call).catch((error: unknown) => error);
    await sleep(30 * random.next());
    model.dispose();
    counts.disposed++;
    const answer = await work;
    if (answer instanceof DisposedError && answer.message.includes('model')) return undefined;
    return isDeepStrictEqual(answer, expected[weights]![which]) ? undefined : `a model that goes: ${String(answer)}`;
  }
  const { model, weights } = random.pick(models);
  if (kind < 0.4) {
    const abort = new AbortController();
    const reason = new Error('no more wanted');
    const work = detect(model, call, abort.signal).catch((error: unknown) => error);
    await sleep(40 * random.next());
    abort.abort(reason);
    counts.aborted++;
    const answer = await work;
    if (answer === reason) return undefined;
    const right = [...weights].some((each) => isDeepStrictEqual(answer, expected[each]![which]));
    return right ? undefined : `a call that is aborted: ${String(answer)}`;
  }
  const before = [...weights];
  const answer = await detect(model, call).catch((error: unknown) => error);
  counts.calls++;
  const right = [...before, ...weights].some((each) => isDeepStrictEqual(answer, expected[each]![which]));
  return right ? undefined : `call ${which}: ${answer instanceof Error ? (answer.stack ?? '') : 'other faces'}`;
}

const CALLS = times(60, 100);
const ROUNDS = times(1, 30);

test('detections in parallel find what each finds alone, whatever is aborted, loaded and disposed of meanwhile', async () => {
  const devices = [await requestDevice(), await requestDevice()] as const;
  const expected = await alone(devices[0]);
  const trend = new MemoryTrend(ROUNDS, 12, () => ({
    'the devices': devices.reduce((sum, device) => sum + Gpu.of(device).memory().deviceBytes, 0),
  }));
  const counts: Counts = { calls: 0, aborted: 0, loads: 0, disposed: 0 };
  const faults: string[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const models = [0, 0, 1, 1].map((which) => ({ model: new RetinaFace(devices[which]!), weights: new Set([0]) }));
    for (const { model } of models) await model.load();
    // The last model is loaded again and again; a load that is aborted leaves it as it was.
    const changing = models.at(-1)!;
    const loading = (async () => {
      for (let i = 0; i < 6; i++) {
        const random = randomOfCase('loads', 100 * round + i);
        await sleep((SPREAD / 6) * random.next());
        const next = random.int(2);
        changing.weights.add(next);
        const abort = random.chance(0.4) ? new AbortController() : undefined;
        if (abort) setTimeout(() => { abort.abort(); }, 10 * random.next()); // prettier-ignore
        const loaded = await changing.model.load(WEIGHTS[next], abort && { signal: abort.signal }).then(
          () => true,
          (error: unknown) => {
            if (error !== abort?.signal.reason) faults.push(`a load: ${String(error)}`);
            return false;
          },
        );
        counts.loads++;
        // From here on it has these weights alone; before, what it had stays possible.
        if (loaded) changing.weights = new Set([next]);
      }
    })();
    const answers = await Promise.all(
      Array.from({ length: CALLS }, async (_, i) => {
        const fault = await oneCall(randomOfCase('parallel', 1000 * round + i), models, devices, expected, counts);
        return fault && `round ${round}, call ${i}: ${fault}`;
      }),
    );
    await loading;
    faults.push(...answers.filter((fault) => fault !== undefined));
    for (const { model, weights } of models) {
      const found = await detect(model, asked[0]!);
      if (![...weights].some((each) => isDeepStrictEqual(found, expected[each]![0]))) faults.push(`round ${round}: a model is spoilt`); // prettier-ignore
      model.dispose();
    }
    for (const [i, device] of devices.entries()) {
      const gpu = Gpu.of(device);
      await gpu.finish();
      const { buffers } = gpu.memory();
      if (buffers > 0) faults.push(`round ${round}: ${buffers} buffers are left on device ${i}`);
    }
    trend.note(round);
  }
  for (const device of devices) device.destroy();
  await sleep(50);
  for (const reason of unhandled) faults.push(`unhandled: ${String(reason)}`);
  figures('parallel detections', { rounds: ROUNDS, 'answers compared': counts.calls, aborted: counts.aborted, loads: counts.loads, 'models disposed of in the middle': counts.disposed, ...trend.figures }); // prettier-ignore
  assertNoFaults(faults);
});

test.run();
