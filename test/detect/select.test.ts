import assert from 'node:assert/strict';
import { test } from 'uvu';
import { selectFaces } from '../../src/detect/select.js';
import { requestDevice } from '../../src/node/device.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { array64 } from '../reference/array64.js';
import { nms } from '../reference/nms.js';

const device = await requestDevice();
test.after(() => {
  device.destroy();
});

for (const plusOne of [false, true]) {
  test(`the faces kept in a batch of three are the reference's, plusOne ${plusOne}`, async () => {
    const [n, count, maxFaces] = [3, 301, 301];
    const anchors = Array.from({ length: count }, (_, i) => [(i * 37) % 101, (i * 53) % 97, 20, 20]).flat();
    // Multiples of ⅛ in a short cycle: many ties. The third image has no candidate.
    const logits = Array.from({ length: n * count }, (_, i) => [
      0,
      i < 2 * count ? (((i * 7) % 23) - 8) / 8 : -9,
    ]).flat();
    using output = selectFaces(
      {
        logits: Tensor.from(device, logits, [n, count, 2]),
        boxes: Tensor.from(device, new Float32Array(n * count * 4), [n, count, 4]),
        landmarks: undefined,
        anchors: Tensor.from(device, anchors, [count, 4]),
      },
      { scoreThreshold: 0.5, topK: 5000, nmsThreshold: 0.4, plusOne, maxFaces, variances: [1, 1] },
    );
    const got = await output.read();
    for (let row = 0; row < n; row++) {
      const score = (i: number) => logits[(row * count + i) * 2 + 1]!;
      const candidates = Array.from({ length: count }, (_, i) => i).filter((i) => score(i) > 0);
      const boxes = candidates.flatMap((i) => {
        const [cx, cy] = [anchors[i * 4]!, anchors[i * 4 + 1]!];
        return [cx - 10, cy - 10, cx + 10, cy + 10];
      });
      const kept = nms(array64([candidates.length, 4], boxes), array64([candidates.length], candidates.map(score)), {
        iouThreshold: 0.4,
        plusOne,
      });
      const start = row * (1 + maxFaces * 15);
      assert.equal(got[start], kept.length);
      kept.forEach((candidate, face) => {
        const at = start + 1 + face * 15;
        assert.deepEqual([...got.slice(at + 1, at + 5)], boxes.slice(candidate * 4, candidate * 4 + 4));
      });
    }
  });
}

test('a logit that is no number is no face, an infinite one is', async () => {
  const logits = [Number.NaN, 3, 0, Number.NaN, 0, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 0];
  using output = selectFaces(
    {
      logits: Tensor.from(device, logits, [1, 4, 2]),
      boxes: Tensor.from(device, new Float32Array(16), [1, 4, 4]),
      landmarks: undefined,
      anchors: Tensor.from(device, [10, 10, 4, 4, 30, 10, 4, 4, 50, 10, 4, 4, 70, 10, 4, 4], [4, 4]),
    },
    { scoreThreshold: 0.5, topK: 4, nmsThreshold: 0.4, plusOne: false, maxFaces: 4, variances: [1, 1] },
  );
  const [count, score, left] = await output.read();
  assert.deepEqual([count, score, left], [1, 1, 48]);
});

test('each image has its own codes, landmarks and, where given, anchors', async () => {
  const [n, count] = [3, 4];
  const whole = (length: number, step: number) => Array.from({ length }, (_, i) => ((i * step) % 17) - 8);
  // Far apart, so that none is suppressed; of sizes that keep all sums exact.
  const anchors = Array.from({ length: n * count }, (_, i) => [64 * i, -64 * i, 4, 8]).flat();
  const codes = whole(n * count * 4, 5).map((code, i) => (i % 4 < 2 ? code / 4 : 0));
  const points = whole(n * count * 10, 7);
  const logits = Array.from({ length: n * count }, (_, i) => [0, 4 - (i % count) / 2]).flat();
  for (const perImage of [false, true]) {
    using output = selectFaces(
      {
        logits: Tensor.from(device, logits, [n, count, 2]),
        boxes: Tensor.from(device, codes, [n, count, 4]),
        landmarks: Tensor.from(device, points, [n, count, 10]),
        anchors: perImage
          ? Tensor.from(device, anchors, [n, count, 4])
          : Tensor.from(device, anchors.slice(0, 4 * count), [count, 4]),
      },
      { scoreThreshold: 0.5, topK: 8, nmsThreshold: 0.4, plusOne: false, maxFaces: count, variances: [0.5, 1] },
    );
    const got = await output.read();
    for (let i = 0; i < n * count; i++) {
      const [cx, cy, w, h] = anchors.slice(4 * (perImage ? i : i % count)) as [number, number, number, number];
      const move = (x: number, y: number): [number, number] => [cx + x * 0.5 * w, cy + y * 0.5 * h];
      const [x, y] = move(codes[4 * i]!, codes[4 * i + 1]!);
      const landmarks = [0, 1, 2, 3, 4].flatMap((p) => move(points[10 * i + 2 * p]!, points[10 * i + 2 * p + 1]!));
      const at = Math.floor(i / count) * (1 + count * 15) + 1 + (i % count) * 15;
      assert.deepEqual([...got.slice(at + 1, at + 15)], [x - w / 2, y - h / 2, x + w / 2, y + h / 2, ...landmarks]);
    }
  }
});

test('with fewer candidates than k, the landmarks stay those of their faces, and zeros follow', async () => {
  const [count, maxFaces] = [70, 9];
  // Far apart; the candidates lie among others, not in order of their scores.
  const anchors = Array.from({ length: count }, (_, i) => [64 * i, 32, 8, 16]).flat();
  const scores = new Map([
    [3, 0.5],
    [68, 2],
    [31, 1],
  ]);
  const logits = Array.from({ length: count }, (_, i) => [0, scores.get(i) ?? -4]).flat();
  const points = Array.from({ length: count * 10 }, (_, i) => ((i * 7) % 33) / 4 - 4);
  using output = selectFaces(
    {
      logits: Tensor.from(device, logits, [1, count, 2]),
      boxes: Tensor.zeros(device, [1, count, 4]),
      landmarks: Tensor.from(device, points, [1, count, 10]),
      anchors: Tensor.from(device, anchors, [count, 4]),
    },
    { scoreThreshold: 0.5, topK: 64, nmsThreshold: 0.4, plusOne: false, maxFaces, variances: [0.5, 1] },
  );
  const got = await output.read();
  assert.equal(got[0], 3);
  for (const [face, i] of [68, 31, 3].entries()) {
    const row = [...got.slice(1 + face * 15, 16 + face * 15)];
    const landmarks = points
      .slice(10 * i, 10 * i + 10)
      .map((code, k) => (k % 2 === 0 ? 64 * i + 4 * code : 32 + 8 * code));
    assert.deepEqual(row.slice(1), [64 * i - 4, 24, 64 * i + 4, 40, ...landmarks]);
  }
  assert.ok(got.slice(1 + 3 * 15).every((value) => value === 0));
});

test.run();
