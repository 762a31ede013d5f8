// Many detections at once, over several models and devices, while others are loaded and disposed of.
import assert from 'node:assert/strict';
import { test } from 'uvu';
import { requestDevice } from '../../src/node/device.js';
import { RetinaFace } from '../../src/node/retinaface.js';
import { drawnPicture } from '../helpers/drawn_picture.js';
import { figures, randomOfCase, times } from './harness.js';

const CALLS = times(40, 100);

test('detections in parallel find what each finds alone', async () => {
  const devices = [await requestDevice(), await requestDevice()] as const;
  const models = [0, 0, 1].map((which) => new RetinaFace(devices[which]!));
  for (const model of models) await model.load();
  const pictures = [drawnPicture(96, 64), drawnPicture(64, 80), drawnPicture(160, 120), drawnPicture(33, 47)];
  const options = [{ scoreThreshold: 0.02 }, { scoreThreshold: 0.02, maxFaces: 5 }, { scoreThreshold: 0.01, size: 96 }];
  const alone: unknown[][] = [];
  for (const picture of pictures) {
    const row: unknown[] = [];
    for (const option of options) row.push(await models[0]!.detect(picture, option));
    alone.push(row);
  }
  let others = 0;
  await Promise.all(
    Array.from({ length: CALLS }, async (_, i) => {
      const random = randomOfCase('parallel', i);
      await new Promise((resolve) => setTimeout(resolve, 500 * random.next()));
      if (i % 10 === 9) {
        // Comes and goes between the others.
        using passing = new RetinaFace(random.pick(devices));
        await passing.load();
        await passing.detect(pictures[0]!);
        others++;
      }
      const [which, how] = [random.int(pictures.length), random.int(options.length)];
      const found = await random.pick(models).detect(pictures[which]!, options[how]);
      assert.deepEqual(found, alone[which]![how], `call ${i}`);
    }),
  );
  assert.ok(alone.flat(2).length > 0, 'some picture has a face at that threshold');
  for (const model of models) model.dispose();
  for (const device of devices) device.destroy();
  figures('parallel detections', { calls: CALLS, models: models.length, devices: devices.length, 'models that came and went': others }); // prettier-ignore
});

test.run();
