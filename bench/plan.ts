// `npm run plan [-- FILE]`: what a billion pictures and a training of the report's length take on many machines, from the figures in
// bench/plan.json or in a file like it. docs/guide/beyond.md says what the model holds and what it leaves out.
import { readFileSync } from 'node:fs';

interface Input {
  readonly value: number;
  /** Where it comes from: `measured` here, `published` by others, or `assumed`. */
  readonly kind: 'measured' | 'published' | 'assumed';
  readonly source: string;
}

const file = process.argv[2] ?? new URL('plan.json', import.meta.url);
const inputs = JSON.parse(readFileSync(file, 'utf8')) as Readonly<Record<string, Input>>;
const used = new Set<string>();

function given(name: string): number {
  const input = inputs[name];
  if (!input || !(input.value > 0)) {
    process.stderr.write(`plan: expected '${name}' with a value above 0 in the inputs, got ${JSON.stringify(input)}\n`);
    process.exit(2);
  }
  used.add(name);
  return input.value;
}

const round = (value: number): string =>
  value >= 100 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(2)));

function table(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]!.length)));
  for (const row of [head, widths.map((width) => '-'.repeat(width)), ...rows]) {
    console.log(`| ${row.map((cell, column) => cell.padStart(widths[column]!)).join(' | ')} |`);
  }
  console.log();
}

const time = (hours: number): string => (hours < 48 ? `${round(hours)} h` : `${round(hours / 24)} days`);
const dollars = (value: number): string => `$${round(value)}`;

/** Seconds of one training step of `gpus` with `pictures` each, and of each thing that it does. */
function step(gpus: number, pictures: number) {
  const work = pictures * given('passes of a step') * given('GFLOP a picture') * 1e9;
  const computing = work / (given('GPU TFLOP/s') * 1e12 * given('share of that'));
  const decoding = (pictures * given('decode ms')) / 1000 / given('cores a GPU');
  if (gpus === 1) return { computing, decoding, copying: 0, summing: 0, all: Math.max(computing, decoding) };
  const bytes = given('gradient MB') * 1e6;
  // To the host, and back.
  const copying = (2 * bytes) / (given('GPU to host GB/s') * 1e9);
  const machines = Math.ceil(gpus / given('GPUs a machine'));
  // Each number goes to the rank that sums it, and the sum back, but for those of the own slice; statistics go to all.
  const moved = 2 * bytes * (1 - 1 / gpus) + given('statistics MB') * 1e6 * gpus;
  const carried = machines > 1 ? moved / (given('network GB/s a GPU') * 1e9) : 0;
  const messages = 2 * (gpus - 1) * Math.ceil(bytes / 2 ** 24);
  const summing = moved / (given('host sum GB/s') * 1e9) + carried + messages * given('latency µs') * 1e-6;
  // Pictures are decoded beside the GPU; nothing else overlaps.
  return { computing, decoding, copying, summing, all: Math.max(computing, decoding) + copying + summing };
}

const GPUS = [1, 2, 4, 8, 16, 64, 256];
const pictures = given('pictures a GPU');
const seen = given('training pictures') * given('epochs');

function trainings(of: (gpus: number) => number): void {
  const [one] = [step(1, of(1)).all / of(1)];
  table(
    ['GPUs', 'pictures a step', 'step ms', 'computing', 'copying', 'summing', 'time', 'cost', 'of N times one'],
    GPUS.filter((gpus) => of(gpus) >= 1).map((gpus) => {
      const { computing, copying, summing, all } = step(gpus, of(gpus));
      const hours = ((seen / (gpus * of(gpus))) * all) / 3600;
      return [
        String(gpus),
        String(gpus * of(gpus)),
        ...[all, computing, copying, summing].map((seconds) => round(1000 * seconds)),
        time(hours),
        dollars(hours * gpus * given('$ a GPU hour')),
        `${round((100 * one * of(gpus)) / all)}%`,
      ];
    }),
  );
}

console.log(`Training: ${round(seen)} pictures, ${pictures} a GPU whatever their number\n`);
trainings(() => pictures);
console.log('Training: the same, steps of 64 pictures whatever the number of GPUs\n');
trainings((gpus) => 64 / gpus);

const BILLION = 1e9;
const searching = Math.max(
  (given('GFLOP a search') * 1e9) / (given('GPU TFLOP/s') * 1e12 * given('share of that')),
  given('ms a search at least') / 1000,
);
const decoding = given('decode ms') / 1000;
/** Pictures a second of one worker. */
const rates = {
  core: 1 / (decoding + given('CPU core ms a search') / 1000),
  gpu: Math.min(1 / searching, given('cores a GPU') / decoding),
};
/** Of all workers together: then the pictures do not come faster. */
const most = (given('storage GB/s') * 1e9) / (given('picture MB') * 1e6);

function searches(unit: string, rate: number, price: number, numbers: readonly number[]): void {
  console.log(
    `A billion pictures, ${round(rate)} a second and ${unit}; storage gives ${round(most)} a second, to ${round(most / rate)} of them\n`,
  );
  table(
    [`${unit}s`, 'pictures a second', 'time', 'cost', 'of N times one'],
    numbers.map((count) => {
      const together = Math.min(count * rate, most);
      const hours = (BILLION / together + given('seconds to start')) / 3600;
      return [
        round(count),
        round(together),
        time(hours),
        dollars(hours * count * price),
        `${round((100 * BILLION) / rate / count / (hours * 3600))}%`,
      ];
    }),
  );
}

searches('core', rates.core, given('$ a core hour'), [2, 64, 1024, 16384, 131072]);
searches('GPU', rates.gpu, given('$ a GPU hour'), [1, 8, 64, 256, 1024]);

console.log('Inputs\n');
table(
  ['input', 'value', 'kind'],
  [...used].map((name) => [name, String(inputs[name]!.value), inputs[name]!.kind]),
);
