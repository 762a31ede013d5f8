import assert from 'node:assert/strict';
import { create } from 'webgpu';
import { test } from 'uvu';
import { linkerOf, linkVariant, readKernels } from '../../tools/link-kernels.mjs';
import { kernels, type Kernels } from '../../src/gpu/kernel_table.js';
import {
  type KernelConstants,
  type KernelName,
  linkKernel,
  type LinkedKernel,
  READS_HALF,
  WRITES_HALF,
} from '../../src/gpu/linker.js';

/** Kernels that want constants. */
type WithConstants = {
  [N in KernelName]: [Kernels[N]['constants']] extends [never] ? never : N;
}[KernelName];

/**
 * For each kernel with constants, values that its callers use: the usual ones, and the smallest and largest. A kernel that
 * is missing here is an error of the types.
 */
const CONSTANTS: { readonly [N in WithConstants]: readonly KernelConstants<N>[] } = {
  conv2d_forward_plain: [
    { ROWS: 4, COLS: 4 },
    { ROWS: 4, COLS: 1 },
  ],
  conv2d_forward_broadcast: [
    { LANES: 8, BLOCKS: 5 },
    { LANES: 8, BLOCKS: 2 },
    { LANES: 4, BLOCKS: 4 },
    { LANES: 16, BLOCKS: 1 },
  ],
  conv2d_forward_narrow: [
    { LANES: 8, ROWS: 8, COLS: 1 },
    { LANES: 16, ROWS: 1, COLS: 15 },
  ],
  conv2d_forward_tiled: [
    { SIDE: 16, ROWS: 8, COLS: 2 },
    { SIDE: 16, ROWS: 4, COLS: 1 },
    { SIDE: 8, ROWS: 4, COLS: 1 },
  ],
  conv2d_forward_depthwise: [
    { ROWS: 4, KERNEL_H: 3, KERNEL_W: 3, STRIDE_Y: 1, STRIDE_X: 1, DILATION_Y: 1, DILATION_X: 1 },
    { ROWS: 2, KERNEL_H: 1, KERNEL_W: 5, STRIDE_Y: 2, STRIDE_X: 2, DILATION_Y: 2, DILATION_X: 3 },
  ],
  conv2d_backward_weight_plain: [{ COLS: 4 }, { COLS: 1 }],
  conv2d_backward_weight_broadcast: [
    { LANES: 8, ROWS: 4 },
    { LANES: 16, ROWS: 1 },
  ],
  conv2d_backward_weight_narrow: [
    { LANES: 8, COLS: 1 },
    { LANES: 4, COLS: 3 },
    { LANES: 16, COLS: 15 },
  ],
  conv2d_backward_weight_tiled: [{ BLOCK: 1 }, { BLOCK: 2 }],
  conv2d_backward_weight_depthwise: [
    { ROWS: 4, KERNEL_H: 3, KERNEL_W: 3, STRIDE_Y: 1, STRIDE_X: 1, DILATION_Y: 1, DILATION_X: 1 },
    { ROWS: 2, KERNEL_H: 1, KERNEL_W: 5, STRIDE_Y: 2, STRIDE_X: 2, DILATION_Y: 2, DILATION_X: 2 },
  ],
  batch_norm: [{ ROWS: 4 }, { ROWS: 16 }],
  batch_norm_statistics: [{ SHARES: 1 }, { SHARES: 64 }],
  batch_norm_backward_affine: [{ SHARES: 1 }, { SHARES: 64 }],
  batch_norm_backward_input: [{ ROWS: 4 }, { ROWS: 16 }],
  deform_conv2d_backward_input: [{ COLS: 1 }, { COLS: 4 }],
};

// Dawn without a driver: it parses, checks and compiles as far as any device, with the limits that WebGPU guarantees. Its
// `GPU` object must outlive its device: it stays a variable of this module, which the hook below uses.
const gpu = create(['backend=null', 'enable-dawn-features=allow_unsafe_apis']);
const adapter = await gpu.requestAdapter();
assert.ok(adapter, 'Dawn has its null adapter');
const device = await adapter.requestDevice({ requiredFeatures: ['subgroups', 'shader-f16'] });

test.after(() => {
  device.destroy();
  assert.ok(gpu);
});

/** Every set of a kernel's conditions. */
function variants(conditions: readonly string[]): Record<string, boolean>[] {
  return Array.from({ length: 2 ** conditions.length }, (_, bits) =>
    Object.fromEntries(conditions.map((condition, i) => [condition, ((bits >> i) & 1) === 1])),
  );
}

