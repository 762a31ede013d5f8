import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isObject } from '../../gpu/arguments.js';
import { FileError } from '../../gpu/errors.js';
import { Gpu } from '../../gpu/gpu.js';
import { writeText } from '../../node/evaluate_report.js';
import { readBytes } from '../../node/files.js';
import { RetinaFace } from '../../node/retinaface.js';
import { median } from '../../tune/tune.js';
import type { Teaching } from './material.js';
import {
  closing,
  FOUNDATION,
  foundationOf,
  type Lesson,
  type Paces,
  rehearse,
  type Study,
  taught,
  teach,
  usage,
  VARIANTS,
} from './runs.js';

const FILE = 'paces.json';

/** The networks that are timed. */
const NAMES = [...VARIANTS, 'backbone'] as const;

/** How often each network is timed, in turns, and for how many seconds: what passes by slows some of the rounds. */
const TIMING = { rounds: 5, seconds: 8 } as const;

/**
 * Seconds of a step of each variant and of the backbone's network, measured once and kept in the folder: the median of a round's
 * steps, of the fastest round. Minutes counted by them are those of an idle machine: what else it does later changes no run, and
 * runs of equal seeds have equal bits.
 * @throws ArgumentError where the folder holds those of other settings or of another adapter; FileError for a damaged file, or
 * where it is gone but `kept` runs that were counted by it are there.
 */
export async function measuredPaces(
  study: Study,
  { device, teaching, kept }: { readonly device: GPUDevice; readonly teaching: Teaching; readonly kept: number },
  timing: { readonly rounds: number; readonly seconds: number } = TIMING,
): Promise<Paces> {
  const { out, settings, say } = study;
  const { width, size, batch, loss, photographs } = settings;
  const path = join(out, FILE);
  const made = { width, size, batch, loss, photographs, adapter: Gpu.of(device).info.description };
  if (existsSync(path)) return readPaces(path, made);
  if (kept > 0) {
    throw new FileError({
      operation: 'reproduce',
      expected: `${path}, by which the minutes of the ${kept} runs in ${out} were counted`,
      got: 'none: later runs would be counted by others, and could not be held against these',
      remedy: 'Put that file back, or begin anew in another folder.',
    });
  }
  say('the time of a step of each network, in which nothing else should run\n');
  const paces = Object.fromEntries(NAMES.map((name) => [name, Infinity])) as Record<(typeof NAMES)[number], number>;
  for (let round = 0; round < timing.rounds; round++) {
    for (const name of NAMES) {
      const { configuration, losses } =
        name === 'backbone' ? { configuration: foundationOf(settings), losses: undefined } : taught(name, settings);
      using model = new RetinaFace(device, configuration);
      model.initialise(FOUNDATION.seed);
      const lessons = teaching.open(model, { batch, size, seed: FOUNDATION.seed });
      const lesson: Lesson = {
        model,
        options: losses ? { clipNorm: settings.clip, ...losses } : FOUNDATION.options,
        batch: lessons.batch,
        budget: { seconds: timing.seconds },
        rate: settings.rate,
        pauses: [1],
        examine: () => Promise.resolve({ easy: NaN, medium: NaN, hard: NaN }),
        save: () => Promise.resolve(),
        run: '',
      };
      const { log } = await closing(lessons, async () => {
        await rehearse(lesson);
        return teach({ ...study, say: () => undefined }, lesson);
      });
      const ends = log.flatMap(({ total, spent }) => (total === undefined ? [] : [spent!]));
      paces[name] = Math.min(paces[name], median(ends.map((end, i) => end - (ends[i - 1] ?? 0))));
    }
  }
  for (const name of NAMES) say(`  ${name}: ${(1000 * paces[name]).toFixed(0)} ms\n`);
  await writeText(path, `${JSON.stringify({ ...made, paces })}\n`);
  return paces;
}

async function readPaces(path: string, made: object): Promise<Paces> {
  const text = new TextDecoder().decode(await readBytes(path, 'read the times of steps'));
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw damaged(path, 'no JSON', cause);
  }
  if (!isObject(value)) throw damaged(path, 'no object');
  const { paces, ...of } = value;
  const isPace = (name: string): boolean => isObject(paces) && typeof paces[name] === 'number' && paces[name] > 0;
  if (!NAMES.every(isPace)) throw damaged(path, 'not one for each network');
  if (JSON.stringify(of) === JSON.stringify(made)) return paces as Paces;
  throw usage(
    `--out with steps timed with ${JSON.stringify(made)}`,
    `${path} with ${JSON.stringify(of)}`,
    'Name another folder, or pass the options of those runs, on their adapter.',
  );
}

function damaged(path: string, got: string, cause?: unknown): FileError {
  return new FileError({
    operation: `read ${path}`,
    expected: 'the seconds of a step of each network',
    got,
    remedy: 'Remove that folder: all of its runs were counted by that file.',
    cause,
  });
}
