import { checkOptions } from '../gpu/arguments.js';
import type { Choices } from '../gpu/choices.js';
import { WeightsError } from '../gpu/errors.js';
import { readNetworkState, writeNetworkState } from '../retinaface/network_state.js';
import { readSafetensors, writeSafetensors } from '../weights/safetensors.js';
import { OPTIMISER_PREFIX, type StateDict, type StateTensor } from '../weights/state.js';
import type { Trainer } from './trainer.js';

/** Where a run stands between two steps, and what it must not change when it goes on. */
export interface Position {
  /** Steps done since the beginning. */
  readonly step: number;
  /** The epoch of the next step, from 0, and the steps of it that are done. */
  readonly epoch: number;
  readonly stepInEpoch: number;
  /** The best average precision so far, and the epoch after which it was measured. */
  readonly best?: { readonly score: number; readonly epoch: number };
  /** The epoch before was not evaluated yet: a run that goes on from here begins with that. */
  readonly unevaluated?: true;
  /** Adapters that the run has gone on, in the order of their first steps. */
  readonly adapters?: readonly string[];
  /** What the run was started with, as text: another text is another run. */
  readonly run: string;
}

const KEY = 'retinaface.training';
/** The ways of `gpu.choices`: others round sums in another order. */
const CHOICES = 'retinaface.choices';
const CONFIGURATION = 'configuration';
const WIDTH = 'width';

/**
 * One safetensors file with all that a run needs to go on bit for bit: parameters and running statistics (under their
 * names, so that the file is also a weights file), the momentum of each parameter (`optimizer.…`), and the position.
 */
export async function encodeCheckpoint(trainer: Trainer, position: Position): Promise<Uint8Array> {
  checkOptions('encodeCheckpoint', { trainer, position }, { trainer: 'object!', position: 'object!' });
  const [parameters, momentum] = await Promise.all([readNetworkState(trainer.network), trainer.optimiser.state()]);
  const tensors = new Map<string, StateTensor>(parameters);
  for (const [name, tensor] of momentum) tensors.set(OPTIMISER_PREFIX + name, tensor);
  const { name, width } = trainer.network.configuration;
  const { choices } = trainer.network.parameters.gpu;
  return writeSafetensors(tensors, {
    [KEY]: JSON.stringify(position),
    [CONFIGURATION]: name,
    [WIDTH]: String(width),
    ...(choices.size > 0 && { [CHOICES]: JSON.stringify([...choices]) }),
  });
}

/** Whose checkpoint a file is, and where the run stood. */
export interface CheckpointHead {
  /** The name of the network's configuration, and its width. */
  readonly configuration: string;
  readonly width: number;
  readonly position: Position;
}

/** Reads the head of a checkpoint from the file's metadata. @throws WeightsError for one that is no checkpoint, or damaged. */
export function readPosition(metadata: Readonly<Record<string, string>>, source: string): CheckpointHead {
  const { [KEY]: text, [CONFIGURATION]: configuration = '', [WIDTH]: width = '1' } = metadata;
  const problem = (got: string, remedy: string, cause?: unknown): WeightsError =>
    new WeightsError({
      operation: `read the training in ${source}`,
      expected: 'a checkpoint of a training',
      got,
      remedy,
      cause,
    });
  if (text === undefined) {
    throw problem('weights alone', 'Start a new run from them with `--init`, in another folder.');
  }
  const changed = (cause?: unknown): WeightsError =>
    problem(`'${text.slice(0, 60)}'`, 'The file was changed: take another checkpoint of that run.', cause);
  let position: unknown;
  try {
    position = JSON.parse(text);
  } catch (cause) {
    throw changed(cause);
  }
  if (!isPosition(position) || !(Number(width) > 0 && Number(width) <= 1)) throw changed();
  return { configuration, width: Number(width), position };
}

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;

/** A run must not go on from numbers that cannot be: from no step at all it would end at once, as if all were done. */
function isPosition(value: unknown): value is Position {
  if (typeof value !== 'object' || value === null) return false;
  const { step, epoch, stepInEpoch, best, unevaluated, adapters, run } = value as Partial<
    Record<keyof Position, unknown>
  >;
  const { score, epoch: of } = (best ?? { score: 0, epoch: 0 }) as Partial<Record<'score' | 'epoch', unknown>>;
  return (
    [step, epoch, stepInEpoch, of].every(isCount) &&
    Number.isFinite(score) &&
    [undefined, true].includes(unevaluated as true | undefined) &&
    (adapters === undefined || (Array.isArray(adapters) && adapters.every((name) => typeof name === 'string'))) &&
    typeof run === 'string'
  );
}

/** Whether a text lists ways by the names of computations. */
function isChoices(value: unknown): value is [string, string][] {
  const isPair = (pair: unknown): boolean =>
    Array.isArray(pair) && pair.length === 2 && pair.every((part) => typeof part === 'string');
  return Array.isArray(value) && value.every(isPair);
}

/** The ways by which a run computes: those that it began with, or the rules. */
function readChoices(text: string | undefined): Choices {
  if (text === undefined) return new Map();
  try {
    const value: unknown = JSON.parse(text);
    if (isChoices(value)) return new Map(value);
  } catch {
    // Said below.
  }
  throw new WeightsError({
    operation: 'read the training',
    expected: `${CHOICES} to list ways of computations`,
    got: `'${text.slice(0, 60)}'`,
    remedy: 'The file was changed: take another checkpoint of that run.',
  });
}

/**
 * Puts a checkpoint back into a trainer of the same configuration; answers where the run stood. The device computes by the ways
 * that the run began with from then on.
 * @throws WeightsError for a file that is damaged, of another network or no checkpoint; nothing has changed then.
 */
export function restoreCheckpoint(trainer: Trainer, bytes: Uint8Array, source: string): Position {
  checkOptions('restoreCheckpoint', { trainer }, { trainer: 'object!' });
  const { tensors, metadata } = readSafetensors(bytes, source);
  const { position } = readPosition(metadata, source);
  const choices = readChoices(metadata[CHOICES]);
  const parameters: StateDict = new Map([...tensors].filter(([name]) => !name.startsWith(OPTIMISER_PREFIX)));
  const momentum: StateDict = new Map(
    [...tensors]
      .filter(([name]) => name.startsWith(OPTIMISER_PREFIX))
      .map(([name, tensor]) => [name.slice(OPTIMISER_PREFIX.length), tensor]),
  );
  writeNetworkState(trainer.network, parameters, source);
  trainer.optimiser.load(momentum);
  trainer.resume();
  trainer.network.parameters.gpu.choices = choices;
  return position;
}
