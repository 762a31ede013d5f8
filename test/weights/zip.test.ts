import assert from 'node:assert/strict';
import { test } from 'uvu';
import { crc32, ZipReader } from '../../src/weights/zip.js';
import type { ZipFile } from './torch_files.js';
import { bytesOf, refuses, zipArchive } from './torch_files.js';

const content = bytesOf('tensor '.repeat(40));

async function readFirst(bytes: Uint8Array): Promise<Uint8Array> {
  const zip = new ZipReader(bytes, 'x.pth');
  return zip.read([...zip.entries.values()][0]!);
}

test('the checksum is the CRC-32 of zip', () => {
  assert.equal(crc32(bytesOf('123456789')), 0xcbf43926);
  assert.equal(crc32(new Uint8Array()), 0);
});

test('stored and deflated files are read, in plain archives and in zip64', async () => {
  for (const zip64 of [false, true]) {
    const zip = new ZipReader(
      zipArchive(
        [
          { name: 'a/stored', content },
          { name: 'a/deflated', content, deflate: true },
          { name: 'a/empty', content: new Uint8Array() },
        ],
        zip64,
      ),
      'x.pth',
    );
    assert.deepEqual([...zip.entries.keys()], ['a/stored', 'a/deflated', 'a/empty']);
    assert.deepEqual(await zip.read(zip.entries.get('a/stored')!), content);
    assert.equal(zip.inflatedBytes, 0);
    assert.deepEqual(await zip.read(zip.entries.get('a/deflated')!), content);
    assert.equal(zip.inflatedBytes, content.length);
    assert.equal((await zip.read(zip.entries.get('a/empty')!)).length, 0);
  }
});

test('an archive with a comment is read, and one with bytes after it is not', async () => {
  const plain = zipArchive([{ name: 'a', content }]);
  plain[plain.length - 2] = 2;
  assert.deepEqual(await readFirst(bytesOf(plain, 'ok')), content);
  await refuses(() => readFirst(plain), /directory at the end/);
});

test('what the directory claims must be true', async () => {
  const cases: [string, ZipFile['claims'], boolean, RegExp][] = [
    ['another checksum', { crc: 1 }, false, /checksum that the archive gives/],
    ['another checksum, deflated', { crc: 1 }, true, /inflated from a/],
    ['a smaller size', { bytes: 10 }, true, /10 bytes inflated from a/],
    ['a greater size', { bytes: 1000 }, true, /1000 bytes inflated from a/],
    ['an absurd size', { bytes: 0xfffffff0 }, true, /at most 1073741824 inflated bytes/],
    ['a size beyond what deflate reaches', { bytes: 100_000_000 }, true, /100000000 from/],
    ['a stored size', { bytes: 10 }, false, /10 stored bytes/],
    ['data beyond the file', { compressed: 100_000, bytes: 100_000 }, false, /100000 more bytes/],
    ['truncated data', { compressed: 10 }, true, /inflated from a/],
    ['an offset beyond the file', { offset: 100_000 }, false, /100000 more bytes/],
    ['an offset of something else', { offset: 4 }, false, /a local header/],
    ['encryption', { flags: 1 }, false, /not encrypted/],
    ['another method', { method: 14 }, false, /compression method 14/],
  ];
  for (const [name, claims, deflate, message] of cases) {
    await refuses(
      () => readFirst(zipArchive([{ name: 'a', content, deflate, ...(claims && { claims }) }])),
      message,
      name,
    );
  }
});

test('two files of one name, and a name that differs between the headers, are refused', async () => {
  await refuses(() => readFirst(zipArchive([{ name: 'a', content }, { name: 'a', content }])), /a twice/); // prettier-ignore
  const archive = zipArchive([{ name: 'a', content }]);
  archive[30] = 'b'.charCodeAt(0);
  await refuses(() => readFirst(archive), /same name in both headers/);
});

test.run();
