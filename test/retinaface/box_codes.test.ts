// A network whose heads are recoded for other variances finds the same faces.
import assert from 'node:assert/strict';
import { test } from 'uvu';
import { syntheticSource } from '../../src/data/synthetic.js';
import { recodeBoxes } from '../../src/retinaface/box_codes.js';
import { configurations, narrowed } from '../../src/retinaface/config.js';
import { RetinaFace } from '../../src/retinaface/retinaface.js';
import { testDevice as device } from '../helpers/device.js';

const picture = await syntheticSource(3, 1, { size: 64 }).load(0);
const options = { scoreThreshold: 0.02, nmsThreshold: 0.4 };

test('recoded from variances 0.1 and 0.2 to none, a cascade finds the same faces, boxes and landmarks', async () => {
  const plain = narrowed(configurations.full, 1 / 16);
  const variances = [0.1, 0.2] as const;
  using coded = new RetinaFace(device, { ...plain, variances });
  coded.initialise(1);
  using recoded = new RetinaFace(device, plain);
  const state = await coded.state();
  recoded.loadState(recodeBoxes(state, variances, plain.variances), 'recoded');
  const [expected, found] = [await coded.detect(picture, options), await recoded.detect(picture, options)];
  assert.ok(expected.length > 0);
  assert.equal(found.length, expected.length);
  // The products of float32 weights and variances are rounded once more: a few 1e-7 of codes that are a few units.
  const near = (a: number, b: number): boolean => Math.abs(a - b) <= 1e-3;
  for (const [i, { score, box, landmarks }] of expected.entries()) {
    const other = found[i]!;
    assert.ok(near(other.score, score));
    for (const edge of ['x1', 'y1', 'x2', 'y2'] as const) assert.ok(near(other.box[edge], box[edge]), `face ${i}`);
    for (const point of ['leftEye', 'rightEye', 'nose', 'leftMouth', 'rightMouth'] as const) {
      const [a, b] = [other.landmarks![point], landmarks![point]];
      assert.ok(near(a.x, b.x) && near(a.y, b.y), `${point} of face ${i}`);
    }
  }
  // The test would notice: unchanged weights mean other faces.
  recoded.loadState(state, 'not recoded');
  const wrong = await recoded.detect(picture, options);
  assert.ok(!wrong[0] || !near(wrong[0].box.x2 - wrong[0].box.x1, expected[0]!.box.x2 - expected[0]!.box.x1));
});

test.run();
