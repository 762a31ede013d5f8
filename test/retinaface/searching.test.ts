// Pictures of any size and number through a device of the least limits, and what a slip is told.
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import { LimitError } from '../../src/gpu/errors.js';
import { Gpu } from '../../src/gpu/gpu.js';
import { applyOrientation, type Orientation } from '../../src/image/exif.js';
import { type Face, iouOf, type Point } from '../../src/image/face.js';
import { turnFaceBack, voteBoxes } from '../../src/image/passes.js';
import type { Picture } from '../../src/image/picture.js';
import { readImage } from '../../src/node/files.js';
import { requestDevice, RetinaFace } from '../../src/node/index.js';
import { type AnyPicture, turnedOnDevice, uploadPicture } from '../../src/ops/device_picture.js';
import { type DetectOptions, detectionOf, type Rotation } from '../../src/retinaface/detect_options.js';
import { Searcher } from '../../src/retinaface/searcher.js';
import { cutTile, mergeTiles, type Tile, tilesOf } from '../../src/retinaface/tiles.js';
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

/** A picture whose pixels are squares of so many. */
function repeated({ data, width, height }: Picture, times: number): Picture {
  const pixels = new Uint32Array(Uint8Array.from(data).buffer);
  const large = new Uint32Array(width * times * height * times);
  const row = new Uint32Array(width * times);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) row.fill(pixels[y * width + x]!, x * times, (x + 1) * times);
    for (let k = 0; k < times; k++) large.set(row, (y * times + k) * row.length);
  }
  return { data: new Uint8Array(large.buffer), width: width * times, height: height * times };
}

