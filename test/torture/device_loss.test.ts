// The device destroyed at random moments of everything that runs for a while.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import { detect } from '../../src/cli/detect.js';
import { evaluate } from '../../src/cli/evaluate.js';
import { train } from '../../src/cli/train.js';
import { faceTargets } from '../../src/data/batch.js';
import { formatJsonLines } from '../../src/data/labels.js';
import { syntheticScene } from '../../src/data/synthetic.js';
import { evaluateModel } from '../../src/evaluate/evaluate_model.js';
import { groundTruthFromSamples } from '../../src/evaluate/ground_truth.js';
import { DeviceLostError } from '../../src/gpu/errors.js';
import { Gpu } from '../../src/gpu/gpu.js';
import { requestDevice } from '../../src/node/device.js';
import { LastingModel } from '../../src/node/lasting.js';
import { RetinaFace } from '../../src/node/retinaface.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { encodeCheckpoint } from '../../src/train/checkpoint.js';
import { freeBatch, Trainer } from '../../src/train/trainer.js';
import { drawnPicture } from '../helpers/drawn_picture.js';
import { formulaTensor } from '../helpers/formula.js';
import { contentsOf, drawScenes } from '../scale/retinaface.js';
import { assertNoFaults, figures, MemoryTrend, randomOfCase, times } from './harness.js';

/** Milliseconds after which work on a lost device hangs, on a machine that has other work. */
const HANG = 20_000;

/** Bytes a lost device may leave in the driver and in the process; what it leaves is not this library's to free. */
const LEFT_BY_A_DEVICE = 4 * 2 ** 20;

/** Bytes that a process holds more at one time than at another, whatever was lost: of the same code 16 devices left 5 to 26 MiB. */
const NOISE = 12 * 2 ** 20;

const LOSSES = times(16, 200);
const pictures = [drawnPicture(96, 64), drawnPicture(64, 80), drawnPicture(160, 120)];
const unhandled: unknown[] = [];
process.on('unhandledRejection', (reason) => unhandled.push(reason));

type Job = (device: GPUDevice) => Promise<unknown>;

const JOBS: Readonly<Record<string, Job>> = {
  async detect(device) {
    using model = new RetinaFace(device);
    await model.load();
    for (let i = 0; i < 6; i++) await model.detect(pictures[i % pictures.length]!);
    await model.detect(pictures);
  },
  async load(device) {
    for (let i = 0; i < 8; i++) {
      using model = new RetinaFace(device);
      await model.load();
      await model.state();
    }
  },
  async train(device) {
    using model = new RetinaFace(device, 'published-mobilenet0.25');
    model.initialise(1);
    using trainer = new Trainer(model.network);
    for (let step = 0; step < 4; step++) {
      const x = Tensor.from(device, formulaTensor(`pictures ${step}`, [1, 64, 64, 4]), [1, 64, 64, 4]);
      const batch = { x, targets: faceTargets(device, [[{ box: [8, 8, 40, 40] }]]) };
      const losses = trainer.accumulate(batch);
      freeBatch(batch);
      trainer.step(0.001);
      await trainer.read(losses);
      await encodeCheckpoint(trainer, { step, epoch: 0, stepInEpoch: step, run: '' });
    }
  },
  async evaluate(device) {
    using model = new RetinaFace(device);
    await model.load();
    const samples = pictures.map((_, i) => ({ name: `${i}.jpg`, faces: [{ box: [8, 8, 40, 40] as const }] }));
    const source = {
      length: pictures.length,
      name: (i: number) => `${i}.jpg`,
      load: (i: number) => Promise.resolve(pictures[i]!),
    };
    for (let i = 0; i < 2; i++) await evaluateModel(model, source, groundTruthFromSamples(samples), { batch: 2 });
  },
};

const late = Symbol('late');
const after = (milliseconds: number): Promise<typeof late> =>
  new Promise((resolve) => {
    setTimeout(resolve, milliseconds, late).unref();
  });

