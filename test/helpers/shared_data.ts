import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = process.env['RETINAFACE_TEST_DATA'] ?? fileURLToPath(new URL('../../../shared/data', import.meta.url));

/** True where the optional folder of real pictures and published weights lies beside the checkout. */
export const haveSharedData = existsSync(folder);

/** The path of one file of that folder. */
export function sharedData(path: string): string {
  return `${folder}/${path}`;
}

/** What a test that needs the folder passes as its options: it is skipped, and says why, where the folder is absent. */
export const needsSharedData = haveSharedData ? {} : { skip: `no shared data folder at ${folder}` };
