// Downloads from a server of this machine: whole and right, or refused with what was wrong.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'uvu';
import { WeightsError } from '../../src/gpu/errors.js';
import { type ByteProgress, download, type DownloadOptions } from '../../src/weights/download.js';
import { type Answer, fileServer } from '../helpers/file_server.js';

const file = Uint8Array.from({ length: 50_000 }, (_, i) => (i * 7) % 251);
const expected = { bytes: file.length, sha256: createHash('sha256').update(file).digest('hex') };
const whole: Answer = (response) => response.end(file);
const pinned: DownloadOptions = { expected, redirects: [], patience: 5000 };

/** That `answer` to a pinned download is refused with a WeightsError of this message. */
async function refuses(answer: Answer, message: RegExp, options: DownloadOptions = {}): Promise<void> {
  await using server = await fileServer({ '/file': answer });
  await assert.rejects(
    download(`${server.origin}/file`, { ...pinned, ...options }),
    (error) => error instanceof WeightsError && error.remedy.length > 5 && message.test(error.message),
    String(message),
  );
}

test('the expected file comes whole, with its progress in bytes', async () => {
  await using server = await fileServer({ '/file': whole });
  const progress: ByteProgress[] = [];
  const bytes = await download(`${server.origin}/file`, { ...pinned, onProgress: (now) => progress.push(now) });
  assert.deepEqual(bytes, file);
  assert.deepEqual(progress.at(-1), { loaded: file.length, total: file.length });
  assert.ok(progress.every(({ loaded }, i) => i === 0 || loaded > progress[i - 1]!.loaded));
});

test('any file comes where none is expected, also one of unknown length', async () => {
  await using server = await fileServer({
    '/file': (response) => {
      response.write(file.subarray(0, 100));
      response.end(file.subarray(100));
    },
  });
  assert.deepEqual(await download(new URL('/file', server.origin)), file);
});

test('a file that is too short, too long, or has another byte is refused', async () => {
  await refuses((response) => response.end(file.subarray(1)), /expected a file of 50000 bytes, got 49999/);
  await refuses((response) => {
    response.write(file);
    response.end('and more');
  }, /expected a file of 50000 bytes, got 50008 bytes or more/);
  const other = Uint8Array.from(file);
  other[25_000]! ^= 1;
  await refuses((response) => response.end(other), /expected SHA-256 [0-9a-f]{64}, got [0-9a-f]{64}/);
});

test('a connection that breaks off is refused', async () => {
  await refuses((response) => {
    response.writeHead(200, { 'content-length': String(file.length) });
    response.write(file.subarray(0, 30_000), () => response.destroy());
  }, /a server that answers/);
});

test('a web page and a Git LFS pointer in the place of the file are told as such', async () => {
  await refuses((response) => response.end('<!doctype html><title>Sign in</title>'), /got an HTML page\. Fetch/);
  await refuses((response) => response.end('<html>' + ' '.repeat(60_000)), /got an HTML page\. Fetch/);
  await refuses(
    (response) => response.end('version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 50000\n'),
    /got a Git LFS pointer\. Run "git lfs pull"/,
  );
});

test('HTTP errors are told as such, expected file or not', async () => {
  for (const [status, remedy] of [
    [404, /HTTP 404 Not Found\. Check the address/],
    [403, /HTTP 403 Forbidden\. Check/],
    [503, /HTTP 503 Service Unavailable\. Try again later/],
  ] as const) {
    const answer: Answer = (response) => response.writeHead(status).end(file);
    await refuses(answer, remedy);
    await using server = await fileServer({ '/file': answer });
    await assert.rejects(download(`${server.origin}/file`), { name: 'WeightsError', message: remedy });
  }
});

test('a redirect is followed within the host and to hosts that are named, and to no other', async () => {
  const to =
    (location: string): Answer =>
    (response) =>
      response.writeHead(302, { location }).end();
  await using other = await fileServer({ '/file': whole });
  await using server = await fileServer({
    '/file': whole,
    '/within': to('/file'),
    '/away': to(`${other.origin}/file`),
    '/round': to('/round'),
    '/odd': to('http://['),
    '/disk': to('file:///etc/hostname'),
  });
  assert.deepEqual(await download(`${server.origin}/within`, pinned), file);
  await assert.rejects(download(`${server.origin}/away`, pinned), {
    name: 'WeightsError',
    message: new RegExp(`got a redirect to ${other.origin}\\. The address may have moved`),
  });
  assert.deepEqual(other.asked, [], 'the other host was never asked');
  assert.deepEqual(
    await download(`${server.origin}/away`, { ...pinned, redirects: [`127.0.0.1:${other.port}`] }),
    file,
  );
  await assert.rejects(download(`${server.origin}/round`, pinned), /at most 5 redirects, got more/);
  await assert.rejects(download(`${server.origin}/odd`, pinned), /a redirect to no address/);
  await assert.rejects(download(`${server.origin}/disk`, pinned), /a redirect to null/);
  assert.deepEqual(await download(`${server.origin}/away`), file, 'an address of the caller may lead anywhere');
});

test('a server that stalls is given up, before it answers and after', async () => {
  await refuses(() => undefined, /a server that goes on answering, got less than 16 KiB in 0\.05 s/, { patience: 50 });
  await refuses((response) => response.write(file.subarray(0, 20_000)), /less than 16 KiB in 0\.05 s/, {
    patience: 50,
  });
});

test('a server that cannot be reached is an error with what to do', async () => {
  const server = await fileServer({});
  await server[Symbol.asyncDispose]();
  await assert.rejects(download(`${server.origin}/file`), {
    name: 'WeightsError',
    message: /expected a server that answers, got .*ECONNREFUSED.*\. Check the address and the connection/,
  });
});

test('a signal ends a download with its reason, before and during it', async () => {
  await using server = await fileServer({ '/file': (response) => response.write(file.subarray(0, 10)) });
  const reason = new Error('enough');
  await assert.rejects(download(`${server.origin}/file`, { signal: AbortSignal.abort(reason) }), reason);
  assert.deepEqual(server.asked, []);
  const controller = new AbortController();
  const onProgress = (): void => {
    controller.abort(reason);
  };
  await assert.rejects(download(`${server.origin}/file`, { signal: controller.signal, onProgress }), reason);
});

test.run();
