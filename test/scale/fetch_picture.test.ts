// What a service fetches for strangers: bounded, and from nowhere inside.
import assert from 'node:assert/strict';
import type { LookupAddress } from 'node:dns';
import { test } from 'uvu';
import { decodeImage, encodePng } from '../../src/node/codecs.js';
import { type FetchFault, type FetchOptions, PictureFetcher, publicAddresses } from '../../src/scale/fetch_picture.js';
import { optionalPackage } from '../../src/scale/optional.js';
import { drawnPicture } from '../helpers/drawn_picture.js';
import { fileServer } from '../helpers/file_server.js';

const png = encodePng(drawnPicture(20, 10));
const server = await fileServer({
  '/a.png': (response) => response.end(png),
  '/once': (response) => response.writeHead(302, { location: '/a.png' }).end(),
  '/inside': (response) => response.writeHead(307, { location: 'http://127.0.0.2/secret' }).end(),
  '/file': (response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
  '/gone': (response) => response.writeHead(410).end(),
  '/busy': (response) => response.writeHead(503).end(),
  '/packed': (response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(png),
  '/short': (response) => {
    response.writeHead(200, { 'content-length': 1000 }).write('x');
    setTimeout(() => response.destroy(), 20);
  },
  '/endless': (response) => {
    const timer = setInterval(() => response.write(Buffer.alloc(400)), 1);
    response.on('close', () => {
      clearInterval(timer);
    });
  },
  '/silent': () => undefined,
});
test.after(async () => {
  await server[Symbol.asyncDispose]();
});

/** A resolver that knows some names. */
function names(known: Readonly<Record<string, readonly string[]>>): NonNullable<FetchOptions['lookup']> {
  return ((host: string, _: unknown, done: (error: Error | null, found: LookupAddress[]) => void) => {
    const found = (known[host.replace(/\.$/, '')] ?? []).map((address) => ({
      address,
      family: address.includes(':') ? 6 : 4,
    }));
    setImmediate(() => {
      if (found.length > 0) done(null, found);
      else done(new Error(`getaddrinfo ENOTFOUND ${host}`), []);
    });
  }) as NonNullable<FetchOptions['lookup']>;
}

async function fault(address: string, options: FetchOptions = {}): Promise<{ fault: FetchFault; passing: boolean }> {
  using fetcher = await PictureFetcher.create({ allowHosts: ['127.0.0.1'], timeout: 2000, ...options });
  let failed: { fault: FetchFault; passing: boolean } | undefined;
  await assert.rejects(fetcher.fetch(address), (error: Error & { fault: FetchFault; passing: boolean }) => {
    assert.equal(error.name, 'FetchError', error.message);
    failed = { fault: error.fault, passing: error.passing };
    return true;
  });
  return failed!;
}

test('a picture of an allowed host is fetched, through redirects within it', async () => {
  using fetcher = await PictureFetcher.create({ allowHosts: [`127.0.0.1:${server.port}`] });
  for (const path of ['/a.png', '/once', '/a.png']) {
    const bytes = await fetcher.fetch(`${server.origin}${path}`);
    assert.deepEqual(bytes, Uint8Array.from(png));
    assert.equal(decodeImage(bytes, path).width, 20);
  }
});

test('addresses of the public internet are told from all others', async () => {
  const isPublic = await publicAddresses('test');
  for (const address of ['93.184.216.34', '1.1.1.1', '2606:4700::1111', '172.32.0.1', '::ffff:8.8.8.8'])
    assert.ok(isPublic(address), address);
  const others = [
    ...['127.0.0.1', '0.0.0.0', '10.1.2.3', '172.16.0.1', '192.168.1.1', '169.254.169.254', '100.64.0.1', '224.0.0.1'],
    ...['255.255.255.255', '192.0.2.1', '198.18.0.1', '240.0.0.1', '192.0.0.8'],
    ...['::1', '::', 'fe80::1', 'fe80::1%eth0', 'fc00::1', 'fd12::1', 'fec0::1', 'ff02::1', '::ffff:127.0.0.1'],
    ...['::ffff:a00:1', '64:ff9b::7f00:1', '2002:7f00:1::', '2001:db8::1', '::127.0.0.1', '4000::1', 'localhost', ''],
  ];
  for (const address of others) assert.ok(!isPublic(address), address);
});

test('private networks are refused before anything is asked of them, however they are named', async () => {
  const asked = server.asked.length;
  const { port } = server;
  const lookup = names({
    'inside.test': ['127.0.0.1'],
    'both.test': ['93.184.216.34', '127.0.0.1'],
    'mapped.test': ['::ffff:127.0.0.1'],
  });
  const refused = { fault: 'private', passing: false };
  for (const host of ['127.0.0.1', '0x7f.1', '2130706433', '[::1]', '[::ffff:127.0.0.1]', '0.0.0.0', '127.0.0.1.'])
    assert.deepEqual(await fault(`http://${host}:${port}/a.png`, { allowHosts: [] }), refused, host);
  for (const host of ['inside.test', 'both.test', 'mapped.test', 'INSIDE.test.'])
    assert.deepEqual(
      await fault(`http://${host}:${port}/a.png`, { allowHosts: ['other.test'], lookup }),
      refused,
      host,
    );
  assert.deepEqual(await fault(`http://127.0.0.1:${port}/a.png`, { allowHosts: ['127.0.0.1:1'] }), refused);
  assert.equal(server.asked.length, asked, 'nothing was asked');
  // A redirect is an address like any other.
  assert.deepEqual(await fault(`${server.origin}/inside`), refused);
  using fetcher = await PictureFetcher.create({ allowHosts: ['inside.test'], lookup });
  assert.equal((await fetcher.fetch(`http://inside.test:${port}/a.png`)).length, png.length);
});

test('what is no address, leads nowhere, or is no file, is told apart, and whether to try again', async () => {
  const { origin } = server;
  const gone = { lookup: names({}) };
  const cases: readonly (readonly [string, FetchFault, boolean, FetchOptions?])[] = [
    ['picture.jpg', 'address', false],
    ['file:///etc/passwd', 'address', false],
    ['http://user:secret@127.0.0.1/', 'address', false],
    [`${origin}/file`, 'redirect', false],
    [`${origin}/once`, 'redirect', false, { maxRedirects: 0 }],
    [`${origin}/gone`, 'status', false],
    [`${origin}/busy`, 'status', true],
    [`${origin}/packed`, 'bytes', false],
    [`${origin}/a.png`, 'bytes', false, { maxBytes: png.length - 1 }],
    [`${origin}/endless`, 'bytes', false, { maxBytes: 5000 }],
    [`${origin}/endless`, 'time', true, { timeout: 60 }],
    [`${origin}/silent`, 'time', true, { timeout: 60 }],
    [`${origin}/short`, 'connection', true],
    ['http://127.0.0.1:1/', 'connection', true],
    ['http://nowhere.test/', 'connection', true, gone],
  ];
  for (const [address, expected, passing, options] of cases)
    assert.deepEqual(await fault(address, options), { fault: expected, passing }, address);
});

test('an error shows no password and no query; a signal ends a fetch with its own reason', async () => {
  using fetcher = await PictureFetcher.create({ allowHosts: ['127.0.0.1'] });
  await assert.rejects(fetcher.fetch('http://user:secret@127.0.0.1/a?token=secret'), (error: Error) => {
    assert.doesNotMatch(error.message, /secret/);
    return true;
  });
  const reason = new Error('no longer wanted');
  const signal = AbortSignal.any([AbortSignal.abort(reason)]);
  await assert.rejects(fetcher.fetch(`${server.origin}/a.png`, { signal }), reason);
  const later = new AbortController();
  setTimeout(() => {
    later.abort(reason);
  }, 20);
  await assert.rejects(fetcher.fetch(`${server.origin}/silent`, { signal: later.signal }), reason);
});

test('a picture of more pixels than are allowed is refused before it is decoded', () => {
  assert.equal(decodeImage(png, 'test', { maxPixels: 200 }).height, 10);
  assert.throws(() => decodeImage(png, 'test', { maxPixels: 199 }), {
    name: 'ImageError',
    message: /expected at most 199 pixels, got 20×10/,
  });
});

test('a package that is not there is named, with what to do about it', async () => {
  const absent = 'retinaface-absent-package';
  await assert.rejects(
    optionalPackage(absent, () => import(absent), 'work'),
    { name: 'MissingPackageError', message: /Install it beside retinaface-webgpu: npm install retinaface-absent/ },
  );
});

test.run();
