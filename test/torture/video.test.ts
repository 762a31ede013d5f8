// A camera of 640×480 followed in headless Chromium, which computes on the processor (SwiftShader): how many frames a second, and
// that nothing grows over 2,000 of them in the long form.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium, type Page } from 'playwright-core';
import { test } from 'uvu';
import { syntheticScene } from '../../src/data/synthetic.js';
import { encodeJpeg } from '../../src/node/codecs.js';
import { BUNDLED_WEIGHTS } from '../../src/retinaface/bundled.js';
import { bundled, CHROMIUM, CHROMIUM_FLAGS, noChromium } from '../browser/site.js';
import { testUnless } from '../helpers/unless.js';
import { figures, times } from './harness.js';
import type { CameraPage, Followed } from './video_page.js';

const PAGE = 'http://localhost/';
const script = fileURLToPath(new URL('video_page.ts', import.meta.url));
const [WIDTH, HEIGHT] = [640, 480];

/** Frames of which memory is measured, behind those that fill pools and caches; searched small, for a hundredth of the work. */
const FRAMES = times(100, 2000);
/** Compiled code still grows by 190,000 bytes from frame 300 to 700, and by some 4,000 in each 400 from there on. */
const SETTLING = times(50, 700);
const SMALL = 64;
/**
 * Bytes of JavaScript that all of them may leave behind: compiled code and statistics of the engine come to some 100,000, however
 * many frames there are. What is kept from each of 2,000 frames takes at least 400,000, with the promise that it came by.
 */
const LEFT_BEHIND = 200_000;
/** Frames of which times are measured, by the size of the search. */
const TIMED = [
  [640, times(2, 20)],
  [320, times(4, 40)],
] as const;

/** A film for the fake camera, which it shows again and again: a drawn scene that a camera pans over and back. */
function film(path: string): void {
  const { picture } = syntheticScene(3, 1, { size: WIDTH });
  const frames = Array.from({ length: 32 }, (_, i) => {
    const top = Math.round((WIDTH - HEIGHT) * (1 - Math.abs(i / 16 - 1)));
    const data = picture.data.subarray(top * WIDTH * 4, (top + HEIGHT) * WIDTH * 4);
    return encodeJpeg({ data, width: WIDTH, height: HEIGHT });
  });
  writeFileSync(path, Buffer.concat(frames));
}

/** Bytes of JavaScript that are alive. */
async function heap(page: Page): Promise<number> {
  const session = await page.context().newCDPSession(page);
  await session.send('HeapProfiler.collectGarbage');
  const { usedSize } = await session.send('Runtime.getHeapUsage');
  await session.detach();
  return usedSize;
}

testUnless(noChromium)('a camera is followed, and its frames leave nothing behind', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'retinaface-video-'));
  const path = join(folder, 'camera.mjpeg');
  film(path);
  const browser = await chromium.launch({
    executablePath: CHROMIUM!,
    args: [
      ...CHROMIUM_FLAGS,
      ...['--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream'],
      `--use-file-for-fake-video-capture=${path}`,
    ],
  });
  try {
    const page = await browser.newPage();
    const bodies: Readonly<Record<string, { readonly contentType: string; readonly body: string | Buffer }>> = {
      '/': { contentType: 'text/html', body: '<!doctype html><script type="module" src="page.js"></script>' },
      '/page.js': { contentType: 'text/javascript', body: Buffer.from(await bundled(script)) },
      '/weights': { contentType: 'application/octet-stream', body: readFileSync(BUNDLED_WEIGHTS[0].address()) },
    };
    await page.route(`${PAGE}**`, (route) => {
      const answer = bodies[new URL(route.request().url()).pathname];
      return answer ? route.fulfill(answer) : route.fulfill({ status: 404 });
    });
    await page.goto(PAGE, { waitUntil: 'load' });
    await page.evaluate((weights) => (globalThis as unknown as CameraPage).open(weights), `${PAGE}weights`);
    const follow = (frames: number, options: Parameters<CameraPage['follow']>[1]): Promise<Followed> =>
      page.evaluate(([number, given]) => (globalThis as unknown as CameraPage).follow(number, given), [
        frames,
        options,
      ] as const);
    for (const [size, number] of TIMED) {
      await follow(2, { size, waiting: true });
      const { frames, faces, seconds, median, width, height } = await follow(number, { size, waiting: true });
      assert.deepEqual([width, height], [WIDTH, HEIGHT]);
      assert.ok(faces > frames, `${faces} faces on ${frames} frames`);
      figures(`camera of 640×480, size ${size}, Chromium ${browser.version()}`, {
        'frames a second': (frames / seconds).toFixed(1),
        'ms from a frame to its boxes': median.toFixed(0),
      });
    }
    const options = { size: SMALL, waiting: false };
    const { memory: before } = await follow(SETTLING, options);
    const settled = await heap(page);
    const { memory: after, seconds } = await follow(FRAMES, options);
    const grown = (await heap(page)) - settled;
    figures('frames of a camera', { frames: FRAMES, seconds: seconds.toFixed(0), 'bytes more': grown, of: settled });
    assert.deepEqual({ ...after, peakBytes: 0, peakDeviceBytes: 0 }, { ...before, peakBytes: 0, peakDeviceBytes: 0 });
    assert.ok(grown < LEFT_BEHIND, `${grown} bytes of JavaScript more than after ${SETTLING} frames`);
  } finally {
    await browser.close();
    rmSync(folder, { recursive: true });
  }
});

test.run();
