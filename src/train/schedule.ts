import { describe } from '../gpu/arguments.js';
import { ArgumentError } from '../gpu/errors.js';

/** Where a training stands before a step. */
export interface Moment {
  /** Steps done since the beginning. */
  readonly step: number;
  /** Epochs done. */
  readonly epoch: number;
  /** Steps that the training will have. */
  readonly totalSteps: number;
}

/** The learning rate of every step; a function of the moment alone, so that a resumed training goes on as it would have. */
export interface Schedule {
  /** What `parseSchedule` makes the same schedule of. */
  readonly text: string;
  rate(at: Moment): number;
}

/** One rate throughout. */
export function constant(rate: number): Schedule {
  return { text: `constant:${rate}`, rate: () => rate };
}

/** Rates that hold from a number of epochs done on; the first pair's number is 0, and the numbers rise. */
export function piecewise(pieces: readonly (readonly [epochs: number, rate: number])[]): Schedule {
  const text = pieces.map(([epochs, rate]) => (epochs === 0 ? `${rate}` : `${rate}@${epochs}`)).join(',');
  return {
    text: `piecewise:${text}`,
    rate: ({ epoch }) => pieces.findLast(([epochs]) => epochs <= epoch)?.[1] ?? NaN,
  };
}

/** Times `gamma` after each of those numbers of epochs, as torch.optim.lr_scheduler.MultiStepLR. */
export function multiStep(rate: number, milestones: readonly number[], gamma = 0.1): Schedule {
  return {
    text: `step:${rate}@${milestones.join(',')}${gamma === 0.1 ? '' : `*${gamma}`}`,
    rate: ({ epoch }) => rate * gamma ** milestones.filter((epochs) => epochs <= epoch).length,
  };
}

/** Half a cosine from `rate` at the first step to `last` at the end: last + (rate − last)·(1 + cos π·t)/2. */
export function cosine(rate: number, last = 0): Schedule {
  return {
    text: `cosine:${rate}${last === 0 ? '' : `,${last}`}`,
    rate({ step, totalSteps }) {
      const t = Math.min(1, step / Math.max(1, totalSteps));
      return last + ((rate - last) * (1 + Math.cos(Math.PI * t))) / 2;
    },
  };
}

/** The first `steps` steps of a schedule at rates that rise linearly towards it: (step + 1) / (steps + 1) of its own. */
export function warmUp(schedule: Schedule, steps: number): Schedule {
  if (steps === 0) return schedule;
  return {
    text: `${schedule.text}+warmup:${steps}`,
    rate: (at) => schedule.rate(at) * Math.min(1, (at.step + 1) / (steps + 1)),
  };
}

const NAMED: ReadonlyMap<string, Schedule> = new Map([
  // The reproducibility report's: epochs 1–27, 28–39, 40–49 and 50–60.
  [
    'report',
    piecewise([
      [0, 0.001],
      [27, 0.004],
      [39, 0.001],
      [49, 0.0001],
    ]),
  ],
  // The RetinaFace paper's, for a batch of 32 and 80 epochs (arXiv 1905.00641, section 4.2).
  [
    'paper',
    piecewise([
      [0, 0.001],
      [5, 0.01],
      [55, 0.001],
      [68, 0.0001],
    ]),
  ],
]);

const FORMS =
  'report, paper, constant:RATE, step:RATE@EPOCH,EPOCH…[*FACTOR], cosine:RATE[,LAST] or piecewise:RATE,RATE@EPOCH,…, ' +
  'each with +warmup:STEPS behind it where wanted';

