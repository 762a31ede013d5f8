// The first room of the page, as a visitor has it: pictures in, faces out, by mouse, keyboard and screen reader.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import type { Face } from '../../src/image/face.js';
import { decodeImage } from '../../src/node/codecs.js';
import { RetinaFace } from '../../src/node/retinaface.js';
import { testDevice as device } from '../helpers/device.js';
import { testUnless } from '../helpers/unless.js';
import { violations } from './axe.js';
import { assertSameFaces } from './same_faces.js';
import { noChromium, openSite, type Site, type Visit } from './site.js';

/** What the page shows as JSON. */
interface Result {
  readonly file: string;
  readonly width: number;
  readonly height: number;
  readonly faces: readonly Face[];
}

const pathOf = (name: string): string => fileURLToPath(new URL(`../../fixtures/${name}`, import.meta.url));
const SCENE = pathOf('pictures/scene_1.jpg');
const OTHER = pathOf('pictures/scene_3.jpg');
const folder = mkdtempSync(join(tmpdir(), 'retinaface-page-'));

let site: Site;
/** Most of what is asked of the page is asked of one visit, as people ask it. */
let visit: Visit;

if (noChromium === undefined) {
  // A camera that shows a drawn scene: a film of JPEGs, one behind the other.
  const film = join(folder, 'camera.mjpeg');
  const frame = readFileSync(SCENE);
  writeFileSync(film, Buffer.concat([frame, frame, frame, frame]));
  const camera = ['--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream'];
  site = await openSite([...camera, `--use-file-for-fake-video-capture=${film}`]);
  visit = await site.open({ context: { viewport: { width: 1280, height: 900 }, deviceScaleFactor: 2 } });
}

test.after(async () => {
  if (noChromium === undefined) {
    await visit[Symbol.asyncDispose]();
    await site[Symbol.asyncDispose]();
  }
  rmSync(folder, { recursive: true });
});

/** Waits until the status line says what is expected. */
async function says(pattern: RegExp, { page }: Visit = visit): Promise<void> {
  const status = page.locator('#status');
  await status.filter({ hasText: pattern }).waitFor();
}

async function result(): Promise<Result> {
  return JSON.parse((await visit.page.locator('#json').textContent()) ?? '') as Result;
}

testUnless(noChromium)('a drawn scene is searched at once, and the faces are those that Node finds', async () => {
  await says(/faces in scene_1.jpg/);
  const found = await result();
  assert.equal(found.file, 'scene_1.jpg');
  assert.deepEqual([found.width, found.height], [640, 640]);
  using model = new RetinaFace(device);
  await model.load();
  // On a processor the page begins at this size.
  assert.equal(await visit.page.inputValue('#size'), '320');
  const expected = await model.detect(decodeImage(readFileSync(SCENE), 'scene_1.jpg'), { size: 320 });
  assert.ok(expected.length >= 4);
  assertSameFaces(found.faces, expected);
});

testUnless(noChromium)('boxes lie where the faces are, as vectors, and each face is cut out', async () => {
  const { page } = visit;
  const [face] = (await result()).faces;
  const picture = (await page.locator('#picture').boundingBox())!;
  const scale = picture.width / 640;
  const box = (await page.locator('.face[data-index="0"] .halo').boundingBox())!;
  for (const [actual, expected] of [
    [box.x - picture.x, face!.box.x1 * scale],
    [box.y - picture.y, face!.box.y1 * scale],
    [box.width, (face!.box.x2 - face!.box.x1) * scale],
    [box.height, (face!.box.y2 - face!.box.y1) * scale],
  ] as const) {
    // A pixel of the screen, and half the width of the line on either side.
    assert.ok(Math.abs(actual - expected) < 6, `${actual} where ${expected} was expected`);
  }
  const colours = await page.locator('#faces canvas').evaluateAll((all) =>
    all.map((canvas) => {
      const { data } = (canvas as HTMLCanvasElement).getContext('2d')!.getImageData(0, 0, 112, 112);
      return new Set(data).size;
    }),
  );
  assert.equal(colours.length, await page.locator('.overlay .face').count());
  assert.ok(
    colours.every((each) => each > 16),
    'every face is a picture',
  );
});

testUnless(noChromium)('times of loading, of the first search and of each step, and the adapter are told', async () => {
  const { page } = visit;
  assert.match((await page.locator('#adapter').textContent()) ?? '', /swiftshader/i);
  const steps = async (): Promise<string> => (await page.locator('.times').textContent()) ?? '';
  assert.match(await steps(), /Open the graphics card[\d.,]+Fetch the weights[\d.,]+Read and upload them[\d.,]+First/);
  await page.locator('#measure').click();
  await says(/^Measured: 10 searches/);
  assert.match(
    await steps(),
    /Read the picture[\d.,]+Find the faces[\d.,]+.*Turn faces upright[\d.,]+Draw them[\d.,]+/,
  );
});

