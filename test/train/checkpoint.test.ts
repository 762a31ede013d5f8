import assert from 'node:assert/strict';
import { test } from 'uvu';
import { WeightsError } from '../../src/gpu/errors.js';
import { readPosition } from '../../src/train/checkpoint.js';

const POSITION = { step: 4, epoch: 1, stepInEpoch: 1, best: { score: 0.5, epoch: 0 }, adapters: ['a'], run: '{}' };
const metadata = (position: unknown, width = '1') => ({
  'retinaface.training': typeof position === 'string' ? position : JSON.stringify(position),
  configuration: 'full',
  width,
});

test('a position is read as it was written', () => {
  assert.deepEqual(readPosition(metadata(POSITION), 'x'), { configuration: 'full', width: 1, position: POSITION });
  const start = { step: 0, epoch: 0, stepInEpoch: 0, unevaluated: true, run: '' };
  assert.deepEqual(readPosition(metadata(start, '0.25'), 'x').position, start);
});

test('a position whose numbers cannot be is refused, not gone on from', () => {
  const { run, ...nowhere } = POSITION;
  const wrong: readonly unknown[] = [
    ...['', 'null', '[]', '7', '{"step":4', '{}'],
    ...['step', 'epoch', 'stepInEpoch'].flatMap((name) =>
      [-1, 0.5, '4', null, 1e300].map((value) => ({ ...POSITION, [name]: value })),
    ),
    { ...nowhere },
    { ...POSITION, run: 7 },
    { ...POSITION, best: { score: '1', epoch: 0 } },
    { ...POSITION, best: 7 },
    { ...POSITION, adapters: 'a' },
    { ...POSITION, unevaluated: 1 },
  ];
  for (const position of wrong) {
    assert.throws(() => readPosition(metadata(position), 'x'), WeightsError, JSON.stringify(position));
  }
  for (const width of ['0', '-1', 'wide', '1e9']) {
    assert.throws(() => readPosition(metadata(POSITION, width), 'x'), WeightsError, width);
  }
  assert.equal(run, '{}');
});

test.run();
