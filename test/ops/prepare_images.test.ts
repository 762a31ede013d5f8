import assert from 'node:assert/strict';
import { test } from 'uvu';
import { LimitError } from '../../src/gpu/errors.js';
import { prepareImages, prepareImagesBy } from '../../src/ops/prepare_images.js';
import { testDevice as device } from '../helpers/device.js';
import { areaMean, image } from '../reference/image.js';

// Values up to 255 pass through about ten float32 roundings.
const TOLERANCE = 255 * 16 * 2 ** -24 * 8;
const NORMALISED = { mean: [104, 117, 123], std: [1, 2, 3] } as const;

/** A picture whose pixels differ from all around them. */
const picture = (width: number, height: number) => ({
  width,
  height,
  data: Uint8Array.from({ length: width * height * 4 }, (_, i) => (i * 37 + (i >> 6) * 11) % 256),
});

function assertClose(got: ArrayLike<number>, expected: ArrayLike<number>): void {
  assert.equal(got.length, expected.length);
  for (let i = 0; i < expected.length; i++) {
    assert.ok(Math.abs(got[i]! - expected[i]!) <= TOLERANCE, `element ${i}: ${got[i]} against ${expected[i]}`);
  }
}

for (const [width, height] of [
  [7, 5],
  [9, 4],
  [20, 12],
] as const) {
  test(`a picture of 13×8 placed as ${width}×${height} equals the reference`, async () => {
    const options = { width: 21, height: 13, order: 'bgr', ...NORMALISED } as const;
    const source = picture(13, 8);
    using output = prepareImages(device, [source], { ...options, placements: [{ scale: width / 13, width, height }] });
    const resized = [height, width] as const;
    assertClose(
      await output.read(),
      image(source, { size: [13, 21], channelOrder: 'bgr', ...NORMALISED, resized }).data,
    );
  });
}

for (const [width, height, toWidth, toHeight] of [
  [1312, 3, 328, 1], // Four source pixels each: a quotient of floats may begin one early.
  [13, 29, 3, 7],
  [1000, 7, 333, 2],
] as const) {
  test(`a picture of ${width}×${height} shrunk to ${toWidth}×${toHeight} is the mean of the pixels that each covers`, async () => {
    const source = picture(width, height);
    const placements = [{ scale: toWidth / width, width: toWidth, height: toHeight }];
    const options = { width: toWidth + 2, height: toHeight + 1, order: 'rgb', ...NORMALISED } as const;
    using output = prepareImages(device, [source], { ...options, placements });
    const expected = areaMean(source, { ...options, channelOrder: 'rgb', resized: [toHeight, toWidth] });
    assertClose(await output.read(), expected.data);
  });
}

for (const [name, toWidth, toHeight] of [
  ['enlarged', 41, 73],
  ['a little smaller', 19, 33],
  ['shrunk', 7, 12],
] as const) {
  test(`a picture that comes in bands, ${name}, is the same to the bit`, async () => {
    const sources = [picture(23, 41), picture(20, 37)];
    const placements = sources.map(() => ({ scale: toWidth / 23, width: toWidth, height: toHeight }));
    const options = { width: toWidth + 1, height: toHeight + 3, order: 'bgr', ...NORMALISED, placements } as const;
    using whole = prepareImages(device, sources, options);
    using parts = prepareImagesBy(23 * 4 * 9, device, sources, options);
    assert.deepEqual(await parts.read(), await whole.read());
  });
}

test('one row of a result that is made of more than the device holds is refused', () => {
  const source = picture(4, 64);
  const options = { width: 1, height: 2, order: 'rgb', ...NORMALISED } as const;
  const placements = [{ scale: 1 / 32, width: 1, height: 2 }];
  assert.throws(() => prepareImagesBy(200, device, [source], { ...options, placements }), LimitError);
});

test.run();
