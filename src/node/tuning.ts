import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Choices } from '../gpu/choices.js';
import { Gpu } from '../gpu/gpu.js';
import { decodeChoices, encodeChoices, keptName } from '../tune/kept.js';
import { makeFolder, writeFileAtomic } from './files.js';
import { cacheFolder } from './weights_store.js';

/** The file of the choices that `retinaface tune` keeps for a device's adapter. */
export function tuningFile(device: GPUDevice | Gpu): string {
  const gpu = Gpu.of(device);
  return join(cacheFolder(), `${keptName(gpu)}.json`);
}

/** Keeps choices for this adapter, driver and version of the kernels, in the user's cache folder. @throws FileError. */
export async function keepTuning(device: GPUDevice | Gpu, choices: Choices): Promise<void> {
  const gpu = Gpu.of(device);
  const file = tuningFile(gpu);
  await makeFolder(dirname(file));
  await writeFileAtomic(file, new TextEncoder().encode(encodeChoices(gpu, choices)));
}

/** Forgets what was kept for this adapter. */
export async function forgetTuning(device: GPUDevice | Gpu): Promise<void> {
  await rm(tuningFile(device), { force: true });
}

/**
 * The choices that are kept for a device's adapter; none where there are none or `RETINAFACE_TUNING=0` asks for none, and in words
 * why such as there are do not hold.
 */
export function keptTuning(device: GPUDevice | Gpu): { readonly choices: Choices; readonly because?: string } {
  const gpu = Gpu.of(device);
  if (process.env['RETINAFACE_TUNING'] === '0') return { choices: new Map(), because: 'RETINAFACE_TUNING=0' };
  let text: string;
  try {
    text = readFileSync(tuningFile(gpu), 'utf8');
  } catch {
    return { choices: new Map() };
  }
  const choices = decodeChoices(gpu, text);
  return typeof choices === 'string' ? { choices: new Map(), because: choices } : { choices };
}
