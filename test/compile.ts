// Compiles all TypeScript of the checkout once, so that the many processes of a run of tests need not: half of the time of a
// short one is the loader. Types are not looked at here; `npm run lint` does that.
import { build, type Plugin } from 'esbuild';
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, relative, resolve, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const PROJECT = fileURLToPath(new URL('..', import.meta.url));

/** Below the checkout, where packages are found; a folder of its own for each run of tests. */
const FOLDERS = join(PROJECT, '.cache/tests');

/** Rooms with TypeScript, and what else compiled sources look for beside them. */
const ROOMS = ['src', 'test', 'bench', 'fixtures', 'site'];
const BESIDE = ['package.json', 'kernels', 'tools', 'fixtures/pictures', 'fixtures/weights', 'fixtures/golden'];

/** Tests and their helpers reach for files of the checkout: there `import.meta.url` stays that of the source. */
const ownAddress: Plugin = {
  name: 'address of the source',
  setup(compilation) {
    compilation.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      const contents = await readFile(path, 'utf8');
      const source = relative(PROJECT, path).startsWith(`src${sep}`);
      const address = JSON.stringify(pathToFileURL(path).href);
      return { contents: source ? contents : contents.replaceAll('import.meta.url', address), loader: 'ts' };
    });
  },
};

/** Compiles the checkout; answers the folder, to be removed with `removeCompiled`. */
export async function compile(): Promise<string> {
  removeForgotten();
  const folder = join(FOLDERS, String(process.pid));
  const entryPoints = ROOMS.flatMap((room) =>
    readdirSync(join(PROJECT, room), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts') && !path.endsWith('.d.ts') && !path.includes('node_modules'))
      .map((path) => join(PROJECT, room, path)),
  );
  await build({
    entryPoints,
    outdir: folder,
    outbase: PROJECT,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    sourcemap: 'inline',
    logLevel: 'warning',
    plugins: [ownAddress],
  });
  for (const name of BESIDE) {
    mkdirSync(join(folder, name, '..'), { recursive: true });
    if (existsSync(join(PROJECT, name))) symlinkSync(join(PROJECT, name), join(folder, name));
  }
  return folder;
}

export function removeCompiled(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}

/** Where what was compiled from a file of the checkout lies in such a folder. */
export function compiledFile(folder: string, file: string): string {
  return join(folder, relative(PROJECT, resolve(PROJECT, file)).replace(/\.ts$/, '.js'));
}

/** What runs that were killed left behind. */
function removeForgotten(): void {
  if (!existsSync(FOLDERS)) return;
  for (const name of readdirSync(FOLDERS)) {
    try {
      process.kill(Number(name), 0);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ESRCH') removeCompiled(join(FOLDERS, name));
    }
  }
}
