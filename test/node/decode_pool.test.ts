import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'uvu';
import { ImageError } from '../../src/gpu/errors.js';
import { decodeImage, encodePng, imageSize } from '../../src/node/codecs.js';
import { DecodePool } from '../../src/node/decode_pool.js';
import type { BytesJob } from '../../src/node/decode_worker.js';
import { drawnPicture } from '../helpers/drawn_picture.js';

const photograph = new Uint8Array(await readFile(new URL('../../fixtures/pictures/scene_2.jpg', import.meta.url)));

const job = (bytes: Uint8Array, maxPixels = 2 ** 24): BytesJob => ({
  kind: 'bytes',
  bytes: Uint8Array.from(bytes),
  name: 'a picture',
  maxPixels,
});

/** A PNG's header that claims a size, and nothing behind it. */
function claimed(width: number, height: number): Uint8Array {
  const bytes = Uint8Array.from(encodePng({ data: new Uint8Array(4), width: 1, height: 1 }));
  const view = new DataView(bytes.buffer);
  view.setUint32(16, width);
  view.setUint32(20, height);
  return bytes;
}

test('a header tells the size that is decoded', () => {
  const { width, height } = decodeImage(photograph, 'it');
  assert.deepEqual(imageSize(photograph, 'it'), { width, height });
  assert.deepEqual(imageSize(claimed(60_000, 60_000), 'it'), { width: 60_000, height: 60_000 });
  assert.throws(() => imageSize(new Uint8Array(40), 'it'), ImageError);
});

for (const threads of [0, 1]) {
  test(`bytes become pictures, or say why not, in ${threads === 0 ? 'this thread' : 'another'}`, async () => {
    const pool = new DecodePool(threads);
    const expected = decodeImage(photograph, 'a picture');
    const found = await pool.run(job(photograph));
    assert.ok(found.kind === 'picture' && Buffer.compare(found.data, Buffer.from(expected.data)) === 0);
    const why = async (each: BytesJob) => {
      const result = await pool.run(each);
      assert.ok(result.kind === 'unreadable' && result.problem && result.message.includes(result.problem.remedy));
      return result.why;
    };
    assert.equal(await why(job(new TextEncoder().encode('GIF89a'))), 'format');
    assert.equal(await why(job(photograph.subarray(0, 20))), 'damage');
    assert.equal(await why(job(claimed(60_000, 60_000))), 'pixels');
    assert.equal(await why(job(photograph, expected.width * expected.height - 1)), 'pixels');
    await pool.close();
    await assert.rejects(pool.run(job(photograph)), /threads that are open/);
  });
}

test('faces are cut out; one without landmarks has no file', async () => {
  const pool = new DecodePool(1);
  const landmarks = {
    leftEye: { x: 20, y: 20 },
    rightEye: { x: 40, y: 20 },
    nose: { x: 30, y: 30 },
    leftMouth: { x: 22, y: 40 },
    rightMouth: { x: 38, y: 40 },
  };
  const face = { score: 1, box: { x1: 10, y1: 10, x2: 50, y2: 50 } };
  const picture = drawnPicture(64, 64);
  const data = Uint8Array.from(picture.data);
  const { files } = await pool.run({
    kind: 'align',
    picture: { ...picture, data },
    faces: [{ ...face, landmarks }, face],
    size: 32,
    format: 'png',
  });
  assert.deepEqual(imageSize(files[0]!, 'a face'), { width: 32, height: 32 });
  assert.equal(files[1], undefined);
  await pool.close();
});

test('a picture that takes too long fails, and the next one has a thread of its own', async () => {
  const pool = new DecodePool(1);
  // A thread takes longer than that to start.
  await assert.rejects(pool.run(job(photograph), { timeout: 1 }), /a picture that takes at most 0\.001 s/);
  assert.equal((await pool.run(job(photograph))).kind, 'picture');
  await pool.close();
});

test('a job that is taken back is not done', async () => {
  const pool = new DecodePool(1);
  const abort = new AbortController();
  const first = pool.run(job(photograph));
  const second = pool.run(job(photograph), { signal: abort.signal });
  const third = pool.run(job(photograph));
  abort.abort(new RangeError('no longer wanted'));
  await assert.rejects(second, RangeError);
  assert.deepEqual([(await first).kind, (await third).kind], ['picture', 'picture']);
  await assert.rejects(pool.run(job(photograph), { signal: abort.signal }), RangeError);
  await pool.close();
});

test('what breaks a thread down fails its own job alone', async () => {
  const pool = new DecodePool(1);
  const nonsense = { ...job(photograph), kind: 'align', picture: { data: new Uint8Array(4) } };
  const broken = pool.run(nonsense as unknown as BytesJob);
  const next = pool.run(job(photograph));
  await assert.rejects(broken, TypeError);
  assert.equal((await next).kind, 'picture');
  await pool.close();
});

test.run();
