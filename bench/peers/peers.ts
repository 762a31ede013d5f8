// `npm run peers`: the same computations by ours, by ONNX Runtime's WebGPU and CPU providers and by PyTorch on the CPU,
// checked, then timed in turns. One line of JSON for each case and way goes to the file named after `--json`, peers.jsonl unless given.
import { fork, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Case, CASES, FACES, FLOPS, SHAPES, TITLES } from './cases.js';
import type { Reply, Request } from './runner.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'string', default: 'peers.jsonl' },
    rounds: { type: 'string', default: '5' },
    python: { type: 'string', default: '/usr/bin/python3' },
  },
});
const rounds = Number(values.rounds);
if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds is a whole number from 1, not ${values.rounds}`);
const wanted = CASES.filter((which) => positionals.length === 0 || positionals.includes(which));
if (wanted.length === 0 || positionals.some((name) => !(CASES as readonly string[]).includes(name)))
  throw new Error(`cases are ${CASES.join(', ')}, not ${positionals.join(', ')}`);

const WAYS = ['ours', 'webgpu', 'cpu', 'tfjs', 'torch'] as const;
type Way = (typeof WAYS)[number];
const NAMES: Readonly<Record<Way, string>> = {
  ours: 'ours, WebGPU',
  webgpu: 'ONNX Runtime, WebGPU',
  cpu: 'ONNX Runtime, CPU',
  tfjs: 'TensorFlow.js, WebGPU',
  torch: 'PyTorch, CPU',
};

/** Ways of each case; the first is what the others are checked against. */
const WAYS_OF: Readonly<Record<Case, readonly Way[]>> = {
  convolution: ['cpu', 'ours', 'webgpu', 'torch'],
  trunk: ['cpu', 'ours', 'webgpu', 'torch'],
  network: ['torch', 'ours'],
  step: ['ours', 'torch', 'tfjs'],
};

/** A way in a process of its own. */
interface Peer {
  /** What it calls itself. */
  readonly ready: string;
  ask(request: Request): Promise<Reply>;
  end(): void;
}

/** ‖a − b‖ / ‖b‖ beyond which two outputs are not the same computation in float32: some 50 layers of rounding. */
const TOLERANCE = 1e-4;

process.env['XDG_RUNTIME_DIR'] ??= '/tmp';
const folder = mkdtempSync(join(tmpdir(), 'peers-'));
const peers = new Map<Way, Peer>();

/** Answers to questions in order, and the end of the process to all that are open. */
function conversation() {
  const open: ((reply: Reply) => void)[] = [];
  return {
    next: () =>
      new Promise<Reply>((resolve) => {
        open.push(resolve);
      }),
    heard: (reply: Reply): void => {
      open.shift()?.(reply);
    },
    ended: (code: number | null, signal: string | null): void => {
      for (const resolve of open.splice(0)) resolve({ error: `its process ended with ${String(code ?? signal)}` });
    },
  };
}

function node(way: Way): Omit<Peer, 'ready'> & { readonly first: Promise<Reply> } {
  const { next, heard, ended } = conversation();
  const child = fork(fileURLToPath(new URL('runner.ts', import.meta.url)), [way], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  child.on('message', (message) => {
    heard(message as Reply);
  });
  child.on('exit', ended);
  return {
    first: next(),
    ask: (request) => {
      child.send(request);
      return next();
    },
    end: () => {
      if (child.connected) child.disconnect();
    },
  };
}

function python(): Omit<Peer, 'ready'> & { readonly first: Promise<Reply> } {
  const { next, heard, ended } = conversation();
  const child = spawn(values.python, [fileURLToPath(new URL('torch_runner.py', import.meta.url))], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  createInterface(child.stdout).on('line', (line) => {
    heard(JSON.parse(line) as Reply);
  });
  child.on('exit', ended);
  return {
    first: next(),
    ask: ({ which, file }) => {
      const boxes = new Array(SHAPES[which].input[0]!).fill(FACES);
      child.stdin.write(`${JSON.stringify({ which, file, shape: SHAPES[which].input, boxes })}\n`);
      return next();
    },
    end: () => {
      child.stdin.end();
    },
  };
}

/** Why PyTorch cannot run here; undefined where it can. */
function torchIsMissing(): string | undefined {
  const { status, error } = spawnSync(values.python, ['-c', 'import numpy, torch, torchvision'], { stdio: 'ignore' });
  if (status === 0) return undefined;
  return error
    ? `${values.python}: ${error.message}`
    : `${values.python} has no torch and torchvision (Debian: apt install python3-torch python3-torchvision)`;
}

async function timeOf(way: Way, request: Request): Promise<number> {
  const got = await peers.get(way)!.ask(request);
  if ('ms' in got) return got.ms;
  throw new Error(`${NAMES[way]}: ${'error' in got ? got.error : 'no time'}`);
}

function difference(file: string, reference: string): number {
  const read = (path: string): Float32Array => new Float32Array(new Uint8Array(readFileSync(path)).buffer);
  const [a, b] = [read(file), read(reference)];
  let [error, norm] = [0, 0];
  for (let i = 0; i < b.length; i++) {
    error += (a[i]! - b[i]!) ** 2;
    norm += b[i]! ** 2;
  }
  return a.length === b.length && norm > 0 ? Math.sqrt(error / norm) : Number.POSITIVE_INFINITY;
}

async function measure(which: Case, adapter: string): Promise<string[]> {
  const ways: Way[] = [];
  const [reference, ...others] = WAYS_OF[which].filter((way) => peers.has(way)) as [Way, ...Way[]];
  if (others.length === 0) {
    console.log(`\n${TITLES[which]}: not measured, there is no peer for it`);
    return [];
  }
  // The first run warms up and is checked.
  for (const way of [reference, ...others]) {
    const file = join(folder, way);
    try {
      await timeOf(way, { which, file });
    } catch (error) {
      if (way !== 'webgpu') throw error;
      console.log(`${TITLES[which]}: not by ${(error as Error).message}`);
      continue;
    }
    const off = difference(file, join(folder, reference));
    if (!(off <= TOLERANCE))
      throw new Error(`${TITLES[which]}: ${NAMES[way]} differs from ${NAMES[reference]} by ${off}`);
    ways.push(way);
  }
  // Ours records in its second run what it repeats from then on.
  await timeOf('ours', { which });
  const times = new Map<Way, number[]>(ways.map((way) => [way, []]));
  for (let round = 0; round < rounds; round++)
    for (const way of ways) times.get(way)!.push(await timeOf(way, { which }));
  const medians = new Map<Way, number>();
  const lines: string[] = [];
  const flops = FLOPS[which];
  const work = flops === undefined ? '' : ` (${(flops / 1e9).toFixed(1)} GFLOP)`;
  console.log(`\n${TITLES[which]}${work}, median of ${rounds}`);
  for (const way of WAYS) {
    const sorted = times.get(way)?.sort((a, b) => a - b);
    if (!sorted) continue;
    const median = sorted[Math.floor((sorted.length - 1) / 2)]!;
    medians.set(way, median);
    const gflops = flops === undefined ? undefined : flops / median / 1e6;
    const [fastest, slowest] = [sorted[0]!, sorted.at(-1)!];
    console.log(
      `  ${NAMES[way].padEnd(24)}${median.toFixed(1).padStart(10)} ms  (${fastest.toFixed(1)} to ${slowest.toFixed(1)})` +
        (gflops === undefined ? '' : `${gflops.toFixed(1).padStart(9)} GFLOP/s`),
    );
    lines.push(
      JSON.stringify({ name: TITLES[which], way: NAMES[way], median, fastest, slowest, gflops, adapter, rounds }),
    );
  }
  const own = medians.get('ours')!;
  for (const way of WAYS) {
    const median = medians.get(way);
    if (way === 'ours' || median === undefined) continue;
    const [fast, slow] = median < own ? [NAMES[way], 'ours'] : ['ours', NAMES[way]];
    console.log(`  ${fast} is ${(Math.max(own, median) / Math.min(own, median)).toFixed(2)} times as fast as ${slow}`);
  }
  return lines;
}

try {
  const missing = torchIsMissing();
  if (missing !== undefined) console.log(`PyTorch is not measured: ${missing}`);
  for (const way of WAYS) {
    if (way === 'torch' && missing !== undefined) continue;
    const { first, ask, end } = way === 'torch' ? python() : node(way);
    const reply = await first;
    if (!('ready' in reply)) {
      end();
      throw new Error(`${NAMES[way]} does not start: ${'error' in reply ? reply.error : ''}`);
    }
    peers.set(way, { ready: reply.ready, ask, end });
  }
  const adapter = peers.get('ours')!.ready;
  const others = (['cpu', 'tfjs', 'torch'] as const).flatMap((way) => peers.get(way)?.ready ?? []);
  console.log(
    `${adapter}; ${others.join('; ')}; node ${process.version}; wall clock, arrays in, arrays out; ${new Date().toISOString().slice(0, 10)}`,
  );
  const lines: string[] = [];
  for (const which of wanted) lines.push(...(await measure(which, adapter)));
  writeFileSync(values.json, `${lines.join('\n')}\n`);
} finally {
  for (const { end } of peers.values()) end();
  rmSync(folder, { recursive: true, force: true });
}
