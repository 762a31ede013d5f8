// The command line as a process that tests can kill, and small pictures to search.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { syntheticScene } from '../../src/data/synthetic.js';
import { encodeJpeg } from '../../src/node/codecs.js';
import { RETINAFACE } from '../helpers/command_line.js';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** What runs the command line: `node …`. */
export const COMMAND: readonly string[] = [process.execPath, ...RETINAFACE];

/** How a process ended. */
export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A process, and its end. */
export interface Running {
  readonly child: ChildProcess;
  readonly finished: Promise<Finished>;
}

/** Processes that were started; a test that fails leaves none behind. */
const started = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of started) child.kill('SIGKILL');
});

/** Starts `retinaface` with arguments. */
export function start(args: readonly string[], { cwd = ROOT, env = {}, input = '' }: StartOptions = {}): Running {
  const child = spawn(COMMAND[0]!, [...COMMAND.slice(1), ...args], {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  started.add(child);
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  // A process that was killed reads nothing.
  child.stdin.on('error', () => undefined).end(input);
  const finished = new Promise<Finished>((resolve) =>
    child.on('close', (code) => {
      started.delete(child);
      resolve({ code, stdout, stderr });
    }),
  );
  return { child, finished };
}

/** Where and with what a process is started. */
export interface StartOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

/** Writes `count` small scenes, JPEGs of two sizes, most with faces, and answers their paths. */
export async function drawScenes(folder: string, count: number): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const paths = [];
  for (let i = 0; i < count; i++) {
    const size = i % 3 === 0 ? 64 : 96;
    const { picture } = syntheticScene(7, i, { size, faces: [0, 2], faceHeights: [24, 56] });
    const path = join(folder, `scene_${String(i).padStart(4, '0')}.jpg`);
    await writeFile(path, encodeJpeg(picture));
    paths.push(path);
  }
  return paths;
}

/** All files below a folder, by their paths. */
export async function contentsOf(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const read = await Promise.all(
    files.sort().map(async (file) => [relative(folder, file), await readFile(file, 'utf8')] as const),
  );
  return Object.fromEntries(read);
}
