import { checkOptions } from '../gpu/arguments.js';
import { type DeviceOptions, openDevice } from '../gpu/device.js';
import { AdapterError } from '../gpu/errors.js';

/**
 * Opens a WebGPU device of this browser.
 * @throws AdapterError where the browser has no WebGPU, or no adapter.
 */
export async function requestDevice(options: DeviceOptions = {}): Promise<GPUDevice> {
  checkOptions('requestDevice', options, { powerPreference: 'string', defaultLimits: 'boolean' });
  if (!('gpu' in navigator)) {
    throw new AdapterError({
      operation: 'requestDevice',
      expected: 'a browser with WebGPU, on a page served over https or from localhost',
      got: 'one without `navigator.gpu`',
      remedy: 'Use a current Chrome, Edge, Safari or Firefox.',
    });
  }
  return openDevice(
    navigator.gpu,
    options,
    'Switch on hardware acceleration in the settings of the browser, or try a current Chrome or Edge: `chrome://gpu` says what it has.',
  );
}
