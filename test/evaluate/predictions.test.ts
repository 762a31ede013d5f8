import assert from 'node:assert/strict';
import { gzipSync } from 'node:zlib';
import { test } from 'uvu';
import { formatPredictions, parsePredictions, roundDetections } from '../../src/evaluate/predictions.js';
import { readTar } from '../../src/evaluate/tar.js';
import { FileError } from '../../src/gpu/errors.js';

test('an official file is read as corners and scores', () => {
  const text = 'a\n2\n525 538 20 27 0.9813116 \r\n184.5 -3 20 25 1e-3\n\n';
  assert.deepEqual(parsePredictions(text, 'x.txt', 'e/a'), {
    boxes: Float64Array.of(525, 538, 545, 565, 184.5, -3, 204.5, 22),
    scores: Float64Array.of(0.9813116, 0.001),
  });
  assert.deepEqual(parsePredictions('e/a.jpg\n0', 'x.txt', 'e/a').scores, new Float64Array(0));
});

test('what is damaged or of another picture is refused with its line', () => {
  const broken: readonly (readonly [string, number])[] = [
    ['', 1],
    ['b\n0\n', 1],
    ['a\n', 2],
    ['a\nmany\n', 2],
    ['a\n-1\n', 2],
    ['a\n1\n', 3],
    ['a\n2\n1 2 3 4 0.5\n', 4],
    ['a\n4000000000\n1 2 3 4 0.5\n', 4],
    ['a\n1\n1 2 3 4\n', 3],
    ['a\n1\n1 2 3 4 0.5 6\n', 3],
    ['a\n1\n1 2 3 4 nan\n', 3],
    ['a\n2\n1 2 3 4 0.5\n1 2 three 4 0.5\n', 4],
    ['a\n1\n1 2 3 4 0.5\n1 2 3 4 0.5\n', 4],
  ];
  for (const [text, line] of broken) {
    assert.throws(
      () => parsePredictions(text, 'dir/a.txt', 'e/a'),
      (error) => {
        assert.ok(error instanceof FileError);
        assert.match(error.message, new RegExp(`dir/a\\.txt, line ${line}: `), text);
        return true;
      },
    );
  }
});

test('what is written is read back to the bit, with and without landmarks', () => {
  const raw = {
    boxes: Float64Array.of(1 / 3, 2 / 3, 100.1239, 54.321, -0.0001, 1e-9, 7, 8),
    scores: Float64Array.of(Math.fround(0.987654321), Math.fround(0.02000001)),
    landmarks: Float64Array.from({ length: 20 }, (_, i) => i / 7),
  };
  for (const { landmarks, ...detections } of [raw, { ...raw, landmarks: undefined }]) {
    const rounded = roundDetections({ ...detections, ...(landmarks ? { landmarks } : {}) });
    const text = formatPredictions('e/a', rounded);
    assert.deepEqual(parsePredictions(text, 'x.txt', 'e/a'), rounded);
    assert.equal(formatPredictions('e/a', parsePredictions(text, 'x.txt', 'e/a')), text);
    for (const [i, value] of rounded.boxes.entries()) assert.ok(Math.abs(value - raw.boxes[i]!) <= 0.000_501);
    assert.deepEqual(rounded.scores.map(Math.fround), raw.scores);
  }
  assert.match(formatPredictions('e/a', roundDetections(raw)), /^a\n2\n0\.333 0\.667 99\.791 53\.654 0\.987654/);
});

/** A tar header block and its data. */
function entry(path: string, data: string, { type = '0', prefix = '', size = data.length } = {}): Uint8Array {
  const block = new Uint8Array(512 + Math.ceil(data.length / 512) * 512);
  const put = (text: string, at: number): void => {
    block.set(new TextEncoder().encode(text), at);
  };
  put(path, 0);
  put(`${size.toString(8).padStart(11, '0')}\0`, 124);
  put('        ', 148);
  put(type, 156);
  put('ustar\0' + '00', 257);
  put(prefix, 345);
  const sum = block.subarray(0, 512).reduce((a, b) => a + b, 0);
  put(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  put(data, 512);
  return block;
}

const archive = (...parts: readonly Uint8Array[]): Uint8Array =>
  new Uint8Array(Buffer.concat([...parts, new Uint8Array(1024)]));

test('files of a tar archive are read, plain and gzipped, long names too', async () => {
  const long = `${'d/'.repeat(60)}long.txt`;
  const whole = archive(
    entry('e/', '', { type: '5' }),
    entry('e/a.txt', 'hello'),
    entry('b.txt', '', { prefix: 'e' }),
    entry('././@LongLink', `${long}\0`, { type: 'L' }),
    entry(long.slice(0, 99), 'x'.repeat(600)),
    entry('link', '', { type: '2' }),
  );
  for (const bytes of [whole, new Uint8Array(gzipSync(whole))]) {
    const files = await readTar(bytes, 'x.tar');
    assert.deepEqual(
      files.map(({ path, bytes: content }) => [path, new TextDecoder().decode(content)]),
      [
        ['e/a.txt', 'hello'],
        ['e/b.txt', ''],
        [long, 'x'.repeat(600)],
      ],
    );
  }
});

test('a damaged archive is refused', async () => {
  const refuses = (bytes: Uint8Array, message: RegExp): Promise<void> =>
    assert.rejects(readTar(bytes, 'x.tar'), (error) => {
      assert.ok(error instanceof FileError, String(error));
      assert.match(error.message, message);
      return true;
    });
  const whole = archive(entry('a', 'hello'));
  await refuses(whole.subarray(0, 1024), /two empty blocks/);
  await refuses(whole.subarray(0, 700), /5 bytes of a|two empty/);
  await refuses(new Uint8Array(600).fill(65), /a header of a tar archive/);
  await refuses(archive(entry('a', 'x', { size: 99_999 })), /99999 bytes of a/);
  await refuses(new Uint8Array(gzipSync(whole)).subarray(0, 40), /gzip data/);
});

test.run();
