import type { Gpu } from '../src/gpu/gpu.js';
import { trainingStep } from './models.js';

const NAME = 'published-mobilenet0.25';
const SIZE = 320;
const BATCHES = [1, 2, 4, 8];
const SAMPLES = 5;

/** What the rows of this table are called, for picking. */
export const TRAINING_TABLE = `memory and host time of training ${NAME} at ${SIZE}²`;

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!;

/**
 * Prints, for each batch, the peak memory of a training step, and how long the host takes to encode one, without waiting for
 * the device, as a share of the step: what is left over the device alone decides.
 */
export async function printTrainingTable(gpu: Gpu): Promise<void> {
  console.log(`${TRAINING_TABLE} (medians of ${SAMPLES})`);
  console.log(
    `${'batch'.padStart(9)}${'peak MiB'.padStart(10)}${'a picture'.padStart(11)}${'step ms'.padStart(10)}  host ms  share`,
  );
  for (const batch of BATCHES) {
    const step = await trainingStep(NAME, SIZE, batch).prepare(gpu);
    // The first compiles, the second fills the pool.
    for (let i = 0; i < 2; i++) await step.run();
    await gpu.finish();
    await step.check?.();
    gpu.resetPeakMemory();
    const host: number[] = [];
    const whole: number[] = [];
    for (let i = 0; i < SAMPLES; i++) {
      const began = performance.now();
      await step.run();
      host.push(performance.now() - began);
      await gpu.finish();
      whole.push(performance.now() - began);
    }
    const mebibytes = gpu.memory().peakBytes / 2 ** 20;
    const [encoding, all] = [median(host), median(whole)];
    console.log(
      `${String(batch).padStart(9)}${mebibytes.toFixed(0).padStart(10)}${(mebibytes / batch).toFixed(1).padStart(11)}` +
        `${all.toFixed(1).padStart(10)}${encoding.toFixed(1).padStart(9)}${`${Math.round((100 * encoding) / all)}%`.padStart(7)}`,
    );
    step.dispose();
  }
}
