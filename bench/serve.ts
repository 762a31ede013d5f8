// `npm run bench -- serve`: the service under load, beside `detect` in batches of the same size, in one run.
import autocannon from 'autocannon';
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
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
/** Seconds of each measurement of `detect`. */
const ALONE = 8;
const BATCHES = [1, 4];

const here = import.meta.url;
const picture = new Uint8Array(await readFile(new URL('../fixtures/pictures/scene_2.jpg', here)));

/** Pictures a second of `detect` in batches, decoding and all. */
async function alone({ size }: ServeBench): Promise<void> {
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
    // Halves in turn, so that what the machine does meanwhile meets both alike.
    const done = new Map(BATCHES.map((batch) => [batch, { pictures: 0, time: 0 }]));
    for (let half = 0; half < 2; half++) {
      for (const batch of BATCHES) {
        const sum = done.get(batch)!;
        const began = performance.now();
        while (performance.now() - began < (ALONE / 2) * SECOND) {
          await search(batch);
          sum.pictures += batch;
        }
        sum.time += performance.now() - began;
      }
    }
    for (const [batch, { pictures, time }] of done) {
      console.log(`detect, batches of ${batch}: ${((pictures / time) * SECOND).toFixed(2)} pictures a second`);
    }
  }
  device.destroy();
}

/** Loads the service from this process, and reads from its own metrics how it fared. */
async function underLoad({ seconds, connections, size }: ServeBench): Promise<void> {
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
    const result = await load(seconds);
    const after = await metrics();
    const { latency, errors, timeouts, non2xx } = result;
    console.log(
      `service, ${connections} connections, ${seconds} s: ${(result['2xx'] / result.duration).toFixed(2)} pictures a second, ` +
        `median ${latency.p50} ms, p99 ${latency.p99} ms; ${errors} errors, ${timeouts} timeouts, ${non2xx} refused`,
    );
    const delay = (quantile: string): string => (after(`nodejs_eventloop_lag_${quantile}_seconds`) * SECOND).toFixed(1);
    console.log(`its event loop: median ${delay('p50')} ms, p99 ${delay('p99')} ms, longest ${delay('max')} ms`);
    console.log(`its memory, with that of the process that searches: ${memory(before)} before, ${memory(after)} after`);
  } finally {
    child.removeAllListeners('exit');
    child.kill('SIGTERM');
  }
}

/** Prints both. */
export async function benchServe(options: ServeBench): Promise<void> {
  await alone(options);
  await underLoad(options);
}