testUnless(noChromium)('a face is left out by keyboard or by mouse, and put back', async () => {
  const { page } = visit;
  const before = await result();
  const button = page.getByRole('button', { name: 'Leave out face 1', exact: true });
  await button.focus();
  await page.keyboard.press('Enter');
  assert.equal(await button.getAttribute('aria-pressed'), 'true');
  assert.deepEqual((await result()).faces, before.faces.slice(1));
  assert.equal(await page.locator('.face.out').count(), 1);
  await says(/1 left out/);
  await page.locator('.face[data-index="0"] .box').click({ position: { x: 6, y: 40 } });
  assert.equal(await button.getAttribute('aria-pressed'), 'false');
  assert.deepEqual(await result(), before);
});

testUnless(noChromium)('the threshold shows fewer faces or more without another search', async () => {
  const { page } = visit;
  const before = await result();
  await page.locator('#threshold').fill('0.95');
  const best = before.faces.filter(({ score }) => score > 0.95);
  assert.ok(best.length > 0 && best.length < before.faces.length);
  assert.deepEqual((await result()).faces, best);
  assert.equal(await page.locator('.overlay .face').count(), best.length);
  await page.locator('#threshold').fill('0.5');
  assert.deepEqual(await result(), before);
});

testUnless(noChromium)('JSON is copied', async () => {
  const { page, context } = visit;
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.getByRole('button', { name: 'Copy JSON' }).click();
  await says(/^Copied/);
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  assert.deepEqual(JSON.parse(copied), await result());
});

testUnless(noChromium)('pictures are chosen, dropped and pasted, several at a time', async () => {
  const { page } = visit;
  await page.locator('#files').setInputFiles([OTHER, SCENE]);
  await says(/in scene_3.jpg/);
  assert.equal(await page.locator('#strip li').count(), 5);
  for (const kind of ['drop', 'paste'] as const) {
    await page.evaluate(async (type) => {
      const response = await fetch('pictures/scene_1.jpg');
      const transfer = new DataTransfer();
      transfer.items.add(new File([await response.blob()], `${type}.jpg`, { type: 'image/jpeg' }));
      dispatchEvent(
        type === 'drop'
          ? new DragEvent('drop', { dataTransfer: transfer, cancelable: true })
          : new ClipboardEvent('paste', { clipboardData: transfer }),
      );
    }, kind);
    await says(new RegExp(`faces in ${kind}.jpg`));
    assert.equal((await result()).file, `${kind}.jpg`);
  }
});

testUnless(noChromium)(
  'what is neither a picture nor weights is said to be so; text that is dropped is nothing',
  async () => {
    const { page } = visit;
    const drop = (content: 'file' | 'text'): Promise<void> =>
      page.evaluate((kind) => {
        const transfer = new DataTransfer();
        if (kind === 'file') transfer.items.add(new File(['a'], 'notes.txt', { type: 'text/plain' }));
        else transfer.items.add('a word', 'text/plain');
        dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, cancelable: true }));
      }, content);
    await drop('text');
    await drop('file');
    await page.getByRole('alert').filter({ hasText: 'notes.txt is neither a picture nor weights' }).waitFor();
    await page.locator('#files').setInputFiles(SCENE);
    await says(/in scene_1.jpg/);
    assert.equal(await page.getByRole('alert').count(), 0);
    await page.locator('#strip button[title="paste.jpg"]').click();
    await says(/in paste.jpg/);
  },
);

testUnless(noChromium)(
  'weights are chosen by name and from a file; what is no weights file changes nothing',
  async () => {
    const { page } = visit;
    await page.locator('#weights').selectOption('synthetic');
    await says(/in paste.jpg/);
    const drawn = await result();
    await page.locator('#weights-file').setInputFiles(pathOf('weights/mobilenet0.25_synthetic.safetensors'));
    await page.locator('#weights-hint', { hasText: 'from your machine' }).waitFor();
    await says(/in paste.jpg/);
    assert.deepEqual(await result(), drawn);
    const damaged = join(folder, 'damaged.safetensors');
    writeFileSync(damaged, 'no weights');
    await page.locator('#weights-file').setInputFiles(damaged);
    await page.getByRole('alert').filter({ hasText: 'damaged.safetensors' }).waitFor();
    assert.equal(await page.inputValue('#weights'), 'mobilenet0.25_synthetic.safetensors');
    await page.locator('#weights').selectOption('faces');
    await says(/in paste.jpg/);
    assert.equal(await page.getByRole('alert').count(), 0);
  },
);

