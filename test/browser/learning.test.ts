// The second room: a network begins to learn in the tab, which answers meanwhile. That it learns to find faces takes minutes
// on a processor: test/slow/learning_room.test.ts.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import { RetinaFace } from '../../src/node/retinaface.js';
import { testDevice as device } from '../helpers/device.js';
import { testUnless } from '../helpers/unless.js';
import { violations } from './axe.js';
import { noChromium, openSite, type Site, type Visit } from './site.js';

let site: Site;
let visit: Visit;

if (noChromium === undefined) {
  site = await openSite();
  visit = await site.open({ at: '#learn', context: { viewport: { width: 1280, height: 900 } } });
}

test.after(async () => {
  if (noChromium !== undefined) return;
  await visit[Symbol.asyncDispose]();
  await site[Symbol.asyncDispose]();
});

const STEPS = 12;
/** Milliseconds in which a busy machine takes those steps, and compiles the kernels of a training before. */
const PATIENCE = 180_000;

async function steps(): Promise<number> {
  return Number(await visit.page.locator('#figure-step').textContent());
}

/** The losses of all steps, as their curve has them: heights in pixels, greater for a lower loss. */
async function drawnLosses(): Promise<number[]> {
  const points = (await visit.page.locator('#loss-chart .each').getAttribute('points')) ?? '';
  return points.split(' ').map((point) => Number(point.split(',')[1]));
}

testUnless(noChromium)('a network learns: its loss falls, curves are drawn, and what it finds is shown', async () => {
  const { page } = visit;
  await page.getByRole('button', { name: 'Start' }).click();
  await page.waitForFunction((wanted) => Number(document.getElementById('figure-step')?.textContent) >= wanted, STEPS, {
    timeout: PATIENCE,
  });
  const losses = await drawnLosses();
  assert.ok(losses.length >= STEPS);
  const lowest = await page.locator('#loss-chart .rule').first().getAttribute('y1');
  const height = (at: number): number => Number(lowest) - losses[at]!;
  assert.ok(height(STEPS - 1) < 0.85 * height(0), `the curve falls: ${losses.join(' ')}`);
  assert.ok((await page.locator('#precision-chart .now').count()) === 1, 'it was examined');
  assert.equal(await page.locator('#exam .scene').count(), 24);
  assert.ok((await page.locator('#exam .truth').count()) >= 24);
  assert.match((await page.locator('#learn-about').textContent()) ?? '', /112,296 numbers.*swiftshader/);
});

testUnless(noChromium)('the page answers while it learns', async () => {
  const { page } = visit;
  const longest = await page.evaluate(
    () =>
      new Promise<number>((resolve) => {
        const times = [performance.now()];
        const timer = setInterval(() => {
          times.push(performance.now());
          if (times.at(-1)! - times[0]! < 2000) return;
          clearInterval(timer);
          resolve(Math.max(...times.slice(1).map((time, i) => time - times[i]!)));
        }, 10);
      }),
  );
  // A step alone takes longer on this driver: were it taken here, the page would stand still for it.
  assert.ok(longest < 500, `the page stood still for ${Math.round(longest)} ms`);
});

testUnless(noChromium)('it pauses, goes on, and axe finds nothing wrong', async () => {
  const { page } = visit;
  await page.getByRole('button', { name: 'Pause' }).click();
  assert.deepEqual(await violations(page), []);
  // The step that was under way is taken to its end.
  await page.waitForTimeout(1500);
  const paused = await steps();
  await page.waitForTimeout(1500);
  assert.equal(await steps(), paused);
  await page.getByRole('button', { name: 'Go on' }).click();
  await page.waitForFunction((wanted) => Number(document.getElementById('figure-step')!.textContent) > wanted, paused);
});

testUnless(noChromium)('the weights are saved as a file that the library loads', async () => {
  const { page } = visit;
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Save the weights' }).click(),
  ]);
  assert.match(download.suggestedFilename(), /^learnt_\d+_steps\.safetensors$/);
  using model = new RetinaFace(device);
  await model.load(readFileSync(await download.path()));
  assert.equal(model.configuration?.name, 'published-resnet50');
  assert.equal(model.configuration.width, 1 / 16);
});

testUnless(noChromium)('the weights are tried in the first room', async () => {
  const { page } = visit;
  await page.getByRole('button', { name: 'Try them on pictures' }).click();
  await page.locator('#find').waitFor();
  assert.match(await page.inputValue('#weights'), /^learnt_\d+_steps$/);
  await page.locator('#status', { hasText: /faces? in scene_1\.jpg/ }).waitFor();
  await page.getByRole('link', { name: 'Watch it learn' }).click();
  await page.getByRole('button', { name: 'Go on' }).waitFor();
  assert.deepEqual(visit.complaints, []);
  assert.deepEqual(visit.elsewhere, []);
});

test.run();
