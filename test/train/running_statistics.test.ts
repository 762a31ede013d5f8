import assert from 'node:assert/strict';
import { test } from 'uvu';
import { Gpu } from '../../src/gpu/gpu.js';
import { ParameterList } from '../../src/nn/parameter.js';
import { RunningStatistics } from '../../src/train/running_statistics.js';
import { assertClose, values } from '../helpers/check_op.js';
import { testDevice } from '../helpers/device.js';

const gpu = Gpu.of(testDevice);
const EPS32 = 2 ** -24;
const MOMENTUM = 0.1;
const BATCHES = 3;
/** Three roundings a batch, of numbers below 2. */
const TOLERANCE = 2 * 3 * BATCHES * EPS32;

/** Two norms, one of more channels than a workgroup has invocations. */
const NAMES = ['a.running_mean', 'a.running_var', 'b.running_mean', 'b.running_var'] as const;
const channels = (name: string): number => (name.startsWith('a') ? 5 : 70);

test('running statistics move towards those of every batch, one after another, each at its place', async () => {
  const memory = gpu.memory().bytes;
  {
    using list = new ParameterList(gpu);
    for (const name of NAMES) {
      const shape = [channels(name)];
      list.statistic(name, shape).write(Float32Array.from(values(name, shape).data));
    }
    using statistics = new RunningStatistics(list);
    const batchOf = (name: string, k: number) => values(`${name} of batch ${k}`, [channels(name)]).data;
    statistics.begin();
    const batches: Float32Array[] = [];
    for (let k = 0; k < BATCHES; k++) {
      // As a pass that moves them all the way to its batch leaves them.
      statistics.clear();
      for (const name of NAMES) list.get(name)!.write(Float32Array.from(batchOf(name, k)));
      const flats = await Promise.all(statistics.tensors.map((tensor) => tensor.read()));
      batches.push(Float32Array.from(flats.flatMap((flat) => [...flat])));
    }
    statistics.moved(batches);
    for (const name of NAMES) {
      const expected = values(name, [channels(name)]);
      for (let k = 0; k < BATCHES; k++) {
        batchOf(name, k).forEach((value, i) => (expected.data[i]! += MOMENTUM * (value - expected.data[i]!)));
      }
      assertClose(await list.get(name)!.read(), expected, TOLERANCE, name);
    }
    statistics.restore();
    for (const name of NAMES) {
      const before = Float32Array.from(values(name, [channels(name)]).data);
      assert.deepEqual(await list.get(name)!.read(), before, `${name} as begin found it`);
    }
  }
  assert.equal(gpu.memory().bytes, memory);
});

test.run();
