// `npm run bench`: times kernels and whole detections on the adapter that is there; `npm run bench -- --help` says how.
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { LimitError } from '../src/gpu/errors.js';
import { Gpu } from '../src/gpu/gpu.js';
import { requestDevice } from '../src/node/device.js';
import { growthTables } from './growth.js';
import { measure, type Result, type Row } from './harness.js';
import { kernelRows, PEAK_ROWS } from './kernels.js';
import { modelRows } from './models.js';
import { ranksTables } from './ranks.js';
import { ROOFLINE_FILE, ROOFLINE_ROWS, roofline } from './roofline.js';
import { printTrainingTable } from './training.js';

const HELP = `npm run bench: times kernels and whole detections on the adapter that is there

  npm run bench -- NAME…                     rows whose names hold one of these
  npm run bench -- growth                    what a kernel costs as pixels, channels, batch and boxes grow
  npm run bench -- ranks                     what training in two processes costs, and sums over 2 and 4 (Open MPI, koffi)
  npm run bench -- roofline [NAME…]          each kernel of those rows against the peaks of the adapter, as a picture
    --json FILE                              where the numbers go; the picture beside them, as .svg
  npm run bench -- shards                    detect --out by 1, 2 and 4 processes, beside what the plan foretells
  npm run bench -- serve                     the service under load for a minute, beside detect in batches
  npm run bench -- --json FILE               also writes a line of JSON a row
  npm run bench -- --compare OLD NEW         ratios of two such files; runs nothing
    --fail-over R                            and exit code 1 where a row takes more than R times as long, beyond noise
`;

/** Ends the process over arguments that mean nothing. */
function refuse(expected: string, got: string): never {
  process.stderr.write(`bench: expected ${expected}, got ${got}. \`npm run bench -- --help\` says what there is.\n`);
  process.exit(2);
}

function argumentsOf(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        json: { type: 'string' },
        compare: { type: 'boolean' },
        'fail-over': { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    return refuse('options that it has', error instanceof Error ? error.message : String(error));
  }
}

const { values, positionals } = argumentsOf(process.argv.slice(2));
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}

const number = (value: number | undefined, digits: number): string =>
  (value === undefined ? '' : value.toFixed(digits)).padStart(9);

/** Columns that the longest of these names takes. */
function widthOf(names: readonly string[]): number {
  return Math.max(0, ...names.map(({ length }) => length)) + 2;
}

/**
 * Prints the ratios of two runs; answers whether a row takes more than `most` times as long: its median, and beyond noise,
 * its tenth percentile later than the ninetieth of before.
 */
function compare(before: string, after: string, most: number): boolean {
  const read = (file: string): Map<string, Result> => {
    try {
      const lines = readFileSync(file, 'utf8').trim().split('\n');
      return new Map(lines.map((line) => JSON.parse(line) as Result).map((result) => [result.name, result]));
    } catch (error) {
      return refuse(`${file} to be what --json FILE wrote`, error instanceof Error ? error.message : String(error));
    }
  };
  const old = read(before);
  const now = read(after);
  const width = widthOf([...now.keys()]);
  const slower: string[] = [];
  for (const [name, result] of now) {
    const was = old.get(name);
    const ratio = was === undefined ? 'new' : `${(was.median / result.median).toFixed(2)}× as fast`;
    const regressed = was !== undefined && result.median > most * was.median && result.p10 > was.p90;
    if (regressed) slower.push(name);
    const word = regressed ? '  SLOWER' : '';
    console.log(`${name.padEnd(width)}${number(was?.median, 2)} →${number(result.median, 2)} ms  ${ratio}${word}`);
  }
  for (const name of old.keys()) if (!now.has(name)) console.log(`${name.padEnd(width)}is not in ${after}`);
  if (slower.length === 0) return false;
  console.error(`bench: ${slower.length} rows take more than ${most} times as long as before: ${slower.join('; ')}`);
  return true;
}

/** Why a row is left out; undefined where it runs. */
function reasonAgainst(gpu: Gpu, row: Row, wanted: readonly string[]): string | undefined {
  if (gpu.isFallback && row.heavy?.(gpu) && !wanted.includes(row.name))
    return 'heavy on a CPU: name it in full to run it';
  return row.unfit?.(gpu);
}

function say(gpu: Gpu): void {
  const { vendor, description } = gpu.info;
  console.log(
    `${vendor}, ${description}; node ${process.version}; one run, wall clock, ${new Date().toISOString().slice(0, 10)}`,
  );
}

