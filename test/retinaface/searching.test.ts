// Pictures of any size and number through a device of the least limits, and what a slip is told.
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import { LimitError } from '../../src/gpu/errors.js';
import { Gpu } from '../../src/gpu/gpu.js';
import { iouOf } from '../../src/image/face.js';
import type { Picture } from '../../src/image/picture.js';
import { readImage } from '../../src/node/files.js';
import { requestDevice, RetinaFace } from '../../src/node/index.js';
import { type DetectOptions, detectionOf } from '../../src/retinaface/detect_options.js';
import { Searcher } from '../../src/retinaface/searcher.js';
import { mergeTiles, type Tile, tilesOf } from '../../src/retinaface/tiles.js';
import { testDevice as device } from '../helpers/device.js';

const model = new RetinaFace(device);
await model.load();
const scene = await readImage(fileURLToPath(new URL('../../fixtures/pictures/scene_1.jpg', import.meta.url)));

/** A picture with another in its corner, as far as it fits, grey elsewhere. */
function enlarged(inner: Picture, width: number, height: number): Picture {
  const data = new Uint8Array(width * height * 4).fill(128);
  for (let y = 0; y < Math.min(height, inner.height); y++) {
    const row = inner.data.subarray(y * inner.width * 4, (y * inner.width + Math.min(width, inner.width)) * 4);
    data.set(row, y * width * 4);
  }
  return { data, width, height };
}

test('a picture above the binding limit is searched, with the faces of the same picture shrunk', async () => {
  // 36 megapixels, 144 MB: more than the 128 MiB of a default device. Repeating pixels is what an area mean undoes.
  const times = 9;
  const [width, height] = [Math.ceil(6000 / times), Math.ceil(6000 / times)];
  const small = enlarged(scene, width, height);
  const large = new Uint32Array(width * times * height * times);
  const pixels = new Uint32Array(Uint8Array.from(small.data).buffer);
  const row = new Uint32Array(width * times);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) row.fill(pixels[y * width + x]!, x * times, (x + 1) * times);
    for (let k = 0; k < times; k++) large.set(row, (y * times + k) * row.length);
  }
  const picture = { data: new Uint8Array(large.buffer), width: width * times, height: height * times };
  const least = await requestDevice({ defaultLimits: true });
  const modest = new RetinaFace(least);
  await modest.load();
  assert.ok(picture.data.length > least.limits.maxStorageBufferBindingSize);
  const faces = await modest.detect(picture, { size: width });
  const expected = await modest.detect(small, { size: width });
  modest.dispose();
  least.destroy();
  assert.ok(expected.length > 0);
  assert.equal(faces.length, expected.length);
  for (const [i, { score, box }] of faces.entries()) {
    assert.ok(Math.abs(score - expected[i]!.score) < 1e-3);
    assert.ok(Math.abs(box.x1 / times - expected[i]!.box.x1) < 0.1);
  }
});

test('tiles cover a picture, each centre is in one core at least, and a face as large as the overlap is whole in its tile', () => {
  for (const [width, height] of [
    [100, 50],
    [1280, 1280],
    [1281, 3000],
    [5000, 640],
  ] as const) {
    const [side, overlap] = [640, 192];
    const tiles = tilesOf({ width, height }, side, overlap);
    for (const { x, y, ...tile } of tiles) {
      assert.equal((x % 64) + (y % 64), 0);
      assert.ok(x + tile.width <= width && y + tile.height <= height && tile.width <= side && tile.height <= side);
    }
    for (let x = 1; x < width; x += 37) {
      for (let y = 1; y < height; y += 41) {
        const inCore = ({ core }: Tile): boolean => x >= core.x[0] && x < core.x[1] && y >= core.y[0] && y < core.y[1];
        const owners = tiles.filter(inCore);
        assert.ok(owners.length >= 1, `${x}, ${y}`);
        const half = overlap / 2 - 16;
        for (const tile of owners) {
          assert.ok(tile.x === 0 || x - half >= tile.x);
          assert.ok(tile.x + tile.width === width || x + half <= tile.x + tile.width);
        }
      }
    }
  }
});