/**
 * Reads a schedule as the command line takes it:
 *
 * - `report`: 0.001 for epochs 1–27, 0.004 to 39, 0.001 to 49, then 0.0001;
 * - `paper`: 0.001 for 5 epochs, 0.01 to 55, 0.001 to 68, then 0.0001;
 * - `constant:0.01`;
 * - `step:0.01@100,150`: a tenth after 100 epochs and again after 150; `step:0.01@100,150*0.5`: half;
 * - `cosine:0.01`: down to 0 over the whole training; `cosine:0.01,0.0001`: down to 0.0001;
 * - `piecewise:0.001,0.01@5,0.001@55`: rates that hold after so many epochs;
 * - any of them with `+warmup:500`: the first 500 steps rise linearly.
 *
 * @throws ArgumentError that says what is wrong with the text.
 */
export function parseSchedule(text: string): Schedule {
  if (typeof text !== 'string') throw problem(describe(text), 'a text', describe(text));
  const [form = '', ...additions] = text.split('+');
  if (additions.length > 1) throw problem(text, 'one addition, +warmup:STEPS', `${additions.length}`);
  const schedule = parseForm(text, form);
  const [addition] = additions;
  if (addition === undefined) return schedule;
  if (!addition.startsWith('warmup:')) throw problem(text, '+warmup:STEPS', `+${addition}`);
  return warmUp(schedule, count(text, addition.slice('warmup:'.length), 'steps of warm-up'));
}

function parseForm(text: string, form: string): Schedule {
  const named = NAMED.get(form);
  if (named) return { ...named, text: form };
  const [kind = '', ...rest] = form.split(':');
  const values = rest.join(':');
  switch (kind) {
    case 'constant':
      return constant(rateOf(text, values));
    case 'cosine': {
      const [rate = '', last, ...more] = values.split(',');
      if (more.length > 0) throw problem(text, 'a first and a last rate', values);
      return cosine(rateOf(text, rate), last === undefined ? 0 : rateOf(text, last));
    }
    case 'step': {
      const [rate = '', behind, ...more] = values.split('@');
      if (behind === undefined || more.length > 0) throw problem(text, 'step:RATE@EPOCH,EPOCH…', form);
      const [milestones = '', factor, ...others] = behind.split('*');
      if (others.length > 0) throw problem(text, 'one factor', behind);
      const epochs = milestones.split(',').map((part) => count(text, part, 'an epoch'));
      checkRising(text, epochs);
      return multiStep(rateOf(text, rate), epochs, factor === undefined ? 0.1 : rateOf(text, factor));
    }
    case 'piecewise': {
      const pieces = values.split(',').map((part, index): [number, number] => {
        const [rate = '', epochs, ...more] = part.split('@');
        if (more.length > 0 || (epochs === undefined) !== (index === 0)) {
          throw problem(text, 'a first rate, then RATE@EPOCH', part);
        }
        return [epochs === undefined ? 0 : count(text, epochs, 'an epoch'), rateOf(text, rate)];
      });
      checkRising(
        text,
        pieces.map(([epochs]) => epochs),
      );
      return piecewise(pieces);
    }
    default:
      throw problem(text, FORMS, form === '' ? 'nothing' : form);
  }
}

function problem(text: string, expected: string, got: string): ArgumentError {
  return new ArgumentError({
    operation: `read the schedule ${JSON.stringify(text)}`,
    expected,
    got,
    remedy: 'Write it as step:0.01@100,150 or cosine:0.01+warmup:500.',
  });
}

function rateOf(text: string, part: string): number {
  const value = part.trim() === '' ? NaN : Number(part);
  if (Number.isFinite(value) && value >= 0) return value;
  throw problem(text, 'a number of 0 or more', part === '' ? 'nothing' : part);
}

function count(text: string, part: string, what: string): number {
  if (/^\d{1,9}$/.test(part)) return Number(part);
  throw problem(text, `a whole number for ${what}`, part === '' ? 'nothing' : part);
}

function checkRising(text: string, epochs: readonly number[]): void {
  const at = epochs.findIndex((epoch, index) => index > 0 && epoch <= epochs[index - 1]!);
  if (at !== -1) throw problem(text, 'epochs that rise', `${epochs[at]} after ${epochs[at - 1]}`);
}
