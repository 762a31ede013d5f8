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

/** Names of the published MobileNet-0.25, one of each kind, and what others call the same tensors. */
const published = {
  'body.stage1.0.0.weight': 'fx.stage1.0.0.weight',
  'body.stage1.0.1.running_mean': 'fx.stage1.0.1.running_mean',
  'body.stage1.1.0.weight': 'fx.stage1.1.0.0.weight',
  'body.stage1.1.1.bias': 'fx.stage1.1.0.1.bias',
  'body.stage2.5.3.weight': 'fx.stage2.5.1.0.weight',
  'body.stage3.1.4.running_var': 'fx.stage3.1.1.1.running_var',
  'fpn.output1.0.weight': 'fpn.output1.0.weight',
  'ssh3.conv7x7_3.1.bias': 'ssh3.conv7x7_3.1.bias',
  'ClassHead.0.conv1x1.weight': 'class_head.class_head.0.weight',
  'BboxHead.1.conv1x1.bias': 'bbox_head.bbox_head.1.bias',
  'LandmarkHead.2.conv1x1.weight': 'landmark_head.landmark_head.2.weight',
};

const one = (names: readonly string[]) => tensorsOfShapes(Object.fromEntries(names.map((name) => [name, [1]])));

test('the names of yakhyo/retinaface-pytorch become the published ones', () => {
  assert.deepEqual([...toParameterNames(one(Object.values(published))).keys()], Object.keys(published));
  const resnet = toParameterNames(one(['fx.layer1.0.downsample.0.weight', 'class_head.class_head.2.bias']));
  assert.deepEqual([...resnet.keys()], ['body.layer1.0.downsample.0.weight', 'ClassHead.2.conv1x1.bias']);
});

test('two names that would become one stay as they are', () => {
  const tensors = one(['fx.stage1.1.0.0.weight', 'fx.stage1.1.0.weight']);
  assert.equal(toParameterNames(tensors), tensors);
});

test('a prefix model. that all names have is stripped, and one that some have is not', () => {
  const names = Object.keys(published);
  assert.deepEqual([...toParameterNames(one(names.map((name) => `model.${name}`))).keys()], names);
  const both = Object.values(published).map((name) => `model.${name}`);
  assert.deepEqual([...toParameterNames(one(both)).keys()], names);
  const some = one(['model.body.stage1.0.0.weight', 'loss.weight']);
  assert.equal(toParameterNames(some), some);
});

test('names of other files stay as they are', () => {
  const tensors = tensorsOfShapes({
    'body.stage1.0.0.weight': [8, 3, 3, 3],
    'ssh1.conv7x7_3.0.weight': [16, 16, 3, 3],
  });
  assert.equal(toParameterNames(tensors), tensors);
});

test.run();
