import * as library from './node_modules/retinaface-webgpu/dist/retinaface.js';
import { precisionRecall } from './node_modules/retinaface-webgpu/dist/evaluate.js';
import { syntheticScene } from './node_modules/retinaface-webgpu/dist/scenes.js';
import { find } from './find.js';

/** The library, once it is seen that the modules beside it and those on demand throw its own errors. */
async function whole() {
  const { ArgumentError, readWeights, WeightsError } = library;
  const failing = {
    scenes: [ArgumentError, () => syntheticScene(0, 0, { size: 1 })],
    evaluate: [ArgumentError, () => precisionRecall([], { iouThreshold: 2 })],
    pytorch: [WeightsError, () => readWeights(new Uint8Array([0x50, 0x4b, 3, 4]), 'four bytes')],
  };
  for (const [name, [expected, fail]] of Object.entries(failing)) {
    const error = await new Promise((settle) => settle(fail())).then(
      () => 'none',
      (thrown) => thrown,
    );
    if (!(error instanceof expected)) throw new Error(`${name} throws ${error}`);
  }
  return library;
}

find(whole());
