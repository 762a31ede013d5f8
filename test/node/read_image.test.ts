// Pictures from wherever a program has them, and what a slip is told.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import { Gpu } from '../../src/gpu/gpu.js';
import { decodeImage } from '../../src/node/codecs.js';
import { readImage } from '../../src/node/files.js';
import { type NodeDeviceOptions, requestDevice } from '../../src/node/device.js';
import { RetinaFace } from '../../src/node/retinaface.js';

const path = fileURLToPath(new URL('../../fixtures/pictures/grey.jpg', import.meta.url));
const address = new URL('../../fixtures/pictures/grey.jpg', import.meta.url);
const bytes = readFileSync(path);

const server = createServer((request, response) => {
  if (request.url === '/face.jpg') response.end(bytes);
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
  };
  for (const [name, source] of Object.entries(sources)) assert.deepEqual(await readImage(source), expected, name);
});

test('what cannot be fetched, and what is no source, is told by its own reason', async () => {
  const slips: readonly (readonly [unknown, string, RegExp])[] = [
    [`http://127.0.0.1:${port}/absent.jpg`, 'FileError', /got HTTP 404 Not Found\. Check the address/],
    ['http://127.0.0.1:1/x.jpg', 'FileError', /ECONNREFUSED|bad port/],
    ['file://[', 'FileError', /an address as file:\/\/\//],
    [Promise.resolve(path), 'ArgumentError', /got a promise\. Await it/],
    [undefined, 'ArgumentError', /got undefined/],
    [{ data: bytes }, 'ArgumentError', /an object with data/],
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