/** Prints time and time a unit of each step of each table. */
async function growth(): Promise<void> {
  const gpu = Gpu.of(await requestDevice());
  say(gpu);
  if (values.json !== undefined) writeFileSync(values.json, '');
  for (const { title, unit, steps } of growthTables) {
    console.log(`\n${title}`);
    console.log(`${''.padEnd(24)}${'median'.padStart(10)} ms${`µs a ${unit}`.padStart(24)}`);
    for (const { label, units, row } of steps) {
      const result = await measure(gpu, row);
      const each = ((1000 * result.median) / units).toPrecision(3);
      console.log(`${label.padEnd(24)}${result.median.toFixed(2).padStart(10)}   ${each.padStart(24)}`);
      if (values.json !== undefined)
        appendFileSync(
          values.json,
          `${JSON.stringify({ ...result, table: title, units, adapter: gpu.info.description })}\n`,
        );
    }
  }
}

/** Rows whose names hold one of these. */
function rowsOf(wanted: readonly string[]): readonly Row[] {
  const rows = [...kernelRows, ...modelRows].filter(({ name }) => wanted.some((part) => name.includes(part)));
  if (rows.length === 0) refuse('parts of names of rows', wanted.join(' '));
  return rows;
}

async function run(wanted: readonly string[]): Promise<void> {
  const rows = rowsOf(wanted.length === 0 ? [''] : wanted);
  const device = await requestDevice();
  const gpu = Gpu.of(device);
  say(gpu);
  const width = widthOf(rows.map(({ name }) => name));
  console.log(
    `${''.padEnd(width)}${'median'.padStart(9)}${'p10'.padStart(9)}${'p90'.padStart(9)} ms  GFLOP/s     GB/s  of peak  peak MiB`,
  );
  if (values.json !== undefined) writeFileSync(values.json, '');
  // What memory and arithmetic give here: measured first, whatever was picked, since every row is held against them.
  const peaks = { gflops: 0, gbytes: 0 };
  for (const row of kernelRows.slice(0, PEAK_ROWS)) {
    const { gflops = 0, gbytes = 0 } = await measure(gpu, row);
    peaks.gflops = Math.max(peaks.gflops, gflops);
    peaks.gbytes = Math.max(peaks.gbytes, gbytes);
  }
  const results: Result[] = [];
  for (const row of rows) {
    const reason = reasonAgainst(gpu, row, wanted);
    if (reason !== undefined) {
      console.log(`${row.name.padEnd(width)}  not run: ${reason}`);
      continue;
    }
    let result: Result;
    try {
      result = await measure(gpu, row);
    } catch (error) {
      // What the device cannot hold is told, and the rows behind it run.
      if (!(error instanceof LimitError)) throw error;
      console.log(`${row.name.padEnd(width)}  not run: ${error.message}`);
      continue;
    }
    results.push(result);
    const { gflops, gbytes } = result;
    const share =
      gflops !== undefined ? gflops / peaks.gflops : gbytes !== undefined ? gbytes / peaks.gbytes : undefined;
    const of = share === undefined ? ''.padStart(8) : `${Math.round(100 * share)}%`.padStart(8);
    console.log(
      `${result.name.padEnd(width)}${number(result.median, 2)}${number(result.p10, 2)}${number(result.p90, 2)}   ` +
        `${number(gflops, 1)}${number(gbytes, 2)} ${of}${number(result.peakBytes / 2 ** 20, 0)}`,
    );
    if (values.json !== undefined)
      appendFileSync(values.json, `${JSON.stringify({ ...result, adapter: gpu.info.description })}\n`);
  }
  printTrainingTable(results);
}

if (values.compare) {
  const [before, after, ...more] = positionals;
  if (before === undefined || after === undefined || more.length > 0) {
    refuse('two files behind --compare', positionals.join(' ') || 'none');
  }
  const most = values['fail-over'] === undefined ? Infinity : Number(values['fail-over']);
  if (!(most >= 1)) refuse('--fail-over to be a number from 1', values['fail-over'] ?? '');
  process.exitCode = compare(before, after, most) ? 1 : 0;
  process.exit();
}
if (values['fail-over'] !== undefined) refuse('--fail-over beside --compare', 'it alone');
if (positionals[0] === 'growth') await growth();
else if (positionals[0] === 'ranks') ranksTables();
else if (positionals[0] === 'roofline') {
  const wanted = positionals.slice(1);
  const rows = rowsOf(wanted.length === 0 ? ROOFLINE_ROWS : wanted).filter(({ samples }) => samples === undefined);
  const gpu = Gpu.of(await requestDevice({ dawn: ['disable-dawn-features=timestamp_quantization'] }));
  say(gpu);
  await roofline(gpu, { rows, rounds: 5, file: values.json?.replace(/\.json$/, '') ?? ROOFLINE_FILE });
} else if (positionals[0] === 'shards') {
  const { shardsTable } = await import('./shards.js');
  await shardsTable();
} else if (positionals[0] === 'serve') {
  say(Gpu.of(await requestDevice()));
  const { benchServe } = await import('./serve.js');
  await benchServe({ seconds: 60, connections: 64, size: 320 });
} else await run(positionals);
process.exit(0);
