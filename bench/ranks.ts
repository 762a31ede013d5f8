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

/** Parameters of MobileNet-0.25, and of the report's whole network on ResNet-50, in round numbers. */
const SUMS = [430_000, 29_000_000] as const;

/**
 * What it costs to be two on one machine: steps of eight pictures by one process on all cores and by two on half of them each,
 * and how long gradients take to be summed in order, alone. Needs mpirun and the package koffi.
 */
export function ranksTables(): void {
  const cores = cpus().length;
  const half = Math.max(1, Math.floor(cores / 2));
  const part = measured(1, half, 'step', '1', '7');
  const accumulated = measured(1, 0, 'step', '2', '7');
  const two = measured(2, half, 'step', '1', '7');
  const line = (what: string, seconds: number, note = ''): void => {
    console.log(`${what.padEnd(66)}${(1000 * seconds).toFixed(1).padStart(9)} ms${note}`);
  };
  const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
  console.log(
    `training step of published-mobilenet0.25, 320×320, 4 pictures a part; ${two.adapter ?? '?'}, ${cores} cores\n`,
  );
  line(`one process, one part, on ${half} of ${cores} cores`, part.seconds);
  line('one process, --accumulate 2, on all cores', accumulated.seconds);
  line(
    `two ranks, one part each on ${half} of ${cores} cores`,
    two.seconds,
    `   ${(two.seconds / part.seconds).toFixed(2)} of the first, ${(two.seconds / accumulated.seconds).toFixed(2)} of the second`,
  );
  console.log(`\nsums of gradients in the order of ranks, on this machine\n`);
  for (const numbers of SUMS) {
    for (const processes of [2, 4]) {
      const { seconds, bytes } = measured(processes, 0, 'sum', String(numbers), numbers > 1e6 ? '3' : '9');
      // A number travels from all ranks but one to that one, and back.
      const moved = (2 * bytes * (processes - 1)) / processes;
      line(
        `${mib(bytes)} MiB over ${processes} processes`,
        seconds,
        `   ${(moved / seconds / 1e9).toFixed(2)} GB/s of each`,
      );
    }
  }
}
