import { createHash } from 'node:crypto';
import type { Picture } from '../image/picture.js';
import { readImage } from '../node/files.js';
import { LastingModel } from '../node/lasting.js';
import type { Precision } from '../nn/parameter.js';
import type { DetectOptions } from '../retinaface/detect_options.js';
import { BatchFolder, listOf } from '../scale/batch_folder.js';
import { type Found, lineOf, readAll, searchAll } from '../scale/find.js';
import { rangeOf, type Shard } from '../scale/shard.js';
import { toParameterNames } from '../weights/names.js';
import { readWeights } from '../weights/read.js';
import { EXIT } from './command.js';
import { type Input, listBatch } from './inputs.js';
import { readConfiguration, readWeightsOption } from './model_options.js';
import { wrong } from './options.js';
import { Progress } from './progress.js';
import { version } from './version.js';

/** Pictures of a part: what a process that is killed loses at most. */
export const PART = 500;

/** What `detect --out` asks for. */
export interface BatchRun {
  readonly out: string;
  readonly shard: Shard;
  readonly part: number;
  readonly weights: string | undefined;
  readonly configuration: string | undefined;
  readonly precision?: Precision | undefined;
  readonly recursive: boolean;
  readonly batch: number;
  readonly quiet: boolean;
  readonly detection: DetectOptions;
}

/** Searches what is yet to be searched of a shard; answers the exit code. */
export async function detectBatch(sources: readonly string[], run: BatchRun): Promise<number> {
  const say = (words: string): void => {
    if (!run.quiet) process.stderr.write(words);
  };
  const configuration = await readConfiguration(run.configuration, 'detect');
  const inputs = await listBatch(sources, {
    recursive: run.recursive,
    onSkipped: (folder, names) => {
      say(`${folder}: left out, since they are no PNG or JPEG: ${names.length}\n`);
    },
  });
  if (inputs.length === 0) {
    throw wrong('detect', 'pictures', `none in ${sources.join(', ')}`, 'Name a list with a path a line, or pictures.');
  }
  const weights = await readWeightsOption(run.weights, run.quiet);
  const { first, end } = rangeOf(run.shard, inputs.length);
  const own = inputs.slice(first, end);
  const byFile = new Map(own.map((input) => [input.file, input]));
  const folder = await BatchFolder.open(
    run.out,
    {
      shard: run.shard,
      list: listOf(inputs.map(({ file }) => file)),
      part: run.part,
      options: {
        ...run.detection,
        size: run.detection.size ?? null,
        ...(run.precision === 'f16' ? { precision: run.precision } : {}),
      },
      weights: { sha256: createHash('sha256').update(weights.bytes).digest('hex') },
      configuration: configuration ?? null,
      program: await version(),
    },
    own.map(({ file }) => file),
  );
  const missing = await folder.missing();
  const kept = own.length - missing.reduce((sum, { files }) => sum + files.length, 0);
  if (missing.length > 0) {
    const tensors = toParameterNames(await readWeights(weights.bytes, weights.name));
    using model = new LastingModel(
      configuration,
      async (loaded) => {
        loaded.loadState(tensors, weights.name);
        const { gpu } = loaded;
        const choices = Object.fromEntries(gpu.choices);
        // A tuning between two runs would change the last bits.
        gpu.choices = new Map(Object.entries(await folder.searchOn({ name: gpu.info.description, choices })));
      },
      say,
      run,
    );
    const progress = new Progress(own.length, run.quiet);
    if (kept > 0) progress.advance(kept, kept);
    try {
      await search(model, folder, missing, byFile, run, (count) => {
        progress.advance(count);
      });
    } finally {
      progress.end();
    }
  }
  await folder.complete();
  const { failed = 0 } = folder;
  const many = `${own.length.toLocaleString('en')} picture${own.length === 1 ? '' : 's'}`;
  say(
    `shard ${run.shard.index}/${run.shard.count}: ${many}${kept > 0 ? `, ${kept.toLocaleString('en')} kept` : ''}` +
      `${failed > 0 ? `; ${failed.toLocaleString('en')} failed, listed in ${folder.failedFile}` : ''}\n`,
  );
  return EXIT.done;
}

/** Fills the parts that are missing; pictures of the next batch are read while one is searched. */
async function search(
  model: LastingModel,
  folder: BatchFolder,
  missing: readonly { readonly part: number; readonly files: readonly string[] }[],
  inputs: ReadonlyMap<string, Input>,
  run: BatchRun,
  advance: (count: number) => void,
): Promise<void> {
  const batches = missing.flatMap(({ part, files }) =>
    Array.from({ length: Math.ceil(files.length / run.batch) }, (_, i) => ({
      part,
      files: files.slice(i * run.batch, (i + 1) * run.batch),
      last: (i + 1) * run.batch >= files.length,
    })),
  );
  const read = (at: number): Promise<Found<Input>[]> | undefined => {
    const found =
      batches[at] &&
      readAll(
        batches[at].files.map((file) => inputs.get(file)!),
        readInput,
      );
    // Its failure is met when its turn comes, if it comes.
    found?.catch(() => undefined);
    return found;
  };
  let lines: object[] = [];
  let next = read(0);
  for (const [i, { part, files, last }] of batches.entries()) {
    const pictures = await next!;
    next = read(i + 1);
    const found = await searchAll(model, pictures, run.detection);
    lines.push(...found.map((each) => lineOf(each.source.file, each)));
    if (last) {
      await folder.write(part, lines);
      lines = [];
    }
    advance(files.length);
  }
}

function readInput({ file, error }: Input): Promise<Picture> {
  return error ? Promise.reject(error) : readImage(file);
}