testUnless(noChromium)('weights of the catalogue come from their own address and nowhere else', async () => {
  const { page, context } = visit;
  assert.deepEqual(visit.elsewhere, [], 'nothing was asked of anyone until then');
  await context.route('https://raw.githubusercontent.com/**', (route) => route.fulfill({ status: 404 }));
  await page.locator('#weights').selectOption('mobilenet0.25-wider');
  await page.getByRole('alert').filter({ hasText: '404' }).waitFor();
  assert.equal(await page.inputValue('#weights'), 'faces', 'those that work stay');
  const hosts = new Set(visit.elsewhere.map((address) => new URL(address).host));
  assert.deepEqual([...hosts], ['raw.githubusercontent.com']);
  const refused = await page.evaluate(async () => {
    try {
      await fetch('https://example.org/', { method: 'POST', body: 'a picture' });
      return false;
    } catch {
      return true;
    }
  });
  assert.ok(refused, 'the policy lets nothing out');
  assert.equal(new Set(visit.elsewhere.map((address) => new URL(address).host)).size, 1);
});

testUnless(noChromium)('the camera is followed, a frame is kept, and the camera goes off', async () => {
  const { page } = visit;
  await page.getByRole('button', { name: 'Camera' }).click();
  await page.locator('#json').filter({ hasText: '"camera"' }).waitFor({ state: 'attached' });
  // The fake camera squeezes the square scene, and how many of its faces are found then hangs on the weights.
  const seen = await result();
  assert.ok(seen.faces.length > 0, JSON.stringify([seen.width, seen.height]));
  assert.notEqual(seen.width, seen.height);
  assert.match((await page.locator('.times').textContent()) ?? '', /First search/);
  // Left out once, it stays so in the frames that follow, and comes back.
  const leaveOut = page.getByRole('button', { name: /^Leave out face \d+$/ }).first();
  await leaveOut.click();
  const id = Number(/\d+/.exec((await leaveOut.getAttribute('aria-label')) ?? '')?.[0]);
  const frames = page.locator('#json');
  const has = (there: boolean) =>
    page.waitForFunction(
      ([wanted, expected]) =>
        document.getElementById('json')!.textContent.includes(`"id": ${wanted},`) === expected &&
        document.querySelectorAll('.face.out').length === (expected ? 0 : 1),
      [id, there] as const,
    );
  await has(false);
  const before = await frames.textContent();
  await page.waitForFunction((text) => document.getElementById('json')!.textContent !== text, before);
  await has(false);
  await page.locator(`.face.out .box`).click();
  await has(true);
  await page.getByRole('button', { name: 'Keep this frame' }).click();
  await says(/faces in camera 1/);
  assert.equal(await page.locator('#video').isVisible(), false);
  assert.ok(await page.evaluate(() => document.querySelector('video')!.srcObject === null));
});

testUnless(noChromium)('a scene is drawn and searched', async () => {
  const { page } = visit;
  await page.getByRole('button', { name: 'Draw a scene' }).click();
  await says(/in drawn scene \d/);
  assert.equal((await result()).width, 640);
});

testUnless(noChromium)(
  'axe finds nothing wrong, light or dark, in either room; a narrow screen needs no sideways scrolling',
  async () => {
    const { page } = visit;
    for (const room of ['learn', 'find']) {
      await page.evaluate((name) => {
        location.hash = name;
      }, room);
      await page.locator(`#${room}`).waitFor();
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme });
        assert.deepEqual(await violations(page), [], `${room}, ${colorScheme}`);
      }
      await page.setViewportSize({ width: 360, height: 740 });
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(width <= 360, `${room} is ${width} pixels wide`);
      assert.deepEqual(await violations(page), [], `${room}, narrow`);
      await page.setViewportSize({ width: 1280, height: 900 });
    }
  },
);

testUnless(noChromium)('all of it went without an error but those that were provoked', () => {
  const unexpected = visit.complaints.filter((text) => !/404|example\.org/.test(text));
  assert.deepEqual(unexpected, []);
});

testUnless(noChromium)(
  'without WebGPU or an adapter the page says what is missing, and shows pictures all the same',
  async () => {
    for (const [before, expected] of [
      ['delete Navigator.prototype.gpu', 'This browser has no WebGPU'],
      ['GPU.prototype.requestAdapter = async () => null', 'No graphics card is at hand'],
    ] as const) {
      await using bare = await site.open({ before });
      await bare.page.getByRole('alert').filter({ hasText: expected }).waitFor();
      await bare.page.locator('#picture').waitFor();
      assert.deepEqual(await violations(bare.page), []);
      assert.deepEqual(bare.complaints, []);
    }
  },
);

test.run();
