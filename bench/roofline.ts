import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Gpu } from '../src/gpu/gpu.js';
import { ArgumentError } from '../src/gpu/errors.js';
import type { Row } from './harness.js';
import { giga, rooflineSvg, type Series } from './roofline/chart.js';
import { measurePeaks, type Peaks } from './roofline/peaks.js';
import { measurePoints, type Point } from './roofline/points.js';

/** Where the picture and the numbers go unless told. */
export const ROOFLINE_FILE = fileURLToPath(new URL('results/local/roofline', import.meta.url));

/** Rows that are measured unless others are named. */
export const ROOFLINE_ROWS = [
  'detect published-mobilenet0.25 at 640² batch 1',
  'detect published-resnet50 at 640² batch 1',
  'training step of published-mobilenet0.25 at 320² batch 4',
];

/** Kernels of a computation that are printed. */
const PRINTED = 20;

/** What is measured: rows that run once whatever they encode. */
export interface RooflineOptions {
  readonly rows: readonly Row[];
  readonly rounds: number;
  /** Without their endings `.svg` and `.json`. */
  readonly file: string;
}

function printPeaks({ flops, memory }: Peaks): void {
  console.log(`\narithmetic ${giga(flops)} GFLOP/s (multiply-adds in registers)`);
  console.log('memory, by what the three arrays of a triad take together:');
  for (const { bytes, rate } of memory)
    console.log(`${(bytes / 2 ** 20).toFixed(2).padStart(10)} MiB ${giga(rate).padStart(8)} GB/s`);
}

const timeOf = ({ seconds, count }: Point): number => seconds * count;
/** Seconds that a run would be shorter by, were this kernel at the roof. */
const lostBy = (point: Point): number => timeOf(point) * (1 - Math.min(1, point.share));

function printSeries({ title, points }: Series): void {
  const total = points.reduce((sum, point) => sum + timeOf(point), 0);
  const lost = points.reduce((sum, point) => sum + lostBy(point), 0);
  const dispatches = points.reduce((sum, { count }) => sum + count, 0);
  console.log(
    `\n${title}: ${(1000 * total).toFixed(2)} ms in ${dispatches} dispatches, ` +
      `${Math.round(100 * (1 - lost / total))}% of the roof; what is furthest from it first:`,
  );
  console.log('     ms    lost    × GFLOP/s    GB/s FLOP/byte   roof  kernel');
  const worst = [...points].sort((a, b) => lostBy(b) - lostBy(a)).slice(0, PRINTED);
  for (const point of worst) {
    const { kernel, shape, count, flops, bytes, seconds, intensity, share } = point;
    console.log(
      `${(1000 * timeOf(point)).toFixed(2).padStart(7)} ${(1000 * lostBy(point)).toFixed(2).padStart(7)} ` +
        `${String(count).padStart(4)} ${giga(flops / seconds).padStart(7)} ${giga(bytes / seconds).padStart(7)} ` +
        `${intensity.toPrecision(3).padStart(9)} ${`${Math.round(100 * share)}%`.padStart(6)}  ${kernel}: ${shape}`,
    );
  }
}

/**
 * Measures what the adapter gives, and how close each kernel of some rows comes to it at each of its shapes; prints what costs
 * most, writes a picture and all numbers.
 * @throws ArgumentError where the device has no clock of its own.
 */
export async function roofline(gpu: Gpu, { rows, rounds, file }: RooflineOptions): Promise<void> {
  if (!gpu.device.features.has('timestamp-query')) {
    throw new ArgumentError({
      operation: 'bench roofline',
      expected: "an adapter with the feature 'timestamp-query'",
      got: `${gpu.info.description} without it`,
      remedy: 'Take another driver; `npm run bench` without it has times by the wall clock.',
    });
  }
  const peaks = await measurePeaks(gpu);
  printPeaks(peaks);
  const series: Series[] = [];
  for (const row of rows) {
    const timed = await row.prepare(gpu);
    const points = await measurePoints(gpu, peaks, timed.run, rounds);
    await timed.run();
    await timed.check?.();
    timed.dispose();
    series.push({ title: row.name, points });
    printSeries(series.at(-1)!);
  }
  mkdirSync(dirname(file), { recursive: true });
  const date = new Date().toISOString().slice(0, 10);
  const { vendor, description } = gpu.info;
  writeFileSync(`${file}.svg`, rooflineSvg(`${vendor}, ${description}, ${date}`, peaks, series));
  writeFileSync(`${file}.json`, `${JSON.stringify({ adapter: description, date, peaks, series })}\n`);
  console.log(`\n${file}.svg shows all of it, ${file}.json has the numbers`);
}