test('a face that two tiles find is one face, the better one', () => {
  const [left, right] = tilesOf({ width: 1000, height: 100 }, 640, 192);
  const face = (score: number, x: number) => ({ score, box: { x1: x - 20, y1: 10, x2: x + 20, y2: 60 } });
  const border = right!.x + 96;
  const merged = mergeTiles(
    [
      { tile: left!, faces: [face(0.9, border - 3), face(0.8, 30)] },
      { tile: right!, faces: [face(0.95, border - right!.x + 2), face(0.7, 10)] },
    ],
    0.4,
  );
  assert.deepEqual(
    merged.map(({ score }) => score),
    [0.95, 0.8],
  );
  assert.equal(merged[0]!.box.x1, border + 2 - 20);
});

test('a picture that is searched in tiles has the faces that it has as a whole', async () => {
  const picture = enlarged(scene, 640, 480);
  // Near the threshold, the zeros beside a tile decide.
  const detection = detectionOf({ size: 'original', scoreThreshold: 0.6 });
  using searcher = new Searcher(model.gpu, model.network);
  const [whole] = await searcher.search([picture], detection);
  const tiled = await searcher.searchInTiles(picture, 384, 256, detection);
  assert.ok(whole!.faces.length > 0);
  assert.equal(tiled.faces.length, whole!.faces.length);
  for (const face of whole!.faces) {
    assert.ok(
      tiled.faces.some((other) => iouOf(face.box, other.box) > 0.9 && Math.abs(face.score - other.score) < 0.05),
    );
  }
});

test('many pictures are searched in passes that fit the device, in order; each as it is alone', async () => {
  const pictures = Array.from({ length: 5 }, (_, i) => enlarged(scene, 100 + 40 * i, 250 - 3 * i));
  const detection = detectionOf({ size: 256 });
  using generous = new Searcher(model.gpu, model.network);
  const before = model.gpu.counters().reads;
  const together = await generous.search(pictures, detection);
  assert.equal(model.gpu.counters().reads - before, 1);
  // A pass over three takes 10 MB.
  using sparing = new Searcher(model.gpu, model.network, 8e6);
  assert.deepEqual(await sparing.search(pictures, detection), together);
  const passes = model.gpu.counters().reads - before - 1;
  assert.ok(passes === 3 || passes === 5, `${passes} passes`);
  for (const [i, { faces }] of together.entries()) {
    assert.deepEqual(faces, await model.detect(pictures[i]!, { size: 256 }));
  }
});

test('a search of a size that was searched before makes no bind group and no buffer, and finds the same, bit for bit', async () => {
  const gpu = Gpu.of(device);
  const search = async (options: DetectOptions = {}) => {
    const before = gpu.counters();
    const faces = await model.detect(scene, { size: 192, scoreThreshold: 0.1, ...options });
    const { dispatches, bindGroups, buffers } = gpu.counters();
    const made = { bindGroups: bindGroups - before.bindGroups, buffers: buffers - before.buffers };
    return { faces, made, dispatches: dispatches - before.dispatches };
  };
  const encoded = await search();
  const recorded = await search();
  const replayed = await search();
  const again = await search();
  assert.ok(encoded.faces.length > 0);
  for (const { faces, dispatches } of [recorded, replayed, again]) {
    assert.deepEqual(faces, encoded.faces);
    assert.equal(dispatches, encoded.dispatches);
  }
  assert.deepEqual(again.made, { bindGroups: 0, buffers: 0 });
  // What stands in the key of a plan is not carried over; nor are pixels.
  const fewer = await search({ scoreThreshold: encoded.faces[1]!.score });
  assert.equal(fewer.faces.length, 1);
  const blank = { data: new Uint8Array(scene.width * scene.height * 4), width: scene.width, height: scene.height };
  assert.deepEqual(await model.detect(blank, { size: 192 }), []);
  // Two searches at once share a plan, one after the other.
  const [one, other] = await Promise.all([search(), search()]);
  assert.deepEqual([one.faces, other.faces], [encoded.faces, encoded.faces]);
  // Memory that went back to the device is found anew.
  gpu.trim();
  assert.deepEqual((await search()).faces, encoded.faces);
});

test('weights that are loaded after searches are those that search', async () => {
  const other = new RetinaFace(device);
  await other.load('synthetic');
  const options = { size: 192, scoreThreshold: 0.1 };
  const expected = await other.detect(scene, options);
  await other.load();
  for (let i = 0; i < 3; i++) await other.detect(scene, options);
  await other.load('synthetic');
  for (let i = 0; i < 3; i++) assert.deepEqual(await other.detect(scene, options), expected);
  other.dispose();
});

