// A deformable ConvBn, whose parts are each compared with PyTorch elsewhere, against the twins of those parts.
import { test } from 'uvu';
import { Gpu } from '../../src/gpu/gpu.js';
import { ConvBn } from '../../src/nn/conv_bn.js';
import { ParameterList } from '../../src/nn/parameter.js';
import { checkOp, values } from '../helpers/check_op.js';
import { testDevice as device } from '../helpers/device.js';
import { map, type Array64 } from '../reference/array64.js';
import { batchNorm } from '../reference/batch_norm.js';
import { conv2d } from '../reference/conv2d.js';
import { deformConv2d } from '../reference/deform_conv2d.js';

const gpu = Gpu.of(device);
const [CIN, COUT] = [8, 12];

/** Sums of 9·8 products and a batch norm behind them; an offset that is 1e-6 off moves a sample by as much. */
const TOLERANCE = 2e-5;
/** Central differences step over the corners of the bilinear samples. */
const GRADIENT_TOLERANCE = 2e-4;

const x = values('x', [2, 5, 7, CIN]);
const state: Readonly<Record<string, Array64>> = {
  'layer.0.weight': values('weight', [3, 3, CIN, COUT]),
  'layer.offset.weight': map(values('offset weight', [3, 3, CIN, 18]), (value) => value / 8),
  'layer.offset.bias': values('offset bias', [18]),
  'layer.1.weight': map(values('gamma', [COUT]), (value) => 1 + value / 2),
  'layer.1.bias': values('beta', [COUT]),
  'layer.1.running_mean': values('mean', [COUT]),
  'layer.1.running_var': map(values('variance', [COUT]), (value) => 2 + value),
};

function layerOf(): ConvBn {
  const parameters = new ParameterList(gpu);
  const names = { conv: 'layer.0', norm: 'layer.1', offset: 'layer.offset' };
  const layer = new ConvBn(parameters, { ...names, in: CIN, out: COUT, kernel: 3 });
  for (const parameter of parameters) parameter.write(Float32Array.from(state[parameter.name]!.data));
  layer.fold();
  return layer;
}

function twin(input: Array64, training: boolean): Array64 {
  const offset = conv2d(input, state['layer.offset.weight']!, { padding: 1, bias: state['layer.offset.bias']! });
  const filtered = deformConv2d(input, offset, state['layer.0.weight']!, { padding: 1 });
  const { output } = batchNorm(filtered, {
    gamma: state['layer.1.weight']!,
    beta: state['layer.1.bias']!,
    runningMean: state['layer.1.running_mean']!,
    runningVar: state['layer.1.running_var']!,
    training,
  });
  return map(output, (value) => (value < 0 ? 0.1 * value : value));
}

for (const training of [false, true]) {
  test(`a deformable ConvBn in ${training ? 'training' : 'inference'} is offsets, deformable convolution, batch norm`, async () => {
    const layer = layerOf();
    layer.training = training;
    await checkOp({
      op: (input) => layer.forward(input, { slope: 0.1 }),
      twin: (input) => twin(input, training),
      inputs: [x],
      tolerance: TOLERANCE,
      gradientTolerance: GRADIENT_TOLERANCE,
    });
    layer.dispose();
  });
}

test.run();
