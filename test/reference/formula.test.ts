import assert from 'node:assert/strict';
import { test } from 'uvu';
import { formulaTensor } from '../helpers/formula.js';
import { readGolden } from '../helpers/golden.js';

const golden = readGolden('formula');

test('formula-made tensors of every kind have the bits that the Python formula gives', () => {
  assert.equal(golden.names.length, 9);
  for (const name of golden.names) {
    const { shape, data } = golden.tensor(name);
    assert.deepEqual(new Uint32Array(formulaTensor(name, shape).buffer), new Uint32Array(data.buffer), name);
  }
});

test('formula-made values fill their range evenly and depend on the name', () => {
  const values = formulaTensor('a', [30000]);
  const tenths = new Array<number>(10).fill(0);
  for (const value of values) tenths[Math.floor((value + 1) * 5)]!++;
  // 3000 ± 6 standard deviations of a binomial count (√(30000·0.1·0.9) ≈ 52).
  for (const count of tenths) assert.ok(Math.abs(count - 3000) < 312, String(tenths));
  const other = formulaTensor('b', [30000]);
  const correlation = values.reduce((total, value, i) => total + value * other[i]!, 0) / 10000;
  // The product of two such values has mean 0 and standard deviation 1/3: 6·(1/3)·√30000 / 10000 ≈ 0.035.
  assert.ok(Math.abs(correlation) < 0.035, String(correlation));
});

test.run();
