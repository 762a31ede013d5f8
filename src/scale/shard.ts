import { ArgumentError } from '../gpu/errors.js';

/** One of `count` equal parts of a list; `index` counts from 0. */
export interface Shard {
  readonly index: number;
  readonly count: number;
}

/** The whole list as one shard. */
export const WHOLE: Shard = { index: 0, count: 1 };

const MAX_SHARDS = 1_000_000;

type Environment = Readonly<Record<string, string | undefined>>;

/** What a scheduler says of the task that it started; undefined where it did not start it. */
type Scheduler = (env: Environment) => { readonly index: number; readonly count: number | undefined } | undefined;

/**
 * Kubernetes says the index of an indexed job's pod, and not how many there are: the manifest repeats `completions` as
 * `JOB_COMPLETIONS`. Slurm counts tasks as `--array` says. AWS Batch says both.
 */
const SCHEDULERS: readonly Scheduler[] = [
  (env) => {
    const index = wholeOf(env, 'JOB_COMPLETION_INDEX');
    return index === undefined ? undefined : { index, count: wholeOf(env, 'JOB_COMPLETIONS') };
  },
  (env) => {
    const index = wholeOf(env, 'SLURM_ARRAY_TASK_ID');
    if (index === undefined) return undefined;
    const [min, max] = [wholeOf(env, 'SLURM_ARRAY_TASK_MIN'), wholeOf(env, 'SLURM_ARRAY_TASK_MAX')];
    const count = wholeOf(env, 'SLURM_ARRAY_TASK_COUNT');
    // Where some tasks alone were submitted again, their number is not that of the shards.
    return { index, count: min === 0 && count !== undefined && max === count - 1 ? count : undefined };
  },
  (env) => {
    const index = wholeOf(env, 'AWS_BATCH_JOB_ARRAY_INDEX');
    return index === undefined ? undefined : { index, count: wholeOf(env, 'AWS_BATCH_JOB_ARRAY_SIZE') };
  },
];

function wholeOf(env: Environment, name: string): number | undefined {
  const text = env[name];
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

/**
 * What `--shard` says: `I/N`, with I from 0 to N − 1; `auto`, both from the environment of the scheduler that started the
 * process (a Kubernetes indexed job, a Slurm array, AWS Batch); `auto/N`, the index alone from there.
 * @throws ArgumentError.
 */
export function readShard(given: string, env: Environment, operation = 'detect'): Shard {
  const fail = (expected: string, got: string, remedy: string): ArgumentError =>
    new ArgumentError({ operation, expected, got, remedy });
  const [, first = '', last] = /^(auto|\d{1,9})(?:\/(\d{1,9}))?$/.exec(given) ?? [];
  if (first === '' || (first !== 'auto' && last === undefined)) {
    const remedy = 'The first of eight is 0/8, the last 7/8.';
    throw fail('--shard to be I/N, auto or auto/N', `'${given}'`, remedy);
  }
  let index = Number(first);
  let count = last === undefined ? undefined : Number(last);
  if (first === 'auto') {
    const task = SCHEDULERS.map((scheduler) => scheduler(env)).find((found) => found !== undefined);
    if (!task) {
      const expected = '--shard auto in a Kubernetes indexed job, a Slurm array or an array job of AWS Batch';
      const got = 'none of JOB_COMPLETION_INDEX, SLURM_ARRAY_TASK_ID, AWS_BATCH_JOB_ARRAY_INDEX';
      throw fail(expected, got, 'Say which one it is: --shard 0/8.');
    }
    index = task.index;
    count ??= task.count;
    if (count === undefined) {
      const expected = 'the number of shards from the environment: JOB_COMPLETIONS in Kubernetes, --array=0-N in Slurm';
      throw fail(expected, `the index ${index} alone`, 'Set it, or say the number: --shard auto/8.');
    }
  }
  if (count! < 1 || count! > MAX_SHARDS || index >= count!) {
    const expected = `a shard of 0 to N - 1, of at most ${MAX_SHARDS.toLocaleString('en')}`;
    throw fail(expected, `${index} of ${count!}`, 'The first of eight is 0/8, the last 7/8.');
  }
  return { index, count: count! };
}

/** Which part of a list of `length` a shard is: from `first`, up to and without `end`. Those of all shards are the list, in order. */
export function rangeOf({ index, count }: Shard, length: number): { readonly first: number; readonly end: number } {
  // Not index · length / count, which may be more than numbers hold exactly.
  const least = Math.floor(length / count);
  const larger = length % count;
  const first = index * least + Math.min(index, larger);
  return { first, end: first + least + (index < larger ? 1 : 0) };
}
