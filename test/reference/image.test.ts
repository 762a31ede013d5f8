import assert from 'node:assert/strict';
import { test } from 'uvu';
import { assertGolden, readGolden } from '../helpers/golden.js';
import { image, letterbox, type ImageOptions } from './image.js';

for (const golden of readGolden('ops').cases('image')) {
  test(`${golden.name} is PyTorch's bilinear resize, normalised and padded with zeros`, () => {
    const { shape, data } = golden.tensor('pixels');
    const picture = { height: shape[0]!, width: shape[1]!, data };
    const options = golden.options as ImageOptions;
    assertGolden(image(picture, options), golden.array('output'), golden.name);
    if (golden.name !== 'image/smaller') return;
    const { resized, ...rest } = options;
    assert.deepEqual(letterbox(picture, options.size), resized);
    assertGolden(image(picture, rest), golden.array('output'), `${golden.name} by default`);
  });
}

test('a picture that is far wider than high keeps at least one row', () => {
  assert.deepEqual(letterbox({ width: 1000, height: 1, data: [] }, 100), [1, 100]);
});

test.run();
