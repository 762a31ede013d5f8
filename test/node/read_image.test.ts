// Pictures from wherever a program has them, and what a slip is told.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { test } from 'uvu';
import { Gpu } from '../../src/gpu/gpu.js';
import { decodeImage } from '../../src/node/codecs.js';
import { readImage } from '../../src/node/files.js';
import { decodePicture } from '../../src/node/other_codecs.js';
import { type NodeDeviceOptions, requestDevice } from '../../src/node/device.js';
import { RetinaFace } from '../../src/node/retinaface.js';

const path = fileURLToPath(new URL('../../fixtures/pictures/grey.jpg', import.meta.url));
const address = new URL('../../fixtures/pictures/grey.jpg', import.meta.url);
const bytes = readFileSync(path);

const server = createServer((request, response) => {
  if (request.url === '/face.jpg') response.end(bytes);
  else if (request.url === '/locked.jpg') response.writeHead(403).end();
  else if (request.url === '/busy.jpg') response.writeHead(503).end();
  else response.writeHead(404).end('<!doctype html>');
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const { port } = server.address() as AddressInfo;
test.after(() => {
  server.close();
  server.closeAllConnections();
});

test('a path, an address of a file or of a server, and bytes in every form are one picture', async () => {
  const expected = decodeImage(bytes, 'test');
  const sources = {
    path,
    url: address,
    'file: as text': address.href,
    http: `http://127.0.0.1:${port}/face.jpg`,
    'http as URL': new URL(`http://127.0.0.1:${port}/face.jpg`),
    'data:': `data:image/jpeg;base64,${bytes.toString('base64')}`,
    Buffer: bytes,
    Uint8Array: new Uint8Array(bytes),
    ArrayBuffer: Uint8Array.from(bytes).buffer,
    Blob: new Blob([new Uint8Array(bytes)]),
    File: new File([new Uint8Array(bytes)], 'face.jpg'),
    Response: await fetch(`http://127.0.0.1:${port}/face.jpg`),
    picture: expected,
    "sharp's raw": { data: Buffer.from(expected.data), info: { ...expected, channels: 4 } },
  };
  for (const [name, source] of Object.entries(sources)) {
    assert.deepEqual({ ...(await readImage(source)), data: undefined }, { ...expected, data: undefined }, name);
  }
  using model = await RetinaFace.create();
  const faces = await model.detect(expected, { size: 128, scoreThreshold: 0, maxFaces: 5 });
  sources.Response = await fetch(`http://127.0.0.1:${port}/face.jpg`);
  const all = await model.detect(Object.values(sources), { size: 128, scoreThreshold: 0, maxFaces: 5 });
  assert.notEqual(faces.length, 0);
  for (const [i, name] of Object.keys(sources).entries()) assert.deepEqual(all[i], faces, name);
});

test('what cannot be fetched, and what is no source, is told by its own reason', async () => {
  const slips: readonly (readonly [unknown, string, RegExp])[] = [
    [`http://127.0.0.1:${port}/absent.jpg`, 'FileError', /got HTTP 404 Not Found\. Check the address/],
    [`http://127.0.0.1:${port}/locked.jpg`, 'FileError', /got HTTP 403 Forbidden\. It asks for a login/],
    [`http://127.0.0.1:${port}/busy.jpg`, 'FileError', /got HTTP 503 Service Unavailable\. .*try again later/],
    [await fetch(`http://127.0.0.1:${port}/absent.jpg`), 'FileError', /absent\.jpg: .*HTTP 404/],
    ['http://127.0.0.1:1/x.jpg', 'FileError', /ECONNREFUSED|bad port/],
    ['file://[', 'FileError', /an address as file:\/\/\//],
    [Promise.resolve(path), 'ArgumentError', /got a promise\. Await it/],
    [undefined, 'ArgumentError', /got undefined/],
    [{ data: bytes }, 'ArgumentError', /an object with data/],
    [new ArrayBuffer(0), 'ImageError', /an empty file/],
    [[], 'ArgumentError', /an empty array/],
  ];
  for (const [source, name, message] of slips) await assert.rejects(readImage(source as string), { name, message });
});

test('each file that is no picture is told what to do about it', () => {
  const files: readonly (readonly [string, RegExp])[] = [
    ['', /an empty file\. Save or fetch it again/],
    ['<!doctype html><title>Sign in', /a web page\. Fetch the picture itself/],
    ['version https://git-lfs.github.com/spec/v1\noid sha256:0', /Git LFS pointer.*git lfs pull/],
    ['GIF89a', /a GIF\. Convert it/],
  ];
  for (const [text, message] of files) {
    assert.throws(() => decodeImage(new TextEncoder().encode(text), 'x.jpg'), { name: 'ImageError', message });
  }
});

test('what sharp reads is read through it, upright; without it, it is named', async () => {
  const { width, height, data } = decodeImage(bytes, 'test');
  const drawn = sharp(Buffer.from(data), { raw: { width, height, channels: 4 } }).removeAlpha();
  const files = {
    'a WebP picture': await drawn.clone().webp({ lossless: true }).toBuffer(),
    'a GIF': await drawn.clone().gif().toBuffer(),
    'a TIFF picture': await drawn.clone().tiff({ compression: 'lzw' }).toBuffer(),
    'a HEIC or AVIF picture': await drawn.clone().resize(32, 16).avif().toBuffer(),
  };
  const absent = () => Promise.resolve(undefined);
  for (const [name, file] of Object.entries(files)) {
    const picture = await readImage(file);
    if (!name.includes('AVIF')) assert.deepEqual([picture.width, picture.height], [width, height], name);
    if (/WebP|TIFF/.test(name)) assert.equal(Buffer.from(picture.data).compare(Buffer.from(data)), 0, name);
    const message = new RegExp(
      `package \`sharp\`, which reads others, got ${name}\\. Install it, \`npm install sharp\``,
    );
    await assert.rejects(decodePicture(file, 'x', absent), { name: 'ImageError', message });
  }
  const lying = await drawn.clone().webp({ lossless: true }).withMetadata({ orientation: 6 }).toBuffer();
  const upright = await readImage(lying);
  assert.deepEqual([upright.width, upright.height], [height, width]);
  const cut = files['a WebP picture'].subarray(0, files['a WebP picture'].length / 2);
  await assert.rejects(readImage(cut), { name: 'ImageError', message: /a WebP picture \(.*Convert it to PNG/ });
});

test('a model made in one call owns the device that it opened, and no other', async () => {
  const model = await RetinaFace.create({ weights: 'synthetic', configuration: 'published-mobilenet0.25' });
  const { device } = model.gpu;
  const other = await RetinaFace.create({ device });
  other.dispose();
  assert.ok((await model.detect(path, { size: 64 })).length >= 0);
  const searching = model.detect(await readImage(path), { size: 64 });
  model.dispose();
  await assert.rejects(searching, { name: 'DisposedError' });
  assert.equal((await device.lost).reason, 'destroyed');
  const seen: unknown[] = [];
  const slips: readonly (readonly [object, RegExp])[] = [
    [{ weight: 'faces' }, /Did you mean 'weights'/],
    [{ weights: 'absent.pth' }, /absent\.pth/],
    [{ device: requestDevice() }, /got a promise/],
    [{ configuration: 'none' }, /none/],
    [{ signal: AbortSignal.abort(new Error('enough')) }, /enough/],
  ];
  for (const [options, message] of slips) {
    await assert.rejects(RetinaFace.create(options), (error) => seen.push(error) > 0 && message.test(String(error)));
  }
});

test('a device that was not waited for is named as such, and options that are none', async () => {
  const promise = requestDevice();
  const device = promise as unknown as GPUDevice;
  const message = /expected a GPUDevice, got a promise\. Await it: `await requestDevice\(\)`/;
  assert.throws(() => new RetinaFace(device), { name: 'ArgumentError', message });
  assert.throws(() => Gpu.of(device), { message });
  (await promise).destroy();
  assert.throws(() => new RetinaFace(undefined as unknown as GPUDevice), { message: /got undefined\. Pass what/ });
  const wrong = { defaultLimit: true } as NodeDeviceOptions;
  await assert.rejects(requestDevice(wrong), { name: 'ArgumentError', message: /Did you mean 'defaultLimits'/ });
});

test.run();
