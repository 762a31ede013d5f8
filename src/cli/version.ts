import { readFile } from 'node:fs/promises';

/** That of the package that this file is part of. */
export async function version(): Promise<string> {
  const file = new URL(import.meta.resolve('retinaface-webgpu/package.json'));
  return (JSON.parse(await readFile(file, 'utf8')) as { readonly version: string }).version;
}