test('a picture above the binding limit is searched, with the faces of the same picture shrunk', async () => {
  // 36 megapixels, 144 MB: more than the 128 MiB of a default device. Repeating pixels is what an area mean undoes.
  const times = 9;
  const width = Math.ceil(6000 / times);
  const small = enlarged(scene, width, width);
  const picture = repeated(small, times);
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
  assert.deepEqual([whole!.tiled, tiled.tiled], [false, true]);
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

test('a size that does not fit names the largest that does, and nothing is allocated', async () => {
  let remedy = '';
  // Its input alone takes 4.8 GB.
  await assert.rejects(model.detect(scene, { size: 20_000 }), (error) => {
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

/** Asserts that both lists hold the same faces, in any order: boxes and points within `pixels`. */
function assertSameFaces(actual: readonly Face[], expected: readonly Face[], pixels: number): void {
  const numbers = ({ box, landmarks }: Face): number[] => [
    ...Object.values<number>({ ...box }),
    ...Object.values<Point>({ ...landmarks! }).flatMap(({ x, y }) => [x, y]),
  ];
  assert.equal(actual.length, expected.length);
  for (const face of expected) {
    const same = actual.filter((other) => {
      const theirs = numbers(other);
      return numbers(face).every((value, i) => Math.abs(value - theirs[i]!) <= pixels);
    });
    assert.equal(same.length, 1, JSON.stringify(face));
  }
}

test('a picture that lies on its side or stands on its head has its faces where they are', async () => {
  const [width, height] = [scene.width, scene.height];
  const upright = await model.detect(scene, { size: 192 });
  assert.ok(upright.length >= 2);
  // EXIF's names of pictures that are turned clockwise by one, two and three quarters.
  for (const [quarters, orientation] of [
    [1, 6],
    [2, 3],
    [3, 8],
  ] as const) {
    const turned = applyOrientation(scene, orientation);
    const rotations = [(360 - 90 * quarters) as Rotation];
    const found = await model.detect(turned, { size: 192, rotations });
    const again = found.map((face) => turnFaceBack(face, quarters, { width, height }));
    assertSameFaces(again, upright, 1e-3);
    if (quarters !== 1) continue;
    const all = await model.detect(turned, { size: 192, rotations: [0, 90, 180, 270] });
    for (const face of found) assert.ok(all.some(({ box }) => iouOf(box, face.box) > 0.9));
  }
});

test('pictures on the device are read there: whole, in parts and turned', async () => {
  const picture = enlarged(scene, 300, 200);
  const device = uploadPicture(model.gpu, picture)!;
  const detection = detectionOf({ size: 'original', scoreThreshold: 0.6 });
  using searcher = new Searcher(model.gpu, model.network);
  assert.deepEqual(await searcher.search([device], detection), await searcher.search([picture], detection));
  const inTiles = (each: AnyPicture) => searcher.searchInTiles(each, 256, 128, detection);
  assert.deepEqual(await inTiles(device), await inTiles(picture));
  for (const [quarters, orientation] of [6, 3, 8].entries()) {
    const turned = turnedOnDevice(device, quarters + 1);
    const expected = applyOrientation(picture, orientation as Orientation);
    assert.deepEqual(await searcher.search([turned], detection), await searcher.search([expected], detection));
  }
  device.pixels.dispose();
});

test('several scales and turns are several views of one picture, and a face that many see is one', async () => {
  const options = { size: 192, scoreThreshold: 0.6 } as const;
  // Anchors of a size are kept.
  await model.detect(scene, { ...options, scales: [1, 1.25], rotations: [0, 90] });
  const before = model.gpu.memory();
  const single = await model.detect(scene, options);
  const several = await model.detect([scene, scene], { ...options, scales: [1, 1.25], rotations: [0, 90] });
  assert.deepEqual(several[0], several[1]);
  for (const { box } of single) assert.equal(several[0]!.filter((face) => iouOf(face.box, box) > 0.4).length, 1);
  assert.deepEqual(await model.detect(scene, { ...options, scales: [1], rotations: [0, 0] }), single);
  assert.equal((await model.detect(scene, { ...options, scales: [1, 1.25], maxFaces: 1 })).length, 1);
  assert.equal(model.gpu.memory().bytes, before.bytes);
});

test('a picture beyond 1,280 pixels is searched at 640, too, each look for the faces that it sees best', async () => {
  const [bound, beyond] = [enlarged(scene, 1280, 400), enlarged(scene, 1281, 400)];
  assert.deepEqual(await model.detect(bound), await model.detect(bound, { size: 'original' }));
  const at = (scale: number) => model.detect(beyond, { scales: [scale] });
  const [own, overview] = [await at(1), await at(640 / 1281)];
  const side = ({ box }: Face): number => Math.max(box.x2 - box.x1, box.y2 - box.y1);
  const looks = [...own.filter((face) => side(face) < 192), ...overview.filter((face) => side(face) >= 128)];
  assertSameFaces(await model.detect(beyond), voteBoxes(looks, 0.4), 1e-3);
  assert.deepEqual(await model.detect(beyond, { size: 'original' }), own);
  // One face, six times as large: 750 pixels, where the largest anchor has 512.
  const corner = { x: 440, y: 80, width: 200, height: 240 };
  const { box } = (await model.detect(scene)).find(({ box: { x1, y2 } }) => x1 > corner.x && y2 < 300)!;
  const [left, top] = [6 * (box.x1 - corner.x), 6 * (box.y1 - corner.y)];
  const expected = { x1: left, y1: top, x2: left + 6 * (box.x2 - box.x1), y2: top + 6 * (box.y2 - box.y1) };
  const portrait = repeated(cutTile(scene, corner) as Picture, 6);
  const [face, ...others] = await model.detect(portrait);
  assert.equal(others.length, 0);
  assert.ok(iouOf(face!.box, expected) > 0.7);
});

test('a signal ends a search with its reason, and harms no other', async () => {
  const expected = await model.detect(scene, { size: 192 });
  const { bytes } = model.gpu.memory();
  const controller = new AbortController();
  const reason = new Error('enough');
  const stopped = model.detect(scene, { size: 192, scales: [1, 1.25], signal: controller.signal });
  const other = model.detect(scene, { size: 192, signal: new AbortController().signal });
  controller.abort(reason);
  await assert.rejects(stopped, (error) => error === reason);
  await assert.rejects(model.detect(scene, { signal: controller.signal }), (error) => error === reason);
  assert.deepEqual(await other, expected);
  assert.deepEqual(await model.detect(scene, { size: 192 }), expected);
  assert.equal(model.gpu.memory().bytes, bytes);
});

test('unknown options, and values of another type, are errors that say what was meant', async () => {
  const slips: readonly (readonly [unknown, RegExp])[] = [
    [{ threshold: 0.9 }, /got 'threshold'\. Did you mean 'scoreThreshold'\?/],
    [{ colour: 1 }, /expected options of scoreThreshold, .*got 'colour'/],
    [{ size: '640' }, /size to be 'original', a whole number of 16 to .*, got '640'/],
    [{ size: 1e9 }, /size to be .*got 1000000000/],
    [{ size: null }, /got null/],
    [{ size: { width: 640 } }, /height to be a number, got undefined/],
    [{ scoreThreshold: null }, /scoreThreshold to be a number, got null/],
    [{ scoreThreshold: '0.5' }, /got '0.5'/],
    [{ scales: [] }, /scales to be factors above 0 and at most 16, got \[\]/],
    [{ scales: [1, '2'] }, /got \[1,"2"\]/],
    [{ rotations: [45] }, /rotations to be some of 0, 90, 180, 270, got \[45\]/],
    [{ rotation: [90] }, /Did you mean 'rotations'/],
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
    [Buffer.from('x'), /expected a PNG or JPEG picture, got a text file/],
    ['photo.jpg', /FileError: read picture from photo.jpg: .*ENOENT.*Check the path/],
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
