// The second room of the page, to the end that it promises: from nothing to an average precision of a half, in a tab of
// headless Chromium that computes on the processor (SwiftShader).
import assert from 'node:assert/strict';
import { test } from 'uvu';
import { noChromium, openSite } from '../browser/site.js';
import { testUnless } from '../helpers/unless.js';

const GOAL = 0.5;
/** Of training, as the page counts it: ten times what two idle cores take. */
const MOST_SECONDS = 1200;

testUnless(noChromium)('a network that knows nothing finds half of the faces after minutes in a tab', async () => {
  await using site = await openSite();
  await using visit = await site.open({ at: '#learn' });
  const { page } = visit;
  await page.getByRole('button', { name: 'Start' }).click();
  await page.waitForFunction((goal) => Number(document.getElementById('figure-precision')?.textContent) >= goal, GOAL, {
    timeout: MOST_SECONDS * 1000,
  });
  const figures = await page.locator('#learn-figures > div').allTextContents();
  console.log(figures.join(', '));
  assert.deepEqual(visit.complaints, []);
});

test.run();
