// Run inside an empty project that has installed the packed library: imports it, detects, and sees good errors.
import assert from 'node:assert/strict';
import { RetinaFace, requestDevice, configurations, Tensor, ops } from 'retinaface-webgpu';

const device = await requestDevice();
const y = ops.relu(Tensor.from(device, [-1, 2], [2]));
const [zero, two] = await y.read();
assert.ok(zero === 0 && two === 2);

// Weights made by a formula: they find nothing of sense, but the whole path runs.
const model = new RetinaFace(device, 'published-mobilenet0.25');
const { Network } = await import('./node_modules/retinaface-webgpu/dist/src/retinaface/network.js');
const network = new Network(model.gpu, configurations['published-mobilenet0.25']);
const state = new Map();
for (const { name, shape } of network.parameters) {
  const [kh, kw, cin, cout] = shape;
  const dims = shape.length === 4 ? [cout, cin, kh, kw] : [...shape];
  const size = dims.reduce((a, b) => a * b, 1);
  state.set(name, { shape: dims, data: Float32Array.from({ length: size }, (_, i) => ((i * 37) % 11) / 50 + 0.01) });
}
model.loadState(state, 'formula');
const faces = await model.detect({ data: new Uint8Array(64 * 48 * 4).fill(128), width: 64, height: 48 });
assert.ok(Array.isArray(faces));
await assert.rejects(model.load(new Uint8Array([1, 2, 3])), { name: 'WeightsError' });
console.log('the packed library imports, computes and detects');
process.exit(0);
