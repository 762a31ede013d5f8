import assert from 'node:assert/strict';
import { test } from 'uvu';
import { recogniseBackbone, recogniseConfiguration } from '../../src/weights/recognise.js';
import type { StateDict } from '../../src/weights/state.js';
import { tensorsOfShapes } from './shapes.js';

const resnet = {
  'conv1.weight': [64, 3, 7, 7],
  'layer1.0.conv1.weight': [64, 64, 1, 1],
  'layer4.2.conv3.weight': [2048, 512, 1, 1],
};
const body = Object.fromEntries(Object.entries(resnet).map(([name, shape]) => [`body.${name}`, shape]));
const report = {
  ...body,
  'fpn.lateral2.0.weight': [256, 256, 1, 1],
  'fpn.extra6.0.weight': [256, 2048, 3, 3],
  'ClassHead.4.conv1x1.weight': [6, 256, 1, 1],
  'BboxHead.4.conv1x1.weight': [12, 256, 1, 1],
};
const context = { 'ssh2.conv3X3.0.weight': [128, 256, 3, 3] };
const landmarks = { 'LandmarkHead.4.conv1x1.weight': [30, 256, 1, 1] };
const offsets = { 'fpn.merge2.offset.weight': [18, 256, 3, 3], 'ssh2.conv3X3.offset.weight': [18, 256, 3, 3] };
const cascade = { 'cascade.ClassHead.4.conv1x1.weight': [6, 256, 1, 1] };

function configuration(shapes: Readonly<Record<string, readonly number[]>>): string | undefined {
  const tensors: StateDict = tensorsOfShapes(shapes);
  return recogniseConfiguration(tensors);
}

test('the variants of the report are told by context module, landmarks, cascade and offsets', () => {
  assert.equal(configuration({ ...report, ...landmarks }), 'baseline');
  assert.equal(configuration({ ...report, ...context }), 'context-no-landmark');
  assert.equal(configuration({ ...report, ...context, ...landmarks }), 'context');
  assert.equal(configuration({ ...report, ...context, ...landmarks, ...cascade }), 'full');
  assert.equal(configuration({ ...report, ...context, ...landmarks, ...offsets }), 'deformable');
});

test('a combination that no configuration has is not recognised', () => {
  assert.equal(configuration(report), undefined);
  assert.equal(configuration({ ...report, ...context, ...cascade }), undefined);
  assert.equal(configuration({ ...report, ...landmarks, ...cascade }), undefined);
  assert.equal(configuration({ ...report, ...context, ...offsets }), undefined);
  assert.equal(configuration({ ...report, ...landmarks, ...offsets }), undefined);
  assert.equal(configuration({ ...report, ...context, ...landmarks, ...cascade, ...offsets }), undefined);
  assert.equal(configuration(body), undefined);
  assert.equal(configuration({}), undefined);
});

test('the published networks are told by names and shapes', () => {
  const head = { 'ClassHead.0.conv1x1.weight': [4, 256, 1, 1] };
  assert.equal(configuration({ ...body, ...head, 'fpn.output1.0.weight': [256, 512, 1, 1] }), 'published-resnet50');
  const mobile = {
    'body.stage1.0.0.weight': [8, 3, 3, 3],
    'fpn.output1.0.weight': [64, 64, 1, 1],
    'ClassHead.0.conv1x1.weight': [4, 64, 1, 1],
  };
  assert.equal(configuration(mobile), 'published-mobilenet0.25');
  assert.equal(configuration({ ...mobile, 'body.stage1.0.0.weight': [16, 3, 3, 3] }), undefined);
});

test('a classifier is recognised as a backbone, and a whole network is none', () => {
  assert.equal(recogniseBackbone(tensorsOfShapes({ ...resnet, 'fc.weight': [1000, 2048] })), 'resnet50-backbone');
  assert.equal(
    recogniseBackbone(tensorsOfShapes({ ...resnet, 'layer4.2.conv3.weight': [2048, 1024, 1, 1] })),
    undefined,
  );
  assert.equal(recogniseBackbone(tensorsOfShapes(report)), undefined);
});

test('a backbone is recognised in body, too, where nothing lies beside it', () => {
  assert.equal(recogniseBackbone(tensorsOfShapes(body)), 'resnet50-backbone');
  assert.equal(recogniseBackbone(tensorsOfShapes({ ...body, 'fpn.output1.0.weight': [256, 512, 1, 1] })), undefined);
  assert.equal(recogniseBackbone(tensorsOfShapes({})), undefined);
});

test.run();
