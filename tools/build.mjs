// Compiles src/ to dist/src/ with types, makes the modules for pages, and puts the weights beside them.
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ENTRIES } from './entries.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = new URL('../dist/', import.meta.url);
const run = (...args) => execFileSync(process.execPath, args, { cwd: root, stdio: 'inherit' });

rmSync(dist, { recursive: true, force: true });
run('tools/build-kernels.mjs');
run('node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json');
cpSync(new URL('../fixtures/weights', import.meta.url), new URL('weights', dist), {
  recursive: true,
  filter: (path) => !path.endsWith('.md'),
});
const bundled = new URL('src/retinaface/bundled.js', dist);
writeFileSync(bundled, readFileSync(bundled, 'utf8').replaceAll("'../../fixtures/weights/", "'../../weights/"));
chmodSync(new URL('src/cli/main.js', dist), 0o755);

// After the table of kernels is there.
const { bundleEntry } = await import('./bundle.mjs');
for (const entry of Object.keys(ENTRIES)) {
  for (const { path, contents } of (await bundleEntry(entry)).files) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, contents);
  }
}