test('work on a device that is destroyed ends with a DeviceLostError that says what to do; a new device works', async () => {
  const names = Object.keys(JOBS);
  // What each takes undisturbed, so that moments can be drawn from it; compiled kernels are known to the driver then.
  const whole: number[] = [];
  for (const name of names) {
    const device = await requestDevice();
    const began = performance.now();
    await JOBS[name]!(device);
    whole.push(performance.now() - began);
    device.destroy();
  }
  const faults: string[] = [];
  const trend = new MemoryTrend(LOSSES, 12);
  let [lost, finished, slowest] = [0, 0, 0];
  for (let i = 0; i < LOSSES; i++) {
    const random = randomOfCase('device loss', i);
    const which = i % names.length;
    let gpu: Gpu;
    let error: unknown;
    let what: string;
    // A job that was done before its moment is faster than was thought, on a machine with less to do: once more, by that.
    for (let attempt = 1; ; attempt++) {
      const device = await requestDevice();
      gpu = Gpu.of(device);
      const start = performance.now();
      const work = JOBS[names[which]!]!(device).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      const moment = random.next() * whole[which]!;
      what = `case ${i}, ${names[which]!} at ${moment.toFixed(0)} ms`;
      const answer = await Promise.race([work, after(moment)]);
      const took = performance.now() - start;
      device.destroy();
      const began = performance.now();
      error = answer === late ? await Promise.race([work, after(HANG)]) : answer;
      slowest = Math.max(slowest, performance.now() - began);
      if (error !== undefined || attempt === 4) break;
      if (answer !== late) whole[which] = Math.min(whole[which]!, took);
    }
    if (error === late) faults.push(`${what}: hangs`);
    else if (error === undefined) finished++;
    else if (error instanceof DeviceLostError && error.remedy.includes('requestDevice')) lost++;
    else faults.push(`${what}: ${error instanceof Error ? (error.stack ?? '') : 'no Error'}`);
    // Whoever asks the same device again is told the same.
    const told = await Promise.race([gpu.finish().then(() => undefined, (e: unknown) => e), after(HANG)]); // prettier-ignore
    if (!(told instanceof DeviceLostError)) faults.push(`${what}: later work is told ${String(told)}`);
    trend.note(i);
  }
  {
    const device = await requestDevice();
    using model = new RetinaFace(device);
    await model.load();
    assert.ok(Array.isArray(await model.detect(pictures[0]!)), 'a new device in the same process works');
    device.destroy();
  }
  await new Promise((resolve) => setTimeout(resolve, 50));
  for (const reason of unhandled) faults.push(`unhandled: ${String(reason)}`);
  figures('devices destroyed', { moments: LOSSES, 'DeviceLostErrors': lost, 'finished before': finished, 'milliseconds to the error at most': slowest, ...trend.figures }); // prettier-ignore
  assertNoFaults(faults);
  assert.ok(lost > LOSSES / 2, `only ${lost} of ${LOSSES} were lost in the middle`);
  assert.ok(trend.growth < LEFT_BY_A_DEVICE * (LOSSES / 3) + NOISE, `${trend.growth} bytes more`);
});

/** A WebGPU of the platform, as `navigator.gpu` is one, whose devices the test can reach. */
async function reachable(): Promise<GPUDevice[]> {
  const { create } = await import('webgpu');
  const gpu = create([]);
  const devices: GPUDevice[] = [];
  const requestAdapter: GPU['requestAdapter'] = async (options) => {
    const adapter = await gpu.requestAdapter(options);
    return (
      adapter &&
      new Proxy(adapter, {
        get(target, name) {
          const value: unknown = Reflect.get(target, name, target);
          if (name !== 'requestDevice') return typeof value === 'function' ? (value.bind(target) as unknown) : value;
          return async (descriptor?: GPUDeviceDescriptor) => {
            const device = await target.requestDevice(descriptor);
            devices.push(device);
            return device;
          };
        },
      })
    );
  };
  Object.defineProperty(globalThis, 'navigator', { value: { gpu: { requestAdapter } }, configurable: true });
  return devices;
}

