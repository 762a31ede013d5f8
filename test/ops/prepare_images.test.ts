import assert from 'node:assert/strict';
import { test } from 'uvu';
import { requestDevice } from '../../src/node/device.js';
import { prepareImages } from '../../src/ops/prepare_images.js';
import { image } from '../reference/image.js';

const device = await requestDevice();
test.after(() => {
  device.destroy();
});

// Values up to 255 pass through about ten float32 roundings.
const TOLERANCE = 255 * 16 * 2 ** -24 * 8;

for (const [width, height] of [
  [7, 5],
  [9, 4],
  [20, 12],
] as const) {
  test(`a picture of 13×8 placed as ${width}×${height} equals the reference`, async () => {
    const picture = { width: 13, height: 8, data: Uint8Array.from({ length: 13 * 8 * 4 }, (_, i) => (i * 37) % 256) };
    const mean = [104, 117, 123] as const;
    const std = [1, 2, 3] as const;
    const options = { width: 21, height: 13, order: 'bgr', mean, std } as const;
    const placements = [{ scale: width / 13, width, height }];
    using output = prepareImages(device, [picture], { ...options, placements });
    const expected = image(picture, { size: [13, 21], channelOrder: 'bgr', mean, std, resized: [height, width] });
    const got = await output.read();
    expected.data.forEach((value, i) => {
      assert.ok(Math.abs(got[i]! - value) <= TOLERANCE, `element ${i}: ${got[i]} against ${value}`);
    });
  });
}

test.run();
