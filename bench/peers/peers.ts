// `npm run peers`: the same convolutions by ours and by ONNX Runtime's WebGPU and CPU providers, checked, then timed in
// turns. One line of JSON for each case and way goes to the file named after `--json`, peers.jsonl unless given.
import { fork, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Case, CASES, FLOPS, TITLES } from './cases.js';
import type { Reply, Request } from './runner.js';

const { values } = parseArgs({
  options: { json: { type: 'string', default: 'peers.jsonl' }, rounds: { type: 'string', default: '5' } },
});
const rounds = Number(values.rounds);
if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds is a whole number from 1, not ${values.rounds}`);

const WAYS = ['ours', 'webgpu', 'cpu'] as const;
type Way = (typeof WAYS)[number];
const NAMES: Readonly<Record<Way, string>> = {
  ours: 'ours, WebGPU',
  webgpu: 'ONNX Runtime, WebGPU',
  cpu: 'ONNX Runtime, CPU',
};

/** ‖a − b‖ / ‖b‖ beyond which two outputs are not the same computation in float32: some 50 layers of rounding. */
const TOLERANCE = 1e-4;

process.env['XDG_RUNTIME_DIR'] ??= '/tmp';
const folder = mkdtempSync(join(tmpdir(), 'peers-'));
const children = new Map<Way, ChildProcess>();

function answer(child: ChildProcess): Promise<Reply> {
  return new Promise((resolve) => {
    const done = (reply: Reply): void => {
      child.off('message', onMessage).off('exit', onExit);
      resolve(reply);
    };
    const onMessage = (message: unknown): void => {
      done(message as Reply);
    };
    const onExit = (code: number | null, signal: string | null): void => {
      done({ error: `its process ended with ${String(code ?? signal)}` });
    };
    child.on('message', onMessage).on('exit', onExit);
  });
}

async function timeOf(way: Way, request: Request): Promise<number> {
  const child = children.get(way)!;
  const reply = answer(child);
  child.send(request);
  const got = await reply;
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
  // The first run warms up and is checked: all against ONNX Runtime's CPU provider.
  for (const way of ['cpu', 'ours', 'webgpu'] as const) {
    const file = join(folder, way);
    try {
      await timeOf(way, { which, file });
    } catch (error) {
      if (way !== 'webgpu') throw error;
      console.log(`${TITLES[which]}: not by ${(error as Error).message}`);
      continue;
    }
    const off = difference(file, join(folder, 'cpu'));
    if (!(off <= TOLERANCE)) throw new Error(`${TITLES[which]}: ${NAMES[way]} differs from ${NAMES.cpu} by ${off}`);
    ways.push(way);
  }
  const times = new Map<Way, number[]>(ways.map((way) => [way, []]));
  for (let round = 0; round < rounds; round++)
    for (const way of ways) times.get(way)!.push(await timeOf(way, { which }));
  const medians = new Map<Way, number>();
  const lines: string[] = [];
  console.log(`\n${TITLES[which]} (${(FLOPS[which] / 1e9).toFixed(1)} GFLOP), median of ${rounds}`);
  for (const way of WAYS) {
    const sorted = times.get(way)?.sort((a, b) => a - b);
    if (!sorted) continue;
    const median = sorted[Math.floor((sorted.length - 1) / 2)]!;
    medians.set(way, median);
    const gflops = FLOPS[which] / median / 1e6;
    const [fastest, slowest] = [sorted[0]!, sorted.at(-1)!];
    console.log(
      `  ${NAMES[way].padEnd(24)}${median.toFixed(1).padStart(10)} ms  (${fastest.toFixed(1)} to ${slowest.toFixed(1)})` +
        `${gflops.toFixed(1).padStart(9)} GFLOP/s`,
    );
    lines.push(
      JSON.stringify({ name: TITLES[which], way: NAMES[way], median, fastest, slowest, gflops, adapter, rounds }),
    );
  }
  const [own, webgpu, cpu] = WAYS.map((way) => medians.get(way));
  if (webgpu !== undefined) console.log(`  ours is ${(webgpu / own!).toFixed(2)} times as fast as ${NAMES.webgpu}`);
  console.log(`  ${NAMES.cpu} is ${(own! / cpu!).toFixed(2)} times as fast as ours`);
  return lines;
}

try {
  const said: Partial<Record<Way, string>> = {};
  for (const way of WAYS) {
    const child = fork(fileURLToPath(new URL('runner.ts', import.meta.url)), [way], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    children.set(way, child);
    const reply = await answer(child);
    if (!('ready' in reply)) throw new Error(`${NAMES[way]} does not start: ${'error' in reply ? reply.error : ''}`);
    said[way] = reply.ready;
  }
  const adapter = said.ours!;
  console.log(
    `${adapter}; ${said.cpu!}; node ${process.version}; wall clock, arrays in, arrays out; ${new Date().toISOString().slice(0, 10)}`,
  );
  const lines: string[] = [];
  for (const which of CASES) lines.push(...(await measure(which, adapter)));
  writeFileSync(values.json, `${lines.join('\n')}\n`);
} finally {
  for (const child of children.values()) child.disconnect();
  rmSync(folder, { recursive: true, force: true });
}