/** What is wrong with a linked kernel, by the kernel's own file and line; empty where nothing is. */
async function faults(name: KernelName, linked: LinkedKernel): Promise<string[]> {
  const entries: GPUBindGroupLayoutEntry[] = [
    { binding: 0, visibility: 4, buffer: { type: 'uniform', hasDynamicOffset: true } },
  ];
  const found: string[] = [];
  for (const [, binding, access] of linked.code.matchAll(/@binding\((\d+)\)var<storage,(\w+)>/g)) {
    entries.push({
      binding: Number(binding),
      visibility: 4,
      buffer: { type: access === 'read' ? 'read-only-storage' : 'storage' },
    });
  }
  device.pushErrorScope('validation');
  const module = device.createShaderModule({ label: name, code: linked.code });
  const { messages } = await module.getCompilationInfo();
  for (const { type, offset, message } of messages)
    if (type === 'error') found.push(`${linked.locate(offset)}: ${message}`);
  const layout = device.createBindGroupLayout({ entries });
  device.createComputePipeline({
    label: name,
    layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
    compute: { module, entryPoint: 'main' },
  });
  const error = await device.popErrorScope();
  if (error && found.length === 0) found.push(`${linked.file}: ${error.message}`);
  return found;
}

const described = (values: Readonly<Record<string, boolean | number>>): string =>
  Object.entries(values)
    .filter(([, value]) => value !== false)
    .map(([key, value]) => (value === true ? `+${key}` : `${key}=${value}`))
    .join(' ') || 'alone';

for (const name of Object.keys(kernels) as KernelName[]) {
  test(`${name} compiles in every variant`, async () => {
    const choices: readonly Readonly<Record<string, number>>[] =
      name in CONSTANTS ? CONSTANTS[name as WithConstants] : [{}];
    for (const constants of choices) {
      for (const conditions of variants(kernels[name].conditions)) {
        const variant = `${name} ${described({ ...conditions, ...constants })}`;
        assert.deepEqual(await faults(name, linkKernel(name, conditions, constants)), [], variant);
      }
    }
  });
}

test('what takes float16 compiles with it, and its lines know their place', async () => {
  const taken = new Set<string>();
  for (const name of Object.keys(kernels) as KernelName[]) {
    const [constants] = name in CONSTANTS ? CONSTANTS[name as WithConstants] : [{}];
    const every = variants(kernels[name].conditions);
    if (kernels[name].half !== true) {
      const refused = { name: 'ArgumentError', expected: 'tensors of f32', got: 'f16' };
      assert.throws(() => linkKernel(name, every[0]!, constants, READS_HALF), refused);
      continue;
    }
    taken.add(name);
    for (const conditions of [every[0]!, every.at(-1)!]) {
      const main = ({ code }: LinkedKernel) => code.indexOf('fn main');
      const whole = linkKernel(name, conditions, constants);
      for (const half of [READS_HALF, WRITES_HALF, READS_HALF | WRITES_HALF]) {
        // What moves elements as they are has one type for both sides.
        if (half !== (READS_HALF | WRITES_HALF) && (name === 'max_pool2d' || name === 'unpool')) continue;
        const linked = linkKernel(name, conditions, constants, half);
        assert.deepEqual(await faults(name, linked), [], `${name} ${described({ ...conditions, ...constants, half })}`);
        assert.equal(linked.locate(main(linked)), whole.locate(main(whole)));
      }
    }
  }
  assert.equal([...taken].filter((name) => name.startsWith('conv2d_forward')).length, 6);
});

test('a kernel put together is what wesl links, whose lines know their place', () => {
  const { kernels: described, sources } = readKernels();
  const linker = linkerOf(sources);
  const text = (lines: readonly string[]) => lines.filter((line) => line !== '').sort();
  for (const [name, constants] of [
    ['conv2d_forward_tiled', { SIDE: 16, ROWS: 8, COLS: 2 }],
    ['batch_norm_backward_input', { ROWS: 4 }],
  ] as const) {
    for (const conditions of variants(kernels[name].conditions)) {
      const linked = linkKernel(name, conditions, constants);
      const expected = linkVariant(described[name]!, conditions, constants, linker);
      // The types of elements are put to it, used or not.
      const isElement = (line: string) => /^alias (In|Out)4?=/.test(line);
      const rest = (lines: readonly string[]) => text(lines.filter((line) => !isElement(line)));
      assert.deepEqual(rest(linked.code.split('\n')), rest(expected.map((line) => line.text)));
      for (const { text: line, file, line: at } of expected) {
        // A line of its own, wherever it stands again: `}` is everywhere.
        const first = linked.code.indexOf(line);
        if (
          line.length > 20 &&
          linked.code.lastIndexOf(line) === first &&
          file !== 'constants.wgsl' &&
          !isElement(line) &&
          !line.startsWith('const ')
        )
          assert.equal(linked.locate(first), `kernels/${file}:${at}`);
      }
    }
  }
});

test('a constant that is missing is named', () => {
  assert.throws(() => linkKernel('batch_norm', {}, {}), { name: 'KernelError', got: 'none for ROWS' });
});

test('a kernel that does not compile is told by its own file and line', async () => {
  const linked = linkKernel('batch_norm_fold', {}, {});
  const broken = linked.code.replace('sqrt(', 'sqroot(');
  assert.notEqual(broken, linked.code);
  const [problem] = await faults('batch_norm_fold', { ...linked, code: broken });
  assert.match(problem!, /^kernels\/norm\/batch_norm_fold\.wgsl:\d+: .*sqroot/);
});

test.run();
