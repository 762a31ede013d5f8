// How a device is waited for, with one that is slow to look for what it has finished.
import assert from 'node:assert/strict';
import { test } from 'uvu';
import { waitingFor } from '../../src/gpu/waiting.js';

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0';
const CHROME = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36';

/** Its work is done at once; it is looked at when something is submitted, from the third submission on. */
function slowDevice(outcome: () => number): { device: GPUDevice; work: Promise<number>; submitted: () => number } {
  let submissions = 0;
  let look: (() => void) | undefined;
  const work = new Promise<void>((resolve) => (look = resolve)).then(outcome);
  const submit = (buffers: readonly GPUCommandBuffer[]): void => {
    assert.deepEqual(buffers, []);
    if (++submissions === 3) look?.();
  };
  return { device: { queue: { submit } } as unknown as GPUDevice, work, submitted: () => submissions };
}

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

test('in Firefox nothing is submitted again and again while a promise is pending, and never after', async () => {
  const { device, work, submitted } = slowDevice(() => 7);
  assert.equal(await waitingFor(device, { onCpu: false, agent: FIREFOX })(work), 7);
  assert.equal(submitted(), 3);
  await pause(20);
  assert.equal(submitted(), 3);
});

test('what the promise is rejected with comes through, and ends it', async () => {
  const { device, work, submitted } = slowDevice(() => {
    throw new TypeError('lost');
  });
  await assert.rejects(waitingFor(device, { onCpu: true, agent: FIREFOX })(work), { message: 'lost' });
  await pause(20);
  assert.equal(submitted(), 3);
});

test('elsewhere nothing is submitted', async () => {
  for (const onCpu of [true, false]) {
    const { device, submitted } = slowDevice(() => 0);
    assert.equal(await waitingFor(device, { onCpu, agent: CHROME })(pause(15).then(() => 1)), 1);
    assert.equal(submitted(), 0);
  }
});

test.run();
