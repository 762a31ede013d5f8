import type { Result } from './harness.js';

const STEP = /^training step of (.+) batch (\d+)$/;

/**
 * Prints, of each training step among the results, the peak memory of its tensors, how much more the device held for them, what the
 * last step made anew, and how long the host takes to encode one, without waiting for the device, as a share of the step:
 * what is left over the device alone decides.
 */
export function printTrainingTable(results: readonly Result[]): void {
  const rows = results.flatMap((result) => {
    const {
      name,
      median,
      peakBytes,
      peakDeviceBytes,
      buffersMade,
      bindGroupsMade,
      hostMs = NaN,
      hostShare = NaN,
    } = result;
    const [, network = '', batch = ''] = STEP.exec(name) ?? [];
    const mebibytes = peakBytes / 2 ** 20;
    const pictures = Number(batch);
    if (pictures === 0) return [];
    return (
      `${network.padEnd(34)}${batch.padStart(5)}${mebibytes.toFixed(0).padStart(10)}` +
      `${(mebibytes / pictures).toFixed(1).padStart(11)}${(peakDeviceBytes / peakBytes).toFixed(2).padStart(9)}` +
      `${String(buffersMade).padStart(9)}${String(bindGroupsMade).padStart(8)}${median.toFixed(1).padStart(10)}` +
      `${hostMs.toFixed(1).padStart(9)}${`${Math.round(100 * hostShare)}%`.padStart(7)}`
    );
  });
  if (rows.length === 0) return;
  console.log('\nmemory and host time of training steps (medians; made: by the last step)');
  console.log(`${''.padEnd(34)}batch  peak MiB  a picture    real×  buffers  groups   step ms  host ms  share`);
  for (const row of rows) console.log(row);
}
