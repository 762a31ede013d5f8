// The sizes of the search on the device, with the published weights.
import assert from 'node:assert/strict';
import { test } from 'uvu';
import { searchPictures } from '../../src/evaluate/evaluate_model.js';
import { groundTruthFromSamples } from '../../src/evaluate/ground_truth.js';
import { landmarkErrors } from '../../src/evaluate/landmarks.js';
import { averagePrecision } from '../../src/evaluate/average_precision.js';
import type { Protocol } from '../../src/evaluate/protocol.js';
import { readImage } from '../../src/node/files.js';
import { RetinaFace } from '../../src/node/retinaface.js';
import { testDevice } from '../helpers/device.js';
import { noSharedData, sharedData } from '../helpers/shared_data.js';
import { testUnless } from '../helpers/unless.js';

testUnless(noSharedData)(
  'flip, smaller sizes and box voting find the same faces in almost the same places',
  async () => {
    using model = new RetinaFace(testDevice);
    await model.load(sharedData('checkpoints/mobilenet0.25_Final.pth'));
    const picture = await readImage(sharedData('photos/13.jpg'));
    const sure = (await model.detect(picture)).filter(({ score }) => score > 0.9);
    assert.equal(sure.length, 3);
    const groundTruth = groundTruthFromSamples([
      {
        name: '13.jpg',
        faces: sure.map(({ box: { x1, y1, x2, y2 }, landmarks }) => {
          const { leftEye, rightEye, nose, leftMouth, rightMouth } = landmarks!;
          const points = [leftEye, rightEye, nose, leftMouth, rightMouth].flatMap(({ x, y }) => [x, y]);
          return { box: [x1, y1, x2, y2] as const, landmarks: points };
        }),
      },
    ]);
    const source = { length: 1, name: () => '13.jpg', load: () => Promise.resolve(picture) };
    const sizes: readonly Partial<Protocol>[] = [
      { flip: true },
      { scales: [0.7, 1] },
      { size: { shortSide: 300, longSide: 500 } },
      { size: 400, flip: true, scales: [1.2] },
    ];
    for (const changes of sizes) {
      const predictions = await searchPictures(model, source, {
        changes: { size: 480, ...changes, scoreThreshold: 0.5 },
      });
      assert.equal(averagePrecision(groundTruth, predictions).hard, 1, JSON.stringify(changes));
      const errors = landmarkErrors(groundTruth, predictions)!;
      assert.equal(errors.found, 3);
      assert.ok(errors.meanError < 0.05, `${JSON.stringify(changes)}: ${errors.meanError}`);
    }
  },
);

test.run();
