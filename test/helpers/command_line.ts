import { fileURLToPath } from 'node:url';
import { compiledFile } from '../compile.js';

const compiled = process.env['RETINAFACE_TEST_COMPILED'];
const project = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** What Node is given to run the command line, before its arguments: what was compiled where there is such, as it is installed. */
export const RETINAFACE: readonly string[] =
  compiled === undefined
    ? ['--import', project('node_modules/tsx/dist/loader.mjs'), project('src/cli/main.ts')]
    : [compiledFile(compiled, 'src/cli/main.ts')];
