import { fileURLToPath } from 'node:url';
import { compiledFile } from '../compile.js';

const compiled = process.env['RETINAFACE_TEST_COMPILED'];
const project = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** What Node is given to run a file of the checkout: what was compiled of it where there is such. */
function running(file: string): readonly string[] {
  if (compiled !== undefined) return [compiledFile(compiled, file)];
  return ['--import', project('node_modules/tsx/dist/loader.mjs'), project(file)];
}

/** The arguments of Node that run the command line, before its own. */
export const RETINAFACE = running('src/cli/main.ts');

/** And the bench. */
export const BENCH = running('bench/run.ts');
