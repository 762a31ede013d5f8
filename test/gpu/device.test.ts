import assert from 'node:assert/strict';
import { test } from 'uvu';
import { computesOnCpu } from '../../src/gpu/device.js';

/** What implementations said of adapters; the first four were seen. */
const adapters: readonly (readonly [who: string, onCpu: boolean, info: Partial<GPUAdapterInfo>])[] = [
  ['Dawn of lavapipe', true, { vendor: 'mesa', architecture: 'software', device: 'llvmpipe-llvm-15-0-6-256-bits-' }],
  [
    'Dawn of SwiftShader',
    true,
    { vendor: 'google', architecture: 'swiftshader', description: 'SwiftShader driver 5.0.0' },
  ],
  ['wgpu of lavapipe', true, { vendor: '65541', device: '0', description: 'llvmpipe (LLVM 15.0.6, 256 bits)' }],
  ['wgpu of SwiftShader', true, { vendor: '6880', device: '49374', description: 'SwiftShader Device (Subzero)' }],
  ['wgpu that names a vendor alone', true, { vendor: '6880' }],
  ['a browser that says so and no more', true, { vendor: '', isFallbackAdapter: true }],
  ['Direct3D without a GPU', true, { vendor: 'microsoft', description: 'Microsoft Basic Render Driver' }],
  ['a GPU', false, { vendor: 'nvidia', architecture: 'hopper', description: 'NVIDIA H200', isFallbackAdapter: false }],
  ['wgpu of a GPU', false, { vendor: '4318', device: '9013', description: 'NVIDIA H200' }],
  ["Mesa's driver of Apple's GPU", false, { vendor: '65541', description: 'Apple M1 (G13G B1)' }],
  ['a browser that says nothing', false, {}],
];
for (const [who, onCpu, info] of adapters) {
  test(`${who} ${onCpu ? 'computes on the CPU' : 'is no software driver'}`, () => {
    assert.equal(computesOnCpu(info), onCpu);
  });
}

test.run();
