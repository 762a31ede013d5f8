// The published MobileNet-0.25 weights against what PyTorch computed with them: feature maps, outputs, detections.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import { readImage } from '../../src/node/files.js';
import { RetinaFace } from '../../src/node/retinaface.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { readSafetensors } from '../../src/weights/safetensors.js';
import type { StateDict } from '../../src/weights/state.js';
import { testDevice as device } from '../helpers/device.js';
import { haveSharedData, noSharedData, sharedData } from '../helpers/shared_data.js';
import { testUnless } from '../helpers/unless.js';

interface GoldenDetections {
  readonly 'num_dets_conf0.02': number;
  /** x1, y1, x2, y2, score, then five points. */
  readonly 'dets_xyxy_score_lm10_conf>=0.5': readonly (readonly number[])[];
}

async function published(file = 'mobilenet0.25_Final.pth'): Promise<RetinaFace> {
  const model = new RetinaFace(device);
  await model.load(sharedData(`checkpoints/${file}`));
  return model;
}

/** ‖a − b‖ / ‖b‖. */
function relativeError(a: ArrayLike<number>, b: ArrayLike<number>): number {
  assert.equal(a.length, b.length);
  let error = 0;
  let norm = 0;
  for (let i = 0; i < a.length; i++) {
    error += (a[i]! - b[i]!) ** 2;
    norm += b[i]! ** 2;
  }
  return Math.sqrt(error / norm);
}

/** PyTorch's [1, c, h, w] as our [1, h, w, c], in `channels` channels of which the surplus is zero. */
function toNhwc(golden: StateDict, name: string, channels?: number): { data: Float32Array; shape: number[] } {
  const { data, shape } = golden.get(name)!;
  const [, c, h, w] = shape as [number, number, number, number];
  const out = channels ?? c;
  const result = new Float32Array(h * w * out);
  for (let i = 0; i < c; i++) for (let p = 0; p < h * w; p++) result[p * out + i] = data[i * h * w + p]!;
  return { data: result, shape: [1, h, w, out] };
}

testUnless(noSharedData)(
  'every feature map and output of the published network equals PyTorch within 1e-4',
  async () => {
    const bytes = new Uint8Array(readFileSync(sharedData('golden/forward_64x96.safetensors')));
    const golden = readSafetensors(bytes, 'golden').tensors;
    using model = await published();
    const input = toNhwc(golden, 'input', 4);
    using x = Tensor.from(device, input.data, input.shape);
    using anchors = Tensor.from(device, new Float32Array(252 * 4), [252, 4]);
    const { backbone, pyramid, features, first } = model.network.forward(x, anchors);
    const maps: readonly (readonly [string, Tensor])[] = [
      ...backbone.map((map, i) => [`feat.body.stage${i + 1}`, map] as const),
      ['feat.fpn.merge1', pyramid[0]!],
      ['feat.fpn.merge2', pyramid[1]!],
      ['feat.fpn.output3', pyramid[2]!],
      ...features.map((map, i) => [`feat.ssh${i + 1}`, map] as const),
    ];
    for (const [name, map] of maps) {
      const error = relativeError(await map.read(), toNhwc(golden, name).data);
      assert.ok(error < 1e-4, `${name}: ${error}`);
    }
    const outputs = { loc: first.boxes, conf_logits: first.logits, landm: first.landmarks! };
    for (const [name, output] of Object.entries(outputs)) {
      const { data, shape } = golden.get(name)!;
      assert.deepEqual(output.shape, shape);
      const error = relativeError(await output.read(), data);
      assert.ok(error < 1e-4, `${name}: ${error}`);
    }
    for (const map of [...backbone, ...pyramid, ...features, first.logits, first.boxes, first.landmarks!])
      map.dispose();
  },
);

const detections = haveSharedData
  ? (JSON.parse(readFileSync(sharedData('golden/detections_mobilenet0.25_Final.json'), 'utf8')) as Record<
      string,
      GoldenDetections
    >)
  : {};

for (const [file, golden] of Object.entries(detections)) {
  testUnless(noSharedData)(`${file}: the faces that PyTorch finds, within 1 pixel and 1e-3 of score`, async () => {
    using model = await published();
    const picture = await readImage(sharedData(file));
    const options = { size: 'original', scoreThreshold: 0.02, maxFaces: 5000 } as const;
    const all = await model.detect(picture, options);
    assert.ok(Math.abs(all.length - golden['num_dets_conf0.02']) <= 1, `${all.length} at 0.02`);
    // A golden face exactly at 0.5 may fall to either side.
    const found = all.filter(({ score }) => score >= 0.5 - 1e-3);
    const expected = golden['dets_xyxy_score_lm10_conf>=0.5'];
    const matched = new Set<number>();
    for (const row of expected) {
      const index = found.findIndex(({ score, box, landmarks }) => {
        const points = Object.values(landmarks!).flatMap(({ x, y }: { x: number; y: number }) => [x, y]);
        const values = [box.x1, box.y1, box.x2, box.y2, ...points];
        const wanted = [...row.slice(0, 4), ...row.slice(5)];
        return Math.abs(score - row[4]!) < 1e-3 && values.every((value, i) => Math.abs(value - wanted[i]!) < 1);
      });
      assert.notEqual(index, -1, `no face at ${row.slice(0, 5).join(', ')}`);
      matched.add(index);
    }
    assert.equal(matched.size, expected.length);
    assert.equal(found.filter(({ score }) => score >= 0.5 + 1e-3).length <= expected.length, true, 'a face too many');
  });
}

testUnless(noSharedData)('the zip-format checkpoint of the same network loads and finds faces', async () => {
  using model = await published('mobilenet0.25_zip_format.pth');
  const faces = await model.detect(await readImage(sharedData('photos/13.jpg')));
  assert.equal(model.configuration?.name, 'published-mobilenet0.25');
  assert.ok(faces.length >= 3);
});

testUnless(noSharedData)(
  'one detection is one submission and one read, of a picture and of several of one size',
  async () => {
    using model = await published();
    const picture = await readImage(sharedData('photos/no_face.jpg'));
    for (const pictures of [[picture], [picture, picture, picture]]) {
      await model.detect(pictures, { size: 160 });
      const before = model.gpu.counters();
      await model.detect(pictures, { size: 160 });
      const after = model.gpu.counters();
      assert.equal(after.submissions - before.submissions, 1, `${pictures.length} pictures`);
      assert.equal(after.reads - before.reads, 1);
    }
  },
);

testUnless(noSharedData)('a batch of pictures of several sizes finds what each finds alone', async () => {
  using model = await published();
  const pictures = await Promise.all(
    ['13', 'no_face', '13'].map((name) => readImage(sharedData(`photos/${name}.jpg`))),
  );
  const together = await model.detect(pictures, { size: 320 });
  for (const [i, picture] of pictures.entries()) {
    const alone = await model.detect(picture, { size: 320 });
    assert.equal(together[i]!.length, alone.length);
    for (const [k, face] of alone.entries()) assert.ok(Math.abs(face.box.x1 - together[i]![k]!.box.x1) < 0.01);
  }
});

test.run();
