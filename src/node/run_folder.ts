import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { SUBSETS } from '../evaluate/ground_truth.js';
import type { VariantEvaluation, VariantRun } from '../evaluate/variants.js';
import { FileError } from '../gpu/errors.js';
import { readPosition } from '../train/checkpoint.js';
import { damagedLine, readLog } from '../train/event_log.js';
import { readSafetensors } from '../weights/safetensors.js';
import { readBytes } from './files.js';

/** Where the evaluation of a run is looked for, in its folder. */
export const EVALUATION = 'evaluation/result.json';

const LAST = 'last.safetensors';

function problem(path: string, expected: string, got: string, remedy: string): FileError {
  return new FileError({ operation: `read ${path}`, expected, got, remedy });
}

/**
 * What the folder of a training tells: its options, epochs and adapters from `last.safetensors`, its speed from
 * `log.jsonl`, and, where the run was evaluated, the figures of `evaluation/result.json`.
 * @throws FileError, naming the file, for a folder of no training, a damaged log or evaluation, and an evaluation of other
 * weights; WeightsError for a damaged checkpoint.
 */
export async function readRunFolder(folder: string): Promise<VariantRun> {
  const file = (name: string): string => join(folder, name);
  if (!existsSync(file(LAST))) {
    throw problem(
      folder,
      `the folder of a training, with ${LAST} and log.jsonl`,
      existsSync(folder) ? `one without ${LAST}` : 'nothing there',
      'Name the --workdir of `retinaface train`, after its first epoch.',
    );
  }
  const bytes = await readBytes(file(LAST), 'read the run');
  const { configuration, width, position } = readPosition(readSafetensors(bytes, file(LAST)).metadata, file(LAST));
  const options = parseObject(position.run, file(LAST), 'the options of the run');
  const { batch, accumulate = 1, seed, epochs } = options;
  for (const [name, value, least] of [
    ['batch', batch, 1],
    ['accumulate', accumulate, 1],
    ['seed', seed, 0],
  ] as const) {
    if (Number.isSafeInteger(value) && (value as number) >= least) continue;
    const expected = `'${name}', a whole number of at least ${least}, among the options of the run`;
    throw problem(file(LAST), expected, value === undefined ? 'none' : JSON.stringify(value), OLD);
  }
  const evaluation = existsSync(file(EVALUATION))
    ? await readEvaluation(file(EVALUATION), folder, new Map([[LAST, bytes]]))
    : undefined;
  return {
    source: folder,
    configuration,
    width,
    options: JSON.stringify(options, (key, value: unknown) => (key === 'seed' ? undefined : value)),
    seed: seed as number,
    ...(typeof epochs === 'number' ? { epochs: { done: position.epoch, planned: epochs } } : {}),
    batch: (batch as number) * (accumulate as number),
    adapters: position.adapters ?? [],
    imagesPerSecond: await imagesPerSecond(file('log.jsonl')),
    evaluation,
  };
}

const OLD = 'Train it again: another program, or an older version of this one, wrote that.';

function parseObject(text: string, path: string, what: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw problem(path, `${what}: a JSON object`, `'${text.slice(0, 60)}'`, 'That file was changed: write it again.');
}

/** Pictures over seconds of all steps of a log. @throws FileError with the line. */
async function imagesPerSecond(path: string): Promise<number> {
  const text = new TextDecoder().decode(await readBytes(path, 'read the log of the run'));
  const damaged = damagedLine(text);
  if (damaged) {
    throw problem(
      `${path}, line ${damaged.line}`,
      'a JSON object of numbers with step and epoch',
      `'${damaged.text.slice(0, 60)}'`,
      'Take that line out, or go on with the training, which does so.',
    );
  }
  let images = 0;
  let seconds = 0;
  for (const entry of readLog(text)) {
    if (!Number.isFinite(entry['images']) || !Number.isFinite(entry['seconds'])) continue;
    images += entry['images']!;
    seconds += entry['seconds']!;
  }
  return images / seconds;
}

async function readEvaluation(path: string, folder: string, read: Map<string, Uint8Array>): Promise<VariantEvaluation> {
  const text = new TextDecoder().decode(await readBytes(path, 'read the evaluation'));
  const { protocol: given, ...result } = parseObject(text, path, 'an evaluation');
  const [easy, medium, hard] = SUBSETS.map((subset) => {
    const value = result[subset];
    if (value === null || (typeof value === 'number' && value >= 0 && value <= 1)) return value ?? NaN;
    const again = 'Evaluate again, or remove that folder.';
    throw problem(path, `'${subset}': a number of 0 to 1`, JSON.stringify({ [subset]: value }), again);
  }) as [number, number, number];
  const { weights, ...protocol } = parseObject(JSON.stringify(given ?? null), path, "the evaluation's 'protocol'");
  const hashes = new Map<string, string>();
  // Where both are the same bytes, the best is meant.
  for (const name of [LAST, 'best.safetensors']) {
    if (!existsSync(join(folder, name))) continue;
    const bytes = read.get(name) ?? (await readBytes(join(folder, name), 'read the run'));
    hashes.set(createHash('sha256').update(bytes).digest('hex'), name);
  }
  const found = typeof weights === 'string' ? hashes.get(weights) : undefined;
  if (found !== undefined) return { easy, medium, hard, protocol: JSON.stringify({ checkpoint: found, ...protocol }) };
  throw problem(
    path,
    `an evaluation of ${[...hashes.values()].join(' or ')} of this run`,
    typeof weights === 'string'
      ? `one of other weights (SHA-256 ${weights.slice(0, 12)}…)`
      : 'one that names no weights',
    `Evaluate again: retinaface evaluate --weights ${join(folder, 'best.safetensors')} --out NEW, in the place of that folder.`,
  );
}