test('a size that does not fit names one that does, and that one is searched', async () => {
  let remedy = '';
  await assert.rejects(model.detect(scene, { size: 8000 }), (error) => {
    assert.ok(error instanceof LimitError);
    ({ remedy } = error);
    return true;
  });
  const [, size] = /size: (\d+) \(--size \1\)/.exec(remedy) ?? [];
  assert.ok(Number(size) >= 1280, remedy);
  using searcher = new Searcher(model.gpu, model.network);
  // One more step does not fit.
  await assert.rejects(searcher.search([scene], detectionOf({ size: Number(size) + 64 })), LimitError);
  const bytes = Gpu.of(device).memory().bytes;
  await assert.rejects(model.detect(scene, { size: 32_000 }), LimitError);
  assert.equal(Gpu.of(device).memory().bytes, bytes);
});

test('more faces than are wanted are told', async () => {
  const cut: number[] = [];
  const onCut = (index: number): void => void cut.push(index);
  const all = await model.detect(scene, { scoreThreshold: 0.02, onCut });
  assert.deepEqual(cut, []);
  assert.ok(all.length > 2);
  const some = await model.detect([enlarged(scene, 30, 30), scene], {
    scoreThreshold: 0.02,
    maxFaces: all.length - 1,
    onCut,
    size: 'original',
  });
  assert.ok(some[1]!.length <= all.length - 1);
  assert.ok(cut.some((index) => index === 1));
});

test('unknown options, and values of another type, are errors that say what was meant', async () => {
  const slips: readonly (readonly [unknown, RegExp])[] = [
    [{ threshold: 0.9 }, /got 'threshold'\. Did you mean 'scoreThreshold'\?/],
    [{ colour: 1 }, /expected options of scoreThreshold, .*got 'colour'/],
    [{ size: '640' }, /size to be 'original', a whole number of 16 to .*, got '640'/],
    [{ size: 1e9 }, /size to be .*got 1000000000/],
    [{ size: null }, /got null/],
    [{ size: { width: 640 } }, /got 'undefined×|640×undefined/],
    [{ scoreThreshold: null }, /scoreThreshold to be a number, got null/],
    [{ scoreThreshold: '0.5' }, /got '0.5'/],
    [{ topK: 40_000 }, /topK to be a whole number of 1 to 32,768/],
    ['x', /options as an object of .*, got 'x'/],
    [null, /got null/],
  ];
  for (const [options, message] of slips) {
    await assert.rejects(
      model.detect(scene, options as DetectOptions),
      (error) => error instanceof Error && error.name === 'ArgumentError' && message.test(error.message),
      JSON.stringify(options),
    );
  }
  const same = await model.detect(scene, { scoreThreshold: undefined, size: undefined } as unknown as DetectOptions);
  assert.deepEqual(same, await model.detect(scene));
});

test('what is no picture is told what to write instead; of several, which', async () => {
  const { data, width, height } = scene;
  const slips: readonly (readonly [unknown, RegExp])[] = [
    [readImage('a.jpg').catch(() => undefined), /got a promise\. Await it/],
    [Buffer.from('x'), /got a Buffer of 1 elements\. Decode it first: `await readImage/],
    ['photo.jpg', /got 'photo.jpg'\. Decode it first/],
    [undefined, /got undefined/],
    [{ data: null, width: 2, height: 2 }, /data as a Uint8Array of 16 .* got null/],
    [{ data, width: 0, height: 0 }, /got 0×0\. There is nothing in it/],
    [[scene, { data, width, height: height + 1 }], /detect, picture 1 of the array: expected data/],
    [[scene, [scene]], /picture 1 of the array: .*an array of 1\. Pass one picture/],
  ];
  for (const [picture, message] of slips) {
    await assert.rejects(model.detect(picture as Picture), (error) => {
      assert.match(String(error), message);
      return true;
    });
  }
  const raw = { data: Buffer.from(data), info: { width, height, channels: 4 } };
  assert.deepEqual(await model.detect(raw as unknown as Picture), await model.detect(scene));
});

test.run();
