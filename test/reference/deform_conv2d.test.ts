import { test } from 'uvu';
import { assertGolden, assertGoldenGradients, readGolden } from '../helpers/golden.js';
import { zeros } from './array64.js';
import { conv2d } from './conv2d.js';
import { deformConv2d, type DeformConv2dOptions } from './deform_conv2d.js';

for (const golden of readGolden('ops').cases('deform_conv2d')) {
  test(`${golden.name} and its gradients are torchvision's`, () => {
    const options = golden.options as Omit<DeformConv2dOptions, 'mask' | 'bias'>;
    const names = ['x', 'offset', 'weight', 'mask', 'bias'].filter((name) => golden.has(name));
    assertGoldenGradients(golden, names, (...inputs) => {
      const { x, offset, weight, ...rest } = Object.fromEntries(names.map((name, i) => [name, inputs[i]!]));
      return deformConv2d(x!, offset!, weight!, { ...options, ...rest });
    });
  });
}

test('without offsets a deformable convolution is a convolution', () => {
  for (const golden of readGolden('ops').cases('conv2d')) {
    if (golden.name === 'conv2d/asymmetric') continue; // torchvision pads both sides alike
    const options = golden.options as DeformConv2dOptions;
    const [x, weight] = [golden.array('x'), golden.array('weight')];
    const expected = conv2d(x, weight, options);
    const [n, h, w] = expected.shape;
    const offset = zeros([n!, h!, w!, 2 * weight.shape[0]! * weight.shape[1]!]);
    assertGolden(deformConv2d(x, offset, weight, options), expected, golden.name);
  }
});

test.run();
