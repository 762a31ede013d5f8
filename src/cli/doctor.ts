import { readFileSync } from 'node:fs';
import { RetinaFaceError } from '../gpu/errors.js';
import { Gpu } from '../gpu/gpu.js';
import { ownGpu, requestDevice } from '../node/device.js';
import { keptTuning, tuningFile } from '../node/tuning.js';
import { relu } from '../ops/relu.js';
import { Tensor } from '../tensor/tensor.js';
import { type Command, defineCommand, EXIT } from './command.js';

/** `retinaface doctor`. */
export const doctor: Command = defineCommand({
  name: 'doctor',
  usage: '',
  about: `Opens the device that other commands would use, runs a kernel on it and prints what it is:
adapter, driver, features, limits. Exit code 3 where there is none, with what to install.`,
  options: {},
  async run() {
    process.stdout.write(await diagnosis());
    return EXIT.done;
  },
});

/** What `doctor` prints, a line each. @throws AdapterError where there is no device. */
export async function diagnosis(): Promise<string> {
  const device = await requestDevice();
  const gpu = Gpu.of(device);
  const { vendor, architecture, description } = gpu.info;
  const { version } = JSON.parse(readFileSync(new URL(import.meta.resolve('webgpu/package.json')), 'utf8')) as {
    version: string;
  };
  using x = Tensor.from(device, [-1, 2], [2]);
  using y = relu(x);
  let works = 'yes';
  try {
    const [a, b] = await y.read();
    if (a !== 0 || b !== 2) works = `no: relu([-1, 2]) gave [${a ?? ''}, ${b ?? ''}]`;
  } catch (error) {
    if (!(error instanceof RetinaFaceError)) throw error;
    works = `no: ${error.message}`;
  }
  const megabytes = (bytes: number): string => `${Math.floor(bytes / 2 ** 20).toLocaleString('en')} MiB`;
  const rows: readonly (readonly [string, string])[] = [
    ['node', `${process.version} on ${process.platform} ${process.arch}`],
    ['webgpu', ownGpu() ? "the runtime's own" : `Dawn, package version ${version}`],
    ['adapter', [vendor, architecture].filter(Boolean).join(' ')],
    ['driver', description],
    ['kind', gpu.isFallback ? 'software, on the CPU' : 'GPU'],
    [
      'features',
      ['subgroups', 'shader-f16', 'timestamp-query'].filter((f) => device.features.has(f)).join(', ') || 'none',
    ],
    ['precision', device.features.has('shader-f16') ? 'f32 and f16' : 'f32 alone: f16 needs shader-f16'],
    ['subgroup size', String(gpu.subgroupSize ?? 'not fixed')],
    ['largest tensor', megabytes(gpu.largestTensor)],
    ['kernels run', works],
    ['tuning', tuningWords(gpu)],
  ];
  device.destroy();
  return rows.map(([name, value]) => `${name.padEnd(15)}${value}\n`).join('');
}

/** Which ways are in force. */
function tuningWords(gpu: Gpu): string {
  const { choices, because } = keptTuning(gpu);
  if (because !== undefined) return `the rules; what is kept in ${tuningFile(gpu)} is not used: ${because}`;
  if (choices.size === 0) return 'the rules; `retinaface tune` measures whether other ways are faster';
  return `${choices.size} computations by ways that were measured: ${tuningFile(gpu)}`;
}
