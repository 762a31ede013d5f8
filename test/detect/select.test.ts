import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { selectFaces } from '../../src/detect/select.js';
import { requestDevice } from '../../src/node/device.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { array64 } from '../reference/array64.js';
import { nms } from '../reference/nms.js';

const device = await requestDevice();
after(() => {
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
