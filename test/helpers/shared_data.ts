import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = process.env['RETINAFACE_TEST_DATA'] ?? fileURLToPath(new URL('../../../shared/data', import.meta.url));

/** True where the optional folder of real pictures and published weights lies beside the checkout. */
export const haveSharedData = existsSync(folder);

/** The path of one file of that folder. */
export function sharedData(path: string): string {
  return `${folder}/${path}`;
}

/** Why a test that needs the folder cannot run, where it is absent: for `testUnless`. */
export const noSharedData = haveSharedData ? undefined : `no shared data folder at ${folder}`;
