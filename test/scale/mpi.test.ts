// Ranks that mpirun starts: what they exchange, a training that is one process's to the bit, and how ranks end each other.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';

const folder = mkdtempSync(join(tmpdir(), 'retinaface-mpi-'));
test.after(() => {
  rmSync(folder, { recursive: true, force: true });
});

const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const CLI = file('../../src/cli/main.ts');
const SECOND = 1000;
/** From the death of a rank to the end of all: mpirun waits a second between asking and killing. */
const SECONDS_TO_END = 10 * SECOND;

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const environment = {
  ...process.env,
  // Two ranks on two cores; containers run tests as root.
  LP_NUM_THREADS: '1',
  OMPI_ALLOW_RUN_AS_ROOT: '1',
  OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1',
};

function start(
  program: string,
  args: readonly string[],
): { readonly child: ChildProcess; readonly ended: Promise<Ended> } {
  const child = spawn(program, args, { env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (text: Buffer) => (stdout += text.toString()));
  child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      resolve({ code, stdout, stderr });
    });
  });
  return { child, ended };
}

const NODE = [process.execPath, '--import', 'tsx'];
const mpirun = (size: number, ...args: readonly string[]) =>
  start('mpirun', ['--bind-to', 'none', '--oversubscribe', '-n', String(size), ...NODE, ...args]);

const TRAINING = [
  ...['train', '--config', 'published-mobilenet0.25', '--synthetic', '80', '--size', '64', '--scene', '80'],
  ...['--epochs', '1', '--batch', '2', '--schedule', 'constant:0.01', '--clip', '10', '--save-every', '10'],
  ...['--evaluation', '2', '--workers', '1'],
];

const names = ['last.safetensors', 'best.safetensors'];
const bytesOf = (workdir: string): readonly Buffer[] => names.map((name) => readFileSync(join(workdir, name)));
/** A log without what the clock says. */
const logOf = (workdir: string): readonly string[] =>
  readFileSync(join(workdir, 'log.jsonl'), 'utf8')
    .replace(/,"(seconds|imagesPerSecond)":[^,}]*/g, '')
    .split('\n');

/** Twenty steps of one process, and the evaluation behind them. */
const alone = join(folder, 'alone');

test('ranks exchange, gather, broadcast and sum in their order', async () => {
  const { code, stdout, stderr } = await mpirun(3, file('mpi_calls.ts')).ended;
  assert.equal(code, 0, stderr);
  const answers = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { readonly rank: number });
  const f = Math.fround;
  const sum = [0, 1, 2, 10, 11, 12].map((k) => f(1 / (3 + k))).reduce((total, value) => f(total + value));
  assert.deepEqual(
    answers.sort((a, b) => a.rank - b.rank),
    [0, 1, 2].map((rank) => ({
      rank,
      size: 3,
      gathered: [[], [1], [2, 2]],
      exchanged: [
        [[0], [10], [20]],
        [[], [], []],
        [
          [1, 2],
          [11, 12],
          [21, 22],
        ],
      ][rank],
      received: 0,
      sums: [sum],
      both: [
        [[0], [1], [2]],
        [[100], [101], [102]],
      ],
    })),
  );
});

test('two ranks learn what one process with --accumulate 2 learns in 20 steps: the same files, the same log', async () => {
  const one = await start(NODE[0]!, [...NODE.slice(1), CLI, ...TRAINING, '--accumulate', '2', '--workdir', alone])
    .ended;
  assert.equal(one.code, 0, one.stderr);
  const together = join(folder, 'together');
  const two = await mpirun(2, CLI, ...TRAINING, '--workdir', together).ended;
  assert.equal(two.code, 0, two.stderr);
  for (const [i, bytes] of bytesOf(together).entries()) assert.ok(bytes.equals(bytesOf(alone)[i]!), names[i]);
  assert.deepEqual(logOf(together), logOf(alone));
  assert.equal(logOf(alone).length, 20 + 1 + 1, 'steps, the evaluation, the end of the last line');
});

/** The process that mpirun started as a rank. */
function processOf(launcher: ChildProcess, rank: number): number {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const parent = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')[1];
      const given = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
      if (Number(parent) === launcher.pid && given.includes(`OMPI_COMM_WORLD_RANK=${rank}`)) return Number(pid);
    } catch {
      // Ended while it was looked at, or another user's.
    }
  }
  throw new Error(`mpirun has no rank ${rank}`);
}

/** Whether a process runs; one that has ended may wait for somebody to ask after it. */
function alive(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.startsWith('Z');
  } catch {
    return false;
  }
}

test('a killed rank ends the other within seconds and is named; the same command goes on to the same bits', async () => {
  const workdir = join(folder, 'killed');
  const { child, ended } = mpirun(2, CLI, ...TRAINING, '--workdir', workdir);
  while (!existsSync(join(workdir, 'last.safetensors')) && child.exitCode === null) await wait(10);
  const [survivor, victim] = [processOf(child, 0), processOf(child, 1)];
  process.kill(victim, 'SIGKILL');
  const killed = performance.now();
  const { code, stderr } = await ended;
  // mpirun does not wait for those that it kills.
  while ((alive(survivor) || alive(victim)) && performance.now() - killed < SECONDS_TO_END) await wait(50);
  assert.ok(performance.now() - killed < SECONDS_TO_END, 'within seconds');
  assert.notEqual(code, 0);
  assert.match(stderr, /process rank 1 .*exited on signal 9/);
  assert.match(stderr, /rank 0 of 2 on .*another rank ended; the same command goes on/);
  assert.ok(!alive(survivor) && !alive(victim));
  const before = logOf(workdir).length;
  assert.ok(before < 20, `${before} lines`);
  const again = await mpirun(2, CLI, ...TRAINING, '--workdir', workdir).ended;
  assert.equal(again.code, 0, again.stderr);
  assert.match(again.stderr, /going on after step 10 of 20/);
  for (const [i, bytes] of bytesOf(workdir).entries()) assert.ok(bytes.equals(bytesOf(alone)[i]!), names[i]);
});

test('a rank that fails says so with its name and ends all, with the exit code of its error', async () => {
  const { code, stderr } = await mpirun(2, CLI, ...TRAINING, '--seed', '2', '--workdir', alone).ended;
  assert.equal(code, 2, stderr);
  assert.match(stderr, /retinaface train: rank 0 of 2 on \S+ failed, and ends all: train: expected the options that/);
});

test('a process that says it is one of two, and that no mpirun of Open MPI started, is told so', async () => {
  const { ended } = start('env', [
    'OMPI_COMM_WORLD_SIZE=2',
    ...NODE,
    CLI,
    ...TRAINING,
    '--workdir',
    join(folder, 'none'),
  ]);
  const { code, stderr } = await ended;
  assert.equal(code, 1, stderr);
  assert.match(
    stderr,
    /expected Open MPI's library, whose mpirun started this process, got one that knows of 1 process/,
  );
  assert.ok(!existsSync(join(folder, 'none')));
});

test.run();
