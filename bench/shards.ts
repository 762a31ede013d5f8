// `npm run bench -- shards`: a list of pictures searched by 1, 2 and 4 processes on this machine, beside what the plan foretells.
import { spawn } from 'node:child_process';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PICTURES = 96;
const SIZE = 320;
const BATCH = 4;
const PROCESSES = [1, 2, 4];
const CORES = availableParallelism();

const here = import.meta.url;
const main = fileURLToPath(new URL(`../src/cli/main${here.endsWith('.ts') ? '.ts' : '.js'}`, here));
const picture = fileURLToPath(new URL('../fixtures/pictures/scene_2.jpg', here));

/** Seconds of the clock, and of processors, that a command took. */
interface Took {
  readonly clock: number;
  readonly processor: number;
}

/** Runs one shard; `times` of bash says what its processors did. */
function shard(index: number, count: number, list: string, out: string, threads: number): Promise<number> {
  const args = [main, 'detect', list, '--out', out, '--shard', `${index}/${count}`, '--quiet'];
  const options = ['--size', String(SIZE), '--batch', String(BATCH)];
  const child = spawn(
    'bash',
    ['-c', '"$@" && times', '-', process.execPath, ...process.execArgv, ...args, ...options],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, LP_NUM_THREADS: String(threads) },
    },
  );
  let said = '';
  child.stdout.on('data', (text: Buffer) => (said += text.toString()));
  return new Promise((resolve, reject) => {
    child.on('close', (code) => {
      // The second line is that of children: `0m1.234s 0m0.567s`.
      const times = [...(said.trim().split('\n').at(-1) ?? '').matchAll(/(\d+)m([\d.]+)s/g)];
      if (code === 0 && times.length === 2) {
        resolve(times.reduce((sum, [, minutes, seconds]) => sum + 60 * Number(minutes) + Number(seconds), 0));
      } else reject(new Error(`a shard ended with ${code ?? 'a signal'}`));
    });
  });
}

async function search(folder: string, processes: number, pictures: number): Promise<Took> {
  const list = join(folder, `${processes} ${pictures}.txt`);
  const names = Array.from({ length: pictures }, (_, i) => join(folder, `${i}.jpg`));
  await writeFile(list, names.map((name) => `${name}\n`).join(''));
  const threads = Math.max(1, Math.floor(CORES / processes));
  const began = performance.now();
  const shards = Array.from({ length: processes }, (_, i) => shard(i, processes, list, `${list} out`, threads));
  const processors = await Promise.all(shards);
  return { clock: (performance.now() - began) / 1000, processor: processors.reduce((a, b) => a + b, 0) };
}

/** Prints the table. */
export async function shardsTable(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'retinaface-shards-'));
  try {
    const most = PICTURES + Math.max(...PROCESSES);
    for (let i = 0; i < most; i++) await copyFile(picture, join(folder, `${i}.jpg`));
    console.log(
      `a JPEG of 640×640 searched at ${SIZE}, batches of ${BATCH}, ${PICTURES} pictures beyond one a process; ${CORES} cores\n`,
    );
    for (const processes of PROCESSES) {
      // The start of a process, and its first picture, are in both.
      const few = await search(folder, processes, processes);
      const many = await search(folder, processes, processes + PICTURES);
      const clock = many.clock - few.clock;
      const each = (many.processor - few.processor) / PICTURES;
      console.log(
        `${String(processes).padStart(2)} process${processes > 1 ? 'es' : '  '}: ${(PICTURES / clock).toFixed(1)} pictures a second; ` +
          `${(1000 * each).toFixed(1)} ms of one core a picture, by which ${(CORES / each).toFixed(1)} are foretold; ` +
          `${few.clock.toFixed(1)} s to start and find the first`,
      );
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
