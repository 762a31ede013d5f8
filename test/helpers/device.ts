import { test } from 'uvu';
import { requestDevice } from '../../src/node/device.js';

/**
 * The one device of a test file, destroyed after it. `RETINAFACE_TEST_LIMITS=default` opens one that has only what WebGPU
 * guarantees. An uncaptured device error fails the file.
 */
export const testDevice = await requestDevice({ defaultLimits: process.env['RETINAFACE_TEST_LIMITS'] === 'default' });

const uncaptured: string[] = [];
testDevice.addEventListener('uncapturederror', (event) => {
  uncaptured.push(event.error.message);
});

test.after(async () => {
  await testDevice.queue.onSubmittedWorkDone();
  testDevice.destroy();
  if (uncaptured.length > 0) throw new Error(`uncaptured device errors:\n${uncaptured.join('\n')}`);
});
