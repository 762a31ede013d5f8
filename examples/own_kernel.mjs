// A kernel of one's own with its gradient, among the library's: SiLU, y = x·σ(x), in WGSL.
// Its gradient is checked by central differences at the end. `node own_kernel.mjs`
import assert from 'node:assert/strict';
import { Gpu, ops, requestDevice, Tape, Tensor } from 'retinaface-webgpu';

const device = await requestDevice();
const gpu = Gpu.of(device);

/** Both passes: one number an invocation, 64 a workgroup. */
const kernel = (body) => `
  @group(0) @binding(0) var<storage, read> x: array<f32>;
  @group(0) @binding(1) var<storage, read> gradient: array<f32>;
  @group(0) @binding(2) var<storage, read_write> y: array<f32>;
  @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = id.x;
    if (i >= arrayLength(&y)) { return; }
    let s = 1.0 / (1.0 + exp(-x[i]));
    ${body}
  }`;

const layout = device.createBindGroupLayout({
  entries: ['read-only-storage', 'read-only-storage', 'storage'].map((type, binding) => ({
    binding,
    visibility: 4, // GPUShaderStage.COMPUTE
    buffer: { type },
  })),
});
const [forward, backward] = ['y[i] = x[i] * s;', 'y[i] = gradient[i] * s * (1.0 + x[i] * (1.0 - s));'].map((body) =>
  device.createComputePipeline({
    layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
    compute: { module: device.createShaderModule({ code: kernel(body) }), entryPoint: 'main' },
  }),
);

/** The part of a device's memory that a tensor has. */
const memory = ({ buffer, size }) => ({ buffer: buffer.gpu, offset: buffer.offset, size: 4 * size });

function run(pipeline, x, gradient) {
  const y = Tensor.from(device, new Float32Array(x.size), x.shape, 'silu');
  gpu.flush(); // What the library encoded before comes first.
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  const entries = [x, gradient, y].map((tensor, binding) => ({ binding, resource: memory(tensor) }));
  pass.setBindGroup(0, device.createBindGroup({ layout, entries }));
  pass.dispatchWorkgroups(Math.ceil(x.size / 64));
  pass.end();
  device.queue.submit([encoder.finish()]);
  return y;
}

/** SiLU, told to the tape that records. */
function silu(tape, x) {
  // The forward pass reads no gradient: any other tensor of the size does in its place, but not what is written.
  const output = run(forward, x, x);
  tape.append({
    name: 'silu',
    inputs: { x },
    output,
    saved: { x },
    backward: (gradient, saved) => ({ x: run(backward, saved.x, gradient) }),
  });
  return output;
}

const values = [-3, -1.5, -0.25, 0, 0.5, 1, 2, 4];
const x = Tensor.from(device, values, [values.length]);
const weight = Tensor.from(device, [1, -2, 3, 1, 2, -1, 0.5, 1], [values.length]);
const tape = new Tape(device);
tape.watch(x);
const loss = tape.record(() => ops.sum(ops.multiply(silu(tape, x), weight)));
tape.backward(loss);
const gradient = [...(await tape.gradient(x).read())];

const exact = (v) => v / (1 + Math.exp(-v));
const weights = await weight.read();
for (const [i, v] of values.entries()) {
  const difference = (weights[i] * (exact(v + 1e-4) - exact(v - 1e-4))) / 2e-4;
  assert.ok(Math.abs(gradient[i] - difference) < 1e-5 * (1 + Math.abs(difference)), `${gradient[i]}, ${difference}`);
}
console.log(`the gradient of silu: ${gradient.map((each) => each.toFixed(4)).join(', ')}`);
