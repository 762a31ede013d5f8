import type { Command } from './command.js';
import { convert } from './convert.js';
import { detect } from './detect.js';
import { doctor } from './doctor.js';
import { enqueue } from './enqueue.js';
import { evaluate } from './evaluate.js';
import { merge } from './merge.js';
import { reproduce } from './reproduce.js';
import { results } from './results.js';
import { serve } from './serve.js';
import { table } from './table.js';
import { train } from './train.js';
import { tune } from './tune.js';
import { weights } from './weights.js';
import { work } from './work.js';

/** Every command by its name, in the order in which `--help` and the guide to all options list them. */
export const COMMANDS: Readonly<Record<string, Command>> = {
  detect,
  merge,
  enqueue,
  work,
  results,
  evaluate,
  train,
  table,
  reproduce,
  serve,
  convert,
  weights,
  tune,
  doctor,
};
