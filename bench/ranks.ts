import { spawnSync } from 'node:child_process';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';

interface Measured {
  readonly seconds: number;
  readonly bytes: number;
  readonly adapter?: string;
}

const WORKER = ['--import', 'tsx', fileURLToPath(new URL('ranks_worker.ts', import.meta.url))];

/** What the worker measures in some processes with so many threads of a software driver each; 0 for all that it takes. */
function measured(processes: number, threads: number, ...args: readonly string[]): Measured {
  const mpirun = ['mpirun', '--bind-to', 'none', '--oversubscribe', '-n', String(processes), process.execPath];
  const [program = '', ...before] = processes > 1 ? mpirun : [process.execPath];
  const { status, stdout, stderr } = spawnSync(program, [...before, ...WORKER, ...args], {
    encoding: 'utf8',
    env: {
      ...process.env,
      ...(threads > 0 ? { LP_NUM_THREADS: String(threads) } : {}),
      OMPI_ALLOW_RUN_AS_ROOT: '1',
      OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1',
    },
  });
  if (status === 0) return JSON.parse(stdout.trim().split('\n').at(-1)!) as Measured;
  throw new Error(`${program} ended with ${status ?? 'a signal'}:\n${stderr}`);
}

/** Numbers of the gradients of the network whose steps are measured, and those of the report's whole network on ResNet-50. */
const SUMS = [430_000, 29_000_000] as const;
const RANKS = [2, 4];

/**
 * What it costs to be several on one machine: steps of four pictures a part by one process on all cores that accumulates, and by
 * ranks on their share of them, beside what the plan foretells (a part alone, as often as cores are shared, and the sums); and how
 * long gradients take to be summed in order, alone. Needs mpirun and the package koffi.
 */
export function ranksTables(): void {
  const cores = cpus().length;
  const line = (what: string, seconds: number, note = ''): void => {
    console.log(`${what.padEnd(66)}${(1000 * seconds).toFixed(1).padStart(9)} ms${note}`);
  };
  const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
  const [own, whole] = SUMS;
  const sum = (numbers: number, processes: number, rounds: number): number => {
    const { seconds, bytes } = measured(processes, 0, 'sum', String(numbers), String(rounds));
    // A number travels from all ranks but one to that one, and back.
    const moved = (2 * bytes * (processes - 1)) / processes;
    const rate = `   ${(moved / seconds / 1e9).toFixed(2)} GB/s of each`;
    line(`sums of ${mib(bytes)} MiB over ${processes} processes, in the order of ranks`, seconds, rate);
    return seconds;
  };
  for (const processes of RANKS) {
    const share = Math.max(1, Math.floor(cores / processes));
    const part = measured(1, share, 'step', '1', '5');
    const accumulated = measured(1, 0, 'step', String(processes), '5');
    const seen = measured(processes, share, 'step', '1', '5');
    const adapter = processes === RANKS[0] ? `; ${seen.adapter ?? '?'}, ${cores} cores` : '';
    console.log(
      `\ntraining step of published-mobilenet0.25, 320×320, 4 pictures a part, ${processes} parts${adapter}\n`,
    );
    line(`one process, one part, on ${share} of ${cores} cores`, part.seconds);
    line(`one process, --accumulate ${processes}, on all cores`, accumulated.seconds);
    const foretold = part.seconds * Math.max(1, (processes * share) / cores) + sum(own, processes, 9);
    line(
      `${processes} ranks, one part each on ${share} of ${cores} cores`,
      seen.seconds,
      `   ${(seen.seconds / accumulated.seconds).toFixed(2)} of one process; foretold ${(1000 * foretold).toFixed(0)} ms`,
    );
  }
  console.log();
  for (const processes of RANKS) sum(whole, processes, 3);
}
