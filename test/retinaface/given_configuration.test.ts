// What a weights file cannot tell, given as an object or a file: checked field by field.
import assert from 'node:assert/strict';
import { test } from 'uvu';
import { ArgumentError } from '../../src/gpu/errors.js';
import { configurations, narrowed } from '../../src/retinaface/config.js';
import { checkConfiguration, completeConfiguration } from '../../src/retinaface/given_configuration.js';

const base = configurations['published-mobilenet0.25'];

test('every configuration of the library passes as it is, at any width', () => {
  for (const configuration of [...Object.values(configurations), narrowed(configurations.full, 1 / 16)]) {
    const named = configurations[configuration.name];
    assert.deepEqual(completeConfiguration(checkConfiguration(configuration, 'x'), named, 'x'), configuration);
  }
});

test('fields that are left out are those of the base', () => {
  const given = checkConfiguration({ input: { order: 'rgb' } }, 'rgb.json');
  assert.deepEqual(completeConfiguration(given, base, 'rgb.json'), { ...base, input: { ...base.input, order: 'rgb' } });
  assert.deepEqual(completeConfiguration({}, base, 'x'), base);
  assert.deepEqual(
    completeConfiguration({ width: 0.25 }, configurations.context, 'x'),
    narrowed(configurations.context, 0.25),
  );
});

test('an error names the file, the field, and what it should be', () => {
  const levels = (change: object): unknown => ({ levels: [{ stride: 8, sizes: [10, 20], ...change }] });
  const cases: readonly (readonly [value: unknown, message: RegExp])[] = [
    [7, /the configuration of a\.json: expected an object, got 7/],
    [[], /expected an object/],
    [{ anchors: [] }, /expected the fields name, backbone, .* alone, got 'anchors'/],
    [{ name: 'mobilenet' }, /expected name to be one of "baseline", .*, got 'mobilenet'/],
    [{ backbone: 'resnet18' }, /expected backbone to be one of "mobilenet0.25", "resnet50"/],
    [{ width: 2 }, /expected width to be a number of 0\.0625 to 1, got 2/],
    [{ channels: 60 }, /expected channels to be a multiple of 16/],
    [{ slope: 'leaky' }, /expected slope to be a number of 0 to 1, got 'leaky'/],
    [{ landmarks: 1 }, /expected landmarks to be true or false, got 1/],
    [{ variances: [0.1] }, /expected variances to be two numbers above 0/],
    [{ variances: [0.1, 0] }, /expected variances/],
    [{ levels: 3 }, /expected levels to be a list of levels/],
    [levels({ sizes: [10, '20'] }), /expected levels\[0\]\.sizes to be a list of numbers above 0/],
    [levels({ sizes: undefined }), /expected levels\[0\]\.sizes/],
    [levels({ size: 3 }), /expected the fields stride, sizes of levels\[0\], got 'size'/],
    [{ levels: [{ stride: 8 }] }, /expected levels\[0\]\.sizes to be there, got nothing/],
    [{ input: { order: 'RGB' } }, /expected input\.order to be one of "rgb", "bgr", got 'RGB'/],
    [{ input: { mean: [104, 117, 300] } }, /expected input\.mean to be three numbers of 0 to 255/],
    [{ input: { std: [1, 1] } }, /expected input\.std to be three numbers above 0/],
    [{ input: { scale: 255 } }, /expected the fields order, mean, std of input, got 'scale'/],
  ];
  for (const [value, message] of cases) {
    assert.throws(
      () => checkConfiguration(value, 'a.json'),
      (error) => error instanceof ArgumentError && message.test(error.message),
      String(message),
    );
  }
});

test('levels must have the strides of the pyramid, and as many anchors each', () => {
  const sizes = [10, 20];
  const complete = (levels: object[]) => () => completeConfiguration(checkConfiguration({ levels }, 'x'), base, 'x');
  assert.throws(
    complete([{ stride: 8, sizes }]),
    /levels to have the strides 8, 16, 32 of a pyramid "published", got 8/,
  );
  assert.throws(
    complete([8, 16, 32].map((stride) => ({ stride, sizes: stride === 16 ? [1] : sizes }))),
    /levels\[1\]\.sizes to be as many as those of levels\[0\], 2, got 1/,
  );
  assert.doesNotThrow(complete([8, 16, 32].map((stride) => ({ stride, sizes }))));
});

test.run();
