import assert from 'node:assert/strict';
import { test } from 'uvu';
import { readWeights } from '../../src/weights/read.js';
import { writeSafetensors } from '../../src/weights/safetensors.js';
import { bytesOf, dict, f32, legacyFile, pickle, refuses, tensor, zipArchive } from './torch_files.js';

const object = dict({ 'module.a': tensor({ key: '0', elements: 2, shape: [2], strides: [1] }) });
const one = { shape: [2], data: Float32Array.of(1, 2) };

test('every format is told by its first bytes', async () => {
  const files = {
    safetensors: writeSafetensors(new Map([['module.a', one], ['module.num_batches_tracked', one]])), // prettier-ignore
    legacy: legacyFile(object, [['0', 2, f32(1, 2)]]),
    zip: zipArchive([
      { name: 'archive/data.pkl', content: pickle(object) },
      { name: 'archive/data/0', content: f32(1, 2) },
    ]),
  };
  for (const [format, file] of Object.entries(files)) {
    assert.deepEqual([...(await readWeights(file, 'x'))], [['a', one]], format);
    // A view at an odd offset, as a Node Buffer from its pool is.
    const shifted = Buffer.concat([Buffer.of(0), file]).subarray(1);
    assert.deepEqual([...(await readWeights(shifted, 'x'))], [['a', one]], format);
  }
});

test('the text of protocol 1 is recognised as a PyTorch file', async () => {
  await refuses(() => readWeights(bytesOf('L119547037146038801333356L\n.'), 'x'), /more bytes at byte/);
});

test('anything else is refused with what it looks like', async () => {
  const cases: [Uint8Array, RegExp][] = [
    [new Uint8Array(), /an empty file.*Fetch/],
    [bytesOf(0xff, 0xd8, 0xff, 0xe0, 'JFIF'), /a JPEG picture/],
    [bytesOf(0x89, 'PNG\r\n', 0x1a, '\n'), /a PNG picture/],
    [bytesOf('RIFF', 0, 0, 0, 0, 'WEBP'), /a WebP picture/],
    [bytesOf('\n <!DOCTYPE html><html>'), /an HTML page.*login/],
    [bytesOf(0xef, 0xbb, 0xbf, '<html lang="en">'), /an HTML page/],
    [bytesOf('<?xml version="1.0"?><Error>'), /an XML document/],
    [bytesOf('version https://git-lfs.github.com/spec/v1\noid sha256:0'), /a Git LFS pointer.*git lfs pull/],
    [bytesOf('{"error": "not found"}'), /a JSON document/],
    [bytesOf(0x1f, 0x8b, 8, 0), /a gzip archive/],
    [bytesOf(new Uint8Array(257).fill(97), 'ustar'), /a tar archive/],
    [bytesOf(0x89, 'HDF\r\n', 0x1a), /an HDF5/],
    [bytesOf(8, 4, 0x12, 7, 'pytorch'), /an ONNX model/],
    [bytesOf(1, 2, 3), /3 bytes that start with 01 02 03/],
  ];
  for (const [bytes, message] of cases) await refuses(() => readWeights(bytes, 'face.pth'), message);
});

test.run();
