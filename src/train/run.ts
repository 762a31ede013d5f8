import { NumericError } from '../gpu/errors.js';
import { encodeCheckpoint, type Position } from './checkpoint.js';
import { anyRank, fromFirst, type Ranks, ranksThatDiffer } from './ranks.js';
import type { Schedule } from './schedule.js';
import { freeBatch, type Losses, type Trainer, type TrainingBatch } from './trainer.js';

/** What a run does, whatever its pictures are. */
export interface RunPlan {
  readonly epochs: number;
  readonly stepsPerEpoch: number;
  readonly schedule: Schedule;
  /** Steps between two `last` checkpoints inside an epoch; one is written after each epoch anyway. */
  readonly saveEvery: number;
  /** Epochs between two evaluations; 0 for none. */
  readonly evaluateEvery: number;
}

/** One step as the log shows it. */
export interface StepRecord extends Losses {
  /** Steps done, this one included. */
  readonly step: number;
  readonly epoch: number;
  readonly rate: number;
  readonly gradientNorm: number;
  /** Since the step before. */
  readonly seconds: number;
  readonly images: number;
}

/**
 * What a run needs from outside: pictures, places to write, a clock. Where several ranks train together each has one; all are
 * told of steps and asked to save, rank 0 alone to evaluate.
 */
export interface RunHost {
  /**
   * The parts of a step (one, or several that are accumulated; of several ranks its own) and what errors call it; passes
   * ownership of the tensors.
   */
  batches(epoch: number, stepInEpoch: number): Promise<{ parts: readonly TrainingBatch[]; name: string }>;
  /** Called in the order of the steps, after the step's numbers were read. */
  onStep(record: StepRecord): void;
  save(checkpoint: Uint8Array, which: 'last' | 'best'): Promise<void>;
  /** Average precision of the network as it is (in inference while this runs); higher is better. */
  evaluate(epoch: number): Promise<number>;
  /** True to end after this step, with everything saved. */
  stopRequested(): boolean;
  /** Seconds. */
  now(): number;
}

interface Pending {
  readonly numbers: Promise<readonly [Losses, Float32Array]>;
  readonly record: Omit<StepRecord, keyof Losses | 'gradientNorm' | 'seconds'>;
  readonly name: string;
}

/** Where a run that several ranks share stands is the same in all of them, to the bit: what one writes is what all have. */
async function checkAlike(ranks: Ranks, checkpoint: Uint8Array, step: number): Promise<void> {
  const others = await ranksThatDiffer(ranks, checkpoint);
  if (others.length === 0) return;
  throw new NumericError({
    operation: `save after training step ${step}`,
    expected: 'the same weights, to the bit, in all ranks',
    got: `others than rank 0 has in rank ${others.join(', ')}`,
    remedy: 'Give all ranks the same GPU and driver; the last checkpoint is untouched.',
  });
}

/**
 * Trains from a position to the end of the plan, or until asked to stop; answers where it stands then. The numbers of a
 * step are read while the next one runs, so that the device never waits for the log. An epoch is saved before it is
 * evaluated, and again after that. With a trainer that has ranks, these train together and stop together.
 * @throws NumericError naming the batch where a loss is no finite number: the update of that step was not done, and the
 * last checkpoint stays.
 */
export async function runTraining(trainer: Trainer, plan: RunPlan, from: Position, host: RunHost): Promise<Position> {
  const { ranks } = trainer;
  const totalSteps = plan.epochs * plan.stepsPerEpoch;
  const { unevaluated, ...start } = from;
  let position: Position = start;
  let pending: Pending | undefined;
  let clock = host.now();
  const settle = async (): Promise<void> => {
    if (!pending) return;
    const { numbers, record, name } = pending;
    pending = undefined;
    const [losses, norm] = await numbers;
    const now = host.now();
    if (!Number.isFinite(losses.total)) {
      throw new NumericError({
        operation: `training step ${record.step}`,
        expected: 'a finite loss',
        got: `${losses.total} (class ${losses.class}, box ${losses.box}, landmarks ${losses.landmark}) of ${name}`,
        remedy: 'Lower the learning rate, add a warm-up or clip the gradient; the last checkpoint is untouched.',
      });
    }
    host.onStep({ ...record, ...losses, gradientNorm: norm[0] ?? NaN, seconds: now - clock });
    clock = now;
  };
  const save = async (at: Position, names: readonly ('last' | 'best')[]): Promise<void> => {
    const checkpoint = await encodeCheckpoint(trainer, at);
    if (ranks) await checkAlike(ranks, checkpoint, at.step);
    for (const name of names) await host.save(checkpoint, name);
  };
  const evaluate = async (): Promise<void> => {
    const epoch = position.epoch - 1;
    trainer.network.train(false);
    const score = await fromFirst(ranks, () => host.evaluate(epoch));
    trainer.resume();
    const better = score > (position.best?.score ?? -Infinity);
    if (better) position = { ...position, best: { score, epoch } };
    await save(position, better ? ['best', 'last'] : ['last']);
    clock = host.now();
  };

  if (unevaluated && plan.evaluateEvery > 0) await evaluate();

  while (position.epoch < plan.epochs) {
    const { epoch, stepInEpoch, step } = position;
    const { parts, name } = await host.batches(epoch, stepInEpoch);
    const rate = plan.schedule.rate({ step, epoch, totalSteps });
    const losses = await trainer.accumulateTogether(parts);
    const images = (ranks?.size ?? 1) * parts.reduce((sum, { x }) => sum + (x.shape[0] ?? 0), 0);
    for (const part of parts) freeBatch(part);
    trainer.step(rate);
    const numbers = Promise.all([trainer.read(losses), trainer.optimiser.gradientNorm().read()]);
    // A failure is met where it is awaited, after the step before was settled.
    numbers.catch(() => undefined);
    await settle();
    pending = { numbers, record: { step: step + 1, epoch, rate, images }, name };

    const ended = stepInEpoch + 1 === plan.stepsPerEpoch;
    const next = ended ? { epoch: epoch + 1, stepInEpoch: 0 } : { epoch, stepInEpoch: stepInEpoch + 1 };
    position = { ...position, step: step + 1, ...next };
    const stopping = await anyRank(ranks, host.stopRequested());
    if (!ended && !stopping && position.step % plan.saveEvery !== 0) continue;
    await settle();
    const due = ended && plan.evaluateEvery > 0 && position.epoch % plan.evaluateEvery === 0;
    // Before the evaluation: where that fails, no step is lost.
    await save(due ? { ...position, unevaluated: true } : position, ['last']);
    if (due) await evaluate();
    if (stopping) break;
  }
  await settle();
  return position;
}
