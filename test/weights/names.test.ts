import assert from 'node:assert/strict';
import { test } from 'uvu';
import { toParameterNames } from '../../src/weights/names.js';
import { tensorsOfShapes } from './shapes.js';

test("torchvision's ResNet-50 moves to body and loses its last layer", () => {
  const classifier = tensorsOfShapes({
    'conv1.weight': [64, 3, 7, 7],
    'layer1.0.conv1.weight': [64, 64, 1, 1],
    'layer1.0.downsample.1.running_var': [256],
    'layer4.2.conv3.weight': [2048, 512, 1, 1],
    'fc.weight': [1000, 2048],
    'fc.bias': [1000],
  });
  const named = toParameterNames(classifier);
  assert.deepEqual(
    [...named.keys()],
    [
      'body.conv1.weight',
      'body.layer1.0.conv1.weight',
      'body.layer1.0.downsample.1.running_var',
      'body.layer4.2.conv3.weight',
    ],
  );
  assert.equal(named.get('body.conv1.weight'), classifier.get('conv1.weight'));
});

test('the ImageNet-trained MobileNet-0.25 moves to body and loses its last layer', () => {
  const classifier = tensorsOfShapes({
    'stage1.0.0.weight': [8, 3, 3, 3],
    'stage3.1.3.weight': [256, 256, 1, 1],
    'fc.weight': [1000, 256],
  });
  assert.deepEqual([...toParameterNames(classifier).keys()], ['body.stage1.0.0.weight', 'body.stage3.1.3.weight']);
});

test('names of other files stay as they are', () => {
  const tensors = tensorsOfShapes({
    'body.stage1.0.0.weight': [8, 3, 3, 3],
    'ssh1.conv7x7_3.0.weight': [16, 16, 3, 3],
  });
  assert.equal(toParameterNames(tensors), tensors);
});

test.run();
