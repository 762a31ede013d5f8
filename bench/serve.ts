// `npm run bench -- serve`: the service under load, beside `detect` in batches of the same size, in one run.
import autocannon from 'autocannon';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { decodeImage } from '../src/node/codecs.js';
import { requestDevice } from '../src/node/device.js';
import { RetinaFace } from '../src/node/retinaface.js';

/** How long, and how much. */
export interface ServeBench {
  readonly seconds: number;
  readonly connections: number;
  readonly size: number;
}

const MIB = 2 ** 20;
const SECOND = 1000;
/** Seconds of each measurement of `detect`, half of them before the service and half behind it. */
const ALONE = 8;
const BATCHES = [1, 4];
const CORES = availableParallelism();

const here = import.meta.url;
const picture = new Uint8Array(await readFile(new URL('../fixtures/pictures/scene_2.jpg', here)));

/** Pictures that were searched, the seconds that it took, and those of processors. */
interface Sum {
  pictures: number;
  seconds: number;
  processor: number;
}

const rateOf = ({ pictures, seconds }: Sum): number => pictures / seconds;
/** Of all that the cores could do. */
const shareOf = (processor: number, seconds: number): string => `${((100 * processor) / seconds / CORES).toFixed(0)}%`;

/** `detect` in batches, decoding and all, from the bytes that the service gets, added to what was measured before. */
async function alone({ size }: ServeBench, sums: ReadonlyMap<number, Sum>): Promise<void> {
  const device = await requestDevice();
  {
    using model = new RetinaFace(device);
    await model.load();
    const search = (batch: number) =>
      model.detect(
        Array.from({ length: batch }, () => decodeImage(picture, 'the picture')),
        { size },
      );
    for (const batch of BATCHES) for (let i = 0; i < 3; i++) await search(batch);
    for (const [batch, sum] of sums) {
      const processor = process.cpuUsage();
      const began = performance.now();
      while (performance.now() - began < (ALONE / 2) * SECOND) {
        await search(batch);
        sum.pictures += batch;
      }
      sum.seconds += (performance.now() - began) / SECOND;
      sum.processor += secondsOf(process.cpuUsage(processor));
    }
  }
  device.destroy();
}

function secondsOf({ user, system }: NodeJS.CpuUsage): number {
  return (user + system) / 1e6;
}

/** Loads the service from this process, and reads from its own metrics how it fared; answers pictures a second. */
async function underLoad({ seconds, connections, size }: ServeBench): Promise<Sum & { readonly batch: number }> {
  const main = fileURLToPath(new URL(`../src/cli/main${here.endsWith('.ts') ? '.ts' : '.js'}`, here));
  const child = spawn(process.execPath, [...process.execArgv, main, 'serve', '--port', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const [address] = await new Promise<string[]>((resolve, reject) => {
      child.once('exit', () => {
        reject(new Error('the service did not start'));
      });
      createInterface(child.stdout).once('line', (line) => {
        resolve([line]);
      });
    });
    const { batch } = (await (await fetch(`${address}/readyz`)).json()) as { readonly batch: number };
    const metrics = async (): Promise<(name: string) => number> => {
      const lines = (await (await fetch(`${address}/metrics`)).text()).split('\n');
      return (name) => Number(lines.find((line) => line.startsWith(`${name} `))?.slice(name.length + 1) ?? Number.NaN);
    };
    const memory = (read: (name: string) => number): string =>
      `${(read('process_resident_memory_bytes') / MIB).toFixed(0)} + ${(read('retinaface_engine_resident_bytes') / MIB).toFixed(0)} MiB`;
    const load = (duration: number) =>
      autocannon({
        url: `${address}/detect?size=${size}`,
        method: 'POST',
        headers: { 'content-type': 'image/jpeg' },
        body: Buffer.from(picture),
        connections,
        duration,
        timeout: 60,
      });
    await load(5);
    // What is read is begun anew.
    const before = await metrics();
    const own = process.cpuUsage();
    const result = await load(seconds);
    const generator = secondsOf(process.cpuUsage(own));
    const after = await metrics();
    const { latency, errors, timeouts, non2xx, duration } = result;
    const sum: Sum = { pictures: result['2xx'], seconds: duration, processor: 0 };
    console.log(
      `service, batches of ${batch}, ${connections} connections, ${seconds} s: ${rateOf(sum).toFixed(2)} pictures a second, ` +
        `median ${latency.p50} ms, p99 ${latency.p99} ms; ${errors} errors, ${timeouts} timeouts, ${non2xx} refused`,
    );
    const had = (name: string): number => after(name) - before(name);
    const service = had('process_cpu_seconds_total');
    const engine = had('retinaface_engine_cpu_seconds_total');
    console.log(
      `of ${CORES} cores: ${shareOf(generator, duration)} the load generator, ${shareOf(service, duration)} HTTP, ` +
        `${shareOf(engine, duration)} decoding and search`,
    );
    const delay = (quantile: string): string => (after(`nodejs_eventloop_lag_${quantile}_seconds`) * SECOND).toFixed(1);
    console.log(`its event loop: median ${delay('p50')} ms, p99 ${delay('p99')} ms, longest ${delay('max')} ms`);
    console.log(`its memory, with that of the process that searches: ${memory(before)} before, ${memory(after)} after`);
    return { ...sum, processor: generator + service + engine, batch };
  } finally {
    child.removeAllListeners('exit');
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
}

/** Prints both, and how much of the one the other is. */
export async function benchServe(options: ServeBench): Promise<void> {
  const sums = new Map(BATCHES.map((batch): [number, Sum] => [batch, { pictures: 0, seconds: 0, processor: 0 }]));
  await alone(options, sums);
  const service = await underLoad(options);
  // Again behind it, so that what the machine does meanwhile meets both alike.
  await alone(options, sums);
  for (const [batch, sum] of sums) {
    const ratio =
      batch === service.batch ? `, of which the service has ${(rateOf(service) / rateOf(sum)).toFixed(2)}` : '';
    console.log(
      `detect, batches of ${batch}, decoding and all: ${rateOf(sum).toFixed(2)} pictures a second on ` +
        `${shareOf(sum.processor, sum.seconds)} of ${CORES} cores${ratio}`,
    );
  }
  const each = (sum: Sum): string => `${((SECOND * sum.processor) / sum.pictures).toFixed(1)} ms`;
  const detections = [...sums].map(([batch, sum]) => `${each(sum)} in batches of ${batch}`).join(', ');
  console.log(`of one core a picture: the service and its load ${each(service)}, detect ${detections}`);
}
