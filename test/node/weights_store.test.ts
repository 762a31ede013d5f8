// Public weights by name: fetched once, kept whole, checked each time. A server of this machine stands for the public ones.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { test } from 'uvu';
import { cacheFolder, offlineReason, weightsStore } from '../../src/node/weights_store.js';
import type { PublicWeights } from '../../src/weights/catalogue.js';
import { fetchWeights, type FetchWeightsOptions } from '../../src/weights/fetch_weights.js';
import { type Answer, fileServer } from '../helpers/file_server.js';

const file = Uint8Array.from({ length: 70_000 }, (_, i) => (i * 11) % 253);
const root = await mkdtemp(join(tmpdir(), 'weights-'));
test.after(() => rm(root, { recursive: true }));
let folders = 0;

function weightsAt(...addresses: readonly string[]): PublicWeights {
  return {
    name: 'test',
    file: 'test.pth',
    addresses,
    bytes: file.length,
    sha256: createHash('sha256').update(file).digest('hex'),
    licence: 'none',
    source: 'this test',
    configuration: 'context',
    precision: [0, 0, 0],
    protocol: 'none',
  };
}

/** A server that gives the file, and an empty cache folder. */
async function setting(answer: Answer = (response) => response.end(file)) {
  const server = await fileServer({ '/test.pth': answer });
  const folder = join(root, String(folders++));
  const weights = weightsAt(`${server.origin}/test.pth`);
  const store = weightsStore(folder);
  const path = join(folder, 'weights', 'test.pth');
  const get = (options: FetchWeightsOptions = {}) => fetchWeights(weights, store, { patience: 5000, ...options });
  return { server, folder, weights, store, path, get, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

test('the cache lies where each platform keeps what can be fetched again', () => {
  const home = '/home/a';
  assert.equal(cacheFolder({}, 'linux', home), '/home/a/.cache/retinaface-webgpu');
  assert.equal(cacheFolder({ XDG_CACHE_HOME: '/var/c' }, 'linux', home), '/var/c/retinaface-webgpu');
  assert.equal(cacheFolder({ XDG_CACHE_HOME: 'c' }, 'linux', home), '/home/a/.cache/retinaface-webgpu');
  assert.equal(cacheFolder({ XDG_CACHE_HOME: '/c' }, 'darwin', home), '/home/a/Library/Caches/retinaface-webgpu');
  assert.match(cacheFolder({ LOCALAPPDATA: 'L' }, 'win32', home), /^L.retinaface-webgpu.Cache$/);
  assert.match(cacheFolder({}, 'win32', home), /AppData.Local.retinaface-webgpu.Cache$/);
});

test('weights are fetched once, and kept whole under their own name', async () => {
  await using at = await setting();
  const { server, path, get } = at;
  const first = await get();
  assert.deepEqual([first.bytes, first.kept], [file, false]);
  assert.deepEqual(new Uint8Array(await readFile(path)), file);
  assert.deepEqual(await readdir(dirname(path)), ['test.pth']);
  const progress: number[] = [];
  const second = await get({ onProgress: ({ loaded }) => progress.push(loaded) });
  assert.deepEqual([second.bytes, second.kept], [file, true]);
  assert.deepEqual(progress, [file.length]);
  assert.deepEqual(server.asked, ['/test.pth']);
});

test('a kept file that is damaged is fetched again', async () => {
  await using at = await setting();
  const { path, get } = at;
  await get();
  for (const damage of [file.subarray(0, 100), Uint8Array.from(file).fill(0, 500, 501)]) {
    await writeFile(path, damage);
    assert.deepEqual((await get()).kept, false);
    assert.deepEqual(new Uint8Array(await readFile(path)), file);
  }
});

test('what is wrong is never kept', async () => {
  await using at = await setting((response) => response.end('<!doctype html>'));
  const { folder, get } = at;
  await assert.rejects(get(), { name: 'WeightsError', message: /an HTML page/ });
  await assert.rejects(readdir(folder), { code: 'ENOENT' });
});

test('the next address is asked where one fails, and all that failed are told with where to put the file', async () => {
  await using at = await setting();
  const { server, store, path } = at;
  const broken = `${server.origin}/gone`;
  assert.deepEqual((await fetchWeights(weightsAt(broken, `${server.origin}/test.pth`), store)).bytes, file);
  await rm(path);
  await assert.rejects(fetchWeights(weightsAt(broken, 'http://127.0.0.1:1/x'), store), {
    name: 'WeightsError',
    message: new RegExp(
      `/gone: HTTP 404 .*127\\.0\\.0\\.1:1/x: .*Fetch ${broken} .*put it at ${path}: it is found there`,
    ),
  });
});

test('offline, a file that was put there by hand is found and checked', async () => {
  await using at = await setting();
  const { server, path, get } = at;
  const offline = offlineReason({ RETINAFACE_OFFLINE: '1' });
  assert.equal(offlineReason({}), undefined);
  assert.equal(offlineReason({ RETINAFACE_OFFLINE: '0' }), undefined);
  await assert.rejects(get({ offline }), { message: new RegExp(`RETINAFACE_OFFLINE=1.*put it at ${path}`) });
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, 'version https://git-lfs.github.com/spec/v1\n');
  await assert.rejects(get({ offline }), { message: /a Git LFS pointer where a file of 70000 bytes was kept/ });
  await writeFile(path, file);
  assert.equal((await get({ offline })).kept, true);
  assert.deepEqual(server.asked, [], 'nothing was asked for');
});

test('where nothing can be kept, the weights are there all the same, and why is told', async () => {
  await using at = await setting();
  const { weights } = at;
  const blocked = join(root, 'blocked');
  await writeFile(blocked, 'a file where the folder should be');
  const { bytes, unkept } = await fetchWeights(weights, weightsStore(blocked));
  assert.deepEqual(bytes, file);
  assert.match(String(unkept), /FileError: make the folder .*blocked/);
  await assert.rejects(weightsStore('/proc/retinaface').write(weights, file), { name: 'FileError' });
  assert.deepEqual((await fetchWeights(weights, undefined)).bytes, file);
});

test('a signal ends it with its reason', async () => {
  await using at = await setting(() => undefined);
  const { get } = at;
  const controller = new AbortController();
  const reason = new Error('enough');
  setTimeout(() => {
    controller.abort(reason);
  }, 20);
  await assert.rejects(get({ signal: controller.signal }), reason);
});

test('many at once, in this process and in others, harm nothing', async () => {
  await using at = await setting();
  const { folder, weights, path, get } = at;
  const module = (name: string): string => fileURLToPath(new URL(`../../src/${name}`, import.meta.url));
  const script = `
    const { weightsStore } = await import(${JSON.stringify(module('node/weights_store.ts'))});
    const { fetchWeights } = await import(${JSON.stringify(module('weights/fetch_weights.ts'))});
    const store = weightsStore(${JSON.stringify(folder)});
    for (const { unkept } of await Promise.all([1, 2].map(() => fetchWeights(${JSON.stringify(weights)}, store)))) if (unkept) throw unkept;`;
  const other = () =>
    promisify(execFile)(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', script]);
  const [here] = await Promise.all([Promise.all([get(), get(), get()]), other(), other()]);
  for (const { bytes, unkept } of here) assert.deepEqual([bytes, unkept], [file, undefined]);
  assert.deepEqual(new Uint8Array(await readFile(path)), file);
  assert.deepEqual(await readdir(dirname(path)), ['test.pth']);
});

test.run();
