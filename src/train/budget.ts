import type { Position } from './checkpoint.js';
import { runTraining, type StepRecord } from './run.js';
import type { Trainer, TrainingBatch } from './trainer.js';

/** What a training may spend: seconds of its own, whatever its steps take, or steps. */
export type Budget = { readonly seconds: number } | { readonly steps: number };

/** How a training spends its budget. */
export interface BudgetPlan {
  readonly budget: Budget;
  /** Greatest learning rate: reached after the share `warmUp` of the budget, then half a cosine down to 0 at its end. */
  readonly rate: number;
  readonly warmUp: number;
  /** Shares of the budget after which the training pauses, rising, the last one 1. Pauses cost nothing. */
  readonly pauses: readonly number[];
}

/** What such a training needs from outside. */
export interface BudgetHost {
  /** The batch of a step, counted from 0; passes ownership of its tensors. */
  batch(step: number): TrainingBatch | Promise<TrainingBatch>;
  /** `spent`: seconds of training up to this step's end. */
  onStep(record: StepRecord & { readonly spent: number }): void;
  /** The network is in inference. */
  onPause(at: { readonly share: number; readonly step: number; readonly spent: number }): Promise<void>;
  /** All that the trained network and its optimiser are: a checkpoint at the end. */
  save(checkpoint: Uint8Array): Promise<void>;
  /** Seconds. */
  now(): number;
}

/** The learning rate when a share (0 to 1) of the budget is spent: linear up to `warmUp`, then half a cosine to 0. */
export function budgetRate({ rate, warmUp }: Pick<BudgetPlan, 'rate' | 'warmUp'>, share: number): number {
  const left = (1 + Math.cos(Math.PI * Math.min(1, share))) / 2;
  return rate * left * (warmUp > 0 ? Math.min(1, (share + 0.01) / (warmUp + 0.01)) : 1);
}

/**
 * Trains until a budget is spent; answers the steps done and the seconds that they took. Only training counts: whatever the
 * host does in pauses does not. With a budget of seconds the learning rate follows the time spent, so that a faster network
 * takes more steps through the same schedule.
 * @throws NumericError where a loss is no finite number.
 */
export async function trainWithin(
  trainer: Trainer,
  plan: BudgetPlan,
  host: BudgetHost,
  run = '',
): Promise<{ readonly steps: number; readonly seconds: number }> {
  const { budget } = plan;
  let position: Position = { step: 0, epoch: 0, stepInEpoch: 0, run };
  let spent = 0;
  const shareAt = (step: number, seconds: number): number =>
    'steps' in budget ? step / budget.steps : seconds / budget.seconds;
  // Of a few steps, several shares may end at the same one.
  const pauses = plan.pauses.map((share) =>
    'steps' in budget ? Math.max(1, Math.round(share * budget.steps)) / budget.steps : share,
  );
  const now = (): number => host.now();
  for (const pause of new Set(pauses)) {
    const before = spent;
    const began = now();
    const seconds = (): number => before + now() - began;
    let next = position.step;
    position = await runTraining(
      trainer,
      {
        epochs: 1,
        stepsPerEpoch: Infinity,
        saveEvery: Infinity,
        evaluateEvery: 0,
        schedule: { text: 'budget', rate: ({ step }) => budgetRate(plan, shareAt(step, seconds())) },
      },
      position,
      {
        async batches(_, step) {
          next = step + 1;
          return { parts: [await host.batch(step)], name: `step ${step + 1}` };
        },
        onStep(record) {
          host.onStep({ ...record, spent: seconds() });
        },
        save: (checkpoint) => (pause >= 1 ? host.save(checkpoint) : Promise.resolve()),
        evaluate: () => Promise.resolve(NaN),
        stopRequested: () => shareAt(next, seconds()) >= pause,
        now,
      },
    );
    await trainer.network.parameters.gpu.device.queue.onSubmittedWorkDone();
    spent = seconds();
    trainer.network.train(false);
    await host.onPause({ share: pause, step: position.step, spent });
    trainer.resume();
  }
  return { steps: position.step, seconds: spent };
}
