// Run inside an empty project that has installed the packed library: imports it, detects, and sees good errors.
import assert from 'node:assert/strict';
import { RetinaFace, requestDevice, syntheticScene, Tensor, ops } from 'retinaface-webgpu';

const device = await requestDevice();
const y = ops.relu(Tensor.from(device, [-1, 2], [2]));
const [zero, two] = await y.read();
assert.ok(zero === 0 && two === 2);

const model = new RetinaFace(device);
await model.load();
assert.equal(model.configuration.name, 'published-mobilenet0.25');
const { picture, faces } = syntheticScene(1, 4, { size: 320 });
const found = await model.detect(picture);
assert.ok(faces.length > 0 && found.length > 0, `${found.length} faces found of ${faces.length}`);
assert.deepEqual(await model.detect({ data: new Uint8Array(64 * 48 * 4).fill(128), width: 64, height: 48 }), []);
await assert.rejects(model.load(new Uint8Array([1, 2, 3])), { name: 'WeightsError' });

// What only some need is not installed, and said to be missing by what needs it alone.
const { PictureQueue, PictureFetcher } = await import('retinaface-webgpu/scale');
await assert.rejects(PictureQueue.open({ redis: 'redis://127.0.0.1', queue: 'none' }), {
  name: 'MissingPackageError',
  message: /npm install bullmq/,
});
await assert.rejects(PictureFetcher.create(), { name: 'MissingPackageError', message: /npm install ipaddr\.js/ });
console.log('the packed library imports, computes and detects');
process.exit(0);
