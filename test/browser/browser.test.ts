// The library as a browser gets it: built, bundled by esbuild, on a page of a local server, in headless Chromium with its
// own WebGPU (SwiftShader). What the page finds is what Node finds.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import { Gpu } from '../../src/gpu/gpu.js';
import { drawnPicture } from '../helpers/drawn_picture.js';
import { decodeImage, encodeJpeg, encodePng } from '../../src/node/codecs.js';
import { RetinaFace } from '../../src/retinaface/retinaface.js';
import { writeSafetensors } from '../../src/weights/safetensors.js';
import { testDevice as device } from '../helpers/device.js';
import { formulaState } from '../helpers/formula_state.js';
import { haveSharedData, sharedData } from '../helpers/shared_data.js';
import type { Findings, Job, JobFindings, SourceName } from './page.js';
import { assertSameFaces } from './same_faces.js';
import { bundled, CHROMIUM, noChromium } from './site.js';
import { testUnless } from '../helpers/unless.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

const PAGE = '<!doctype html><meta charset="utf-8"><title>at work</title><script type="module" src="page.js"></script>';

/** The page's script in one file, the library in it as package.json exports it to browsers. */
async function bundle(): Promise<Uint8Array> {
  execFileSync(process.execPath, ['tools/build.mjs'], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
  return bundled(fileURLToPath(new URL('page.ts', import.meta.url)), {
    name: 'the package instead of its sources',
    setup(building) {
      building.onResolve({ filter: /src\/browser\/index\.js$/ }, ({ kind }) =>
        building.resolve('retinaface-webgpu', { kind, resolveDir: root }),
      );
    },
  });
}

/** Serves files by their addresses on this machine alone; settles with what the page posts. */
async function serve(
  files: ReadonlyMap<string, readonly [type: string, body: Uint8Array | string]>,
): Promise<{ readonly server: Server; readonly address: string; readonly findings: Promise<Findings> }> {
  const { promise, resolve } = deferred<Findings>();
  const server = createServer((request, response) => {
    if (request.method === 'POST') {
      let body = '';
      request.setEncoding('utf8').on('data', (part: string) => (body += part));
      request.on('end', () => {
        response.end();
        resolve(JSON.parse(body) as Findings);
      });
      return;
    }
    const [type, body] = files.get(request.url ?? '') ?? ['', ''];
    response.writeHead(type === '' ? 404 : 200, { 'content-type': type }).end(body);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return { server, address: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, findings: promise };
}

function deferred<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let settle: ((value: T) => void) | undefined;
  const promise = new Promise<T>((resolve) => {
    settle = resolve;
  });
  return { promise, resolve: (value) => settle?.(value) };
}

/** Opens the page in a Chromium of its own profile, until `work` settles. */
async function browse<T>(address: string, work: Promise<T>): Promise<T> {
  const profile = mkdtempSync(join(tmpdir(), 'retinaface-browser-'));
  const flags = [
    ...['--headless=new', '--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking'],
    ...['--disable-component-update', '--disable-sync', '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'],
    `--user-data-dir=${profile}`,
  ];
  const child = spawn(CHROMIUM!, [...flags, address], { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
  const ended = new Promise<never>((_, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => {
      reject(new Error(`Chromium ended with ${code ?? 'a signal'} before the page was done:\n${log.slice(-2000)}`));
    });
  });
  const closed = new Promise((resolve) => child.on('close', resolve));
  try {
    return await Promise.race([work, ended]);
  } finally {
    child.kill();
    await closed;
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Every way in which a page has a picture; `page.ts` lists them, too, but runs only there. */
const SOURCES: Readonly<Record<SourceName, true>> = {
  pixels: true,
  address: true,
  URL: true,
  Response: true,
  Blob: true,
  File: true,
  bytes: true,
  ArrayBuffer: true,
  ImageData: true,
  image: true,
  canvas: true,
  OffscreenCanvas: true,
  ImageBitmap: true,
  VideoFrame: true,
  video: true,
};

/** A JPEG that says it lies on its side: EXIF orientation 6. */
function lying(jpeg: Uint8Array): Uint8Array {
  const tiff = [0x4d, 0x4d, 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0];
  const segment = [...Buffer.from('Exif\0\0'), ...tiff];
  return Uint8Array.from([...jpeg.subarray(0, 2), 0xff, 0xe1, 0, segment.length + 2, ...segment, ...jpeg.subarray(2)]);
}

testUnless(noChromium)('a page in Chromium finds what Node finds, in whatever it has; slips are told', async () => {
  const gpu = Gpu.of(device);
  const published = 'mobilenet0.25_Final.pth';
  const formula = 'formula.safetensors';
  const weights = new Map<string, Uint8Array>([
    [formula, writeSafetensors(formulaState(gpu, 'published-mobilenet0.25'))],
  ]);
  const pictures = new Map<string, Uint8Array>([
    ['drawn.png', encodePng(drawnPicture(94, 80))],
    ['lying.jpg', lying(encodeJpeg(drawnPicture(96, 64)))],
  ]);
  const options = { scoreThreshold: 0.5, maxFaces: 20 };
  const jobs: Job[] = (Object.keys(SOURCES) as SourceName[]).map((source) => ({
    weights: formula,
    picture: 'drawn.png',
    source,
    options,
  }));
  for (const source of ['pixels', 'address', 'image', 'File'] as const) {
    jobs.push({ weights: formula, picture: 'lying.jpg', source, options });
  }
  jobs.push({
    weights: formula,
    picture: 'drawn.png',
    source: 'canvas',
    options: { ...options, rotations: [0, 90, 180, 270], scales: [1, 2] },
  });
  if (haveSharedData) {
    weights.set(published, readFileSync(sharedData(`checkpoints/${published}`)));
    pictures.set('photo.jpg', readFileSync(sharedData('photos/13.jpg')));
    jobs.push({ weights: published, picture: 'photo.jpg', source: 'address', options: { size: 320 } });
  }

  const bytes = [...weights, ...pictures].map(
    ([name, body]) => [`/${name}`, ['application/octet-stream', body]] as const,
  );
  const { server, address, findings } = await serve(
    new Map<string, readonly [string, Uint8Array | string]>([
      ['/', ['text/html', PAGE]],
      ['/page.js', ['text/javascript', await bundle()]],
      ['/jobs.json', ['application/json', JSON.stringify(jobs)]],
      ['/no-picture.txt', ['text/plain', '<!doctype html>']],
      ...bytes,
    ]),
  );
  let found: Findings;
  try {
    found = await browse(address, findings);
  } finally {
    server.closeAllConnections();
    server.close();
  }
  if ('error' in found) assert.fail(`the page said: ${found.error}`);
  const models = new Map<string, RetinaFace>();
  for (const [i, { weights: from, picture, source, options: how }] of jobs.entries()) {
    const model = models.get(from) ?? new RetinaFace(device);
    if (!models.has(from)) await model.load(weights.get(from));
    models.set(from, model);
    const image = decodeImage(pictures.get(picture)!, picture);
    const { faces, pixels, readBack }: JobFindings = found.jobs[i]!;
    assert.equal(pixels, image.width * image.height, source);
    assert.equal(readBack, 0, `no pixel of ${source} passed through JavaScript`);
    const expected = await model.detect(image, how);
    assert.ok(expected.length > 0, `Node finds a face in ${picture}`);
    assertSameFaces(faces, expected, `${source} of ${picture}`);
  }
  for (const model of models.values()) model.dispose();
  const slips: readonly RegExp[] = [
    /^FileError: read picture from absent\.png: .*got HTTP 404 Not Found\. Check the address/,
    /^ImageError: read no-picture\.txt: .*got an HTML page/,
    /^ImageError: (detect|readImage): expected an image that loads, got one that does not/,
    /^ImageError: .*a video that shows a frame, got one that has not loaded any yet\. Wait for its event/,
    /^ImageError: .*got 0×150/,
    /^ImageError: .*(got 0×0|got a ImageBitmap)/,
    /^ArgumentError: .*got a promise\. Await it/,
    /^ArgumentError: .*an image, video, canvas.* got a HTMLBodyElement/,
    /^FileError: .*HTTP 404/,
  ];
  for (const [i, said] of found.slips.entries()) assert.match(said, slips[Math.floor(i / 2)]!);
  assert.equal(found.slips.length, 2 * slips.length);
});

test.run();