test('a training of the command line whose devices are destroyed opens others, and learns the same bits', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'retinaface-torture-'));
  const devices = await reachable();
  const options = (workdir: string): string[] => [
    ...['--config', 'published-mobilenet0.25', '--synthetic', '12', '--size', '64', '--batch', '2', '--epochs', '2'],
    ...['--save-every', '2', '--evaluation', '2', '--workers', '0', '--schedule', 'constant:0.001', '--clip', '5'],
    ...['--quiet', '--workdir', join(folder, workdir)],
  ];
  const written = (workdir: string): Buffer => readFileSync(join(folder, workdir, 'last.safetensors'));
  try {
    assert.equal(await train.run(options('undisturbed')), 0);
    // Once more, now that the driver knows the kernels.
    const began = performance.now();
    assert.equal(await train.run(options('again')), 0);
    const whole = performance.now() - began;
    let destroyed = 0;
    const rounds = times(1, 20);
    for (let round = 0; round < rounds; round++) {
      const random = randomOfCase('training on lost devices', round);
      // Two at most: as many as may be lost with nothing done in between, and one to go on with.
      const timers = [0.15 + 0.3 * random.next(), 0.5 + 0.4 * random.next()].map((share) =>
        setTimeout(() => {
          devices.at(-1)?.destroy();
          destroyed++;
        }, share * whole),
      );
      assert.equal(await train.run(options(`round ${round}`)), 0);
      for (const timer of timers) clearTimeout(timer);
      assert.ok(written(`round ${round}`).equals(written('undisturbed')), `round ${round}: other bits`);
    }
    assert.ok(destroyed > 0, 'no device was destroyed in time');
    figures('trainings on lost devices', { trainings: rounds, 'devices destroyed': destroyed });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

/** Runs a command in this process; answers its exit code and what it wrote to standard output. */
async function outputOf(command: () => Promise<number>): Promise<{ readonly code: number; readonly text: string }> {
  const write = process.stdout.write.bind(process.stdout);
  let text = '';
  process.stdout.write = (chunk: string | Uint8Array): boolean => {
    text += typeof chunk === 'string' ? chunk : new TextDecoder().decode(chunk);
    return true;
  };
  try {
    const code = await command();
    return { code, text };
  } finally {
    process.stdout.write = write;
  }
}

test('jobs of the command line whose devices are destroyed open others, and lose nothing', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'retinaface-torture-'));
  const devices = await reachable();
  const scenes = join(folder, 'pictures');
  await drawScenes(scenes, 18);
  const samples = Array.from({ length: 18 }, (_, i) => {
    const { faces } = syntheticScene(7, i, { size: i % 3 === 0 ? 64 : 96, faces: [0, 2], faceHeights: [24, 56] });
    return { name: `scene_${String(i).padStart(4, '0')}.jpg`, faces };
  });
  const truth = join(folder, 'truth.jsonl');
  writeFileSync(truth, formatJsonLines(samples));
  const search = ['--size', '64', '--quiet'];
  const jobs: Readonly<Record<string, (out: string) => () => Promise<number>>> = {
    'detect --json': () => () => detect.run([scenes, '--json', ...search]),
    'detect --out': (out) => () => detect.run([scenes, '--out', out, '--part', '4', '--batch', '3', ...search]),
    'evaluate': (out) => () => evaluate.run(['--ground-truth', truth, '--images', scenes, '--weights', 'faces', '--out', out, '--json', ...search]), // prettier-ignore
  };
  /** Exit code, output and files of a job, whatever the folder is called. */
  const resultOf = async (name: string, out: string): Promise<object> => {
    mkdirSync(out);
    const output = await outputOf(jobs[name]!(out));
    return { ...output, files: await contentsOf(out) };
  };
  try {
    const names = Object.keys(jobs);
    const expected: object[] = [];
    const whole: number[] = [];
    for (const name of names) {
      expected.push(await resultOf(name, join(folder, `undisturbed ${name}`)));
      const began = performance.now();
      assert.deepEqual(await resultOf(name, join(folder, `again ${name}`)), expected.at(-1), name);
      whole.push(performance.now() - began);
    }
    let destroyed = 0;
    const rounds = times(6, 90);
    for (let round = 0; round < rounds; round++) {
      const random = randomOfCase('jobs on lost devices', round);
      const which = round % names.length;
      const before = devices.length;
      // Two at most: as many as may be lost with nothing done in between, and one to go on with.
      const timers = [random.next(), random.next()].map((share) =>
        setTimeout(() => {
          devices.at(-1)?.destroy();
        }, share * whole[which]!),
      );
      const result = await resultOf(names[which]!, join(folder, `round ${round}`));
      for (const timer of timers) clearTimeout(timer);
      assert.deepEqual(result, expected[which], `round ${round}, ${names[which]!}`);
      destroyed += devices.length - before - 1;
      rmSync(join(folder, `round ${round}`), { recursive: true });
    }
    assert.ok(destroyed >= rounds / 3, `only ${destroyed} devices were destroyed in time`);
    figures('jobs on lost devices', { jobs: rounds, 'devices lost in the middle': destroyed });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('a model that lasts finds the same faces on whatever device it is', async () => {
  const devices = await reachable();
  using model = new LastingModel(
    undefined,
    (loaded) => loaded.load(),
    () => undefined,
  );
  const expected = await model.detect(pictures);
  const rounds = times(10, 100);
  for (let round = 0; round < rounds; round++) {
    const random = randomOfCase('detection on lost devices', round);
    const timer = setTimeout(() => {
      devices.at(-1)?.destroy();
    }, 100 * random.next());
    assert.deepEqual(await model.detect(pictures), expected);
    if (random.chance(0.5)) devices.at(-1)?.destroy();
    clearTimeout(timer);
  }
  assert.ok(devices.length > rounds / 4, `only ${devices.length} devices`);
  figures('detections on lost devices', { detections: rounds, devices: devices.length });
});

test.run();
