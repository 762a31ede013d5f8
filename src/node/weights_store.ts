import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import type { WeightsHost } from '../retinaface/weights_source.js';
import type { PublicWeights } from '../weights/catalogue.js';
import type { WeightsStore } from '../weights/fetch_weights.js';
import { makeFolder, readBytes, writeFileAtomic } from './files.js';

const FOLDER = 'retinaface-webgpu';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Where this platform keeps what can be fetched again: `XDG_CACHE_HOME` or `~/.cache` on Linux and other Unixes,
 * `~/Library/Caches` on macOS, `%LOCALAPPDATA%` on Windows; in it, a folder of this library.
 */
export function cacheFolder(
  environment: Environment = process.env,
  platform: NodeJS.Platform = process.platform,
  home: string = homedir(),
): string {
  if (platform === 'win32') {
    return join(environment['LOCALAPPDATA'] ?? join(home, 'AppData', 'Local'), FOLDER, 'Cache');
  }
  if (platform === 'darwin') return join(home, 'Library', 'Caches', FOLDER);
  // A relative path is to be ignored: https://specifications.freedesktop.org/basedir-spec/latest/.
  const named = environment['XDG_CACHE_HOME'];
  return join(named !== undefined && isAbsolute(named) ? named : join(home, '.cache'), FOLDER);
}

/** Why nothing may be fetched, or undefined where it may. */
export function offlineReason(environment: Environment = process.env): string | undefined {
  const value = environment['RETINAFACE_OFFLINE'] ?? '';
  return value === '' || value === '0' ? undefined : `RETINAFACE_OFFLINE=${value}, so that none was asked for`;
}

/** Keeps fetched weights as files of a folder, under the names that their authors gave them. */
export function weightsStore(folder: string = cacheFolder()): WeightsStore {
  const place = ({ file }: PublicWeights): string => join(folder, 'weights', file);
  return {
    place,
    async read(weights) {
      try {
        return Uint8Array.from(await readFile(place(weights)));
      } catch {
        return undefined;
      }
    },
    async write(weights, bytes) {
      const path = place(weights);
      await makeFolder(dirname(path));
      await writeFileAtomic(path, bytes, { durable: true });
    },
  };
}

/** How weights are read and kept in Node, as the environment says now. */
export function nodeHost(): WeightsHost {
  const readFile = (path: string | URL): Promise<Uint8Array<ArrayBuffer>> =>
    readBytes(/^file:/i.test(String(path)) ? new URL(path) : path, 'load weights');
  return { readFile, store: weightsStore(), offline: offlineReason() };
}
