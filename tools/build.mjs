// Compiles src/ to dist/src/ with types, and puts the weights in the box where it looks for them.
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const run = (...args) => execFileSync(process.execPath, args, { cwd: root, stdio: 'inherit' });

rmSync(new URL('../dist', import.meta.url), { recursive: true, force: true });
run('tools/build-kernels.mjs');
run('node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json');
cpSync(new URL('../fixtures/weights', import.meta.url), new URL('../dist/fixtures/weights', import.meta.url), {
  recursive: true,
  filter: (path) => !path.endsWith('.md'),
});
chmodSync(new URL('../dist/src/cli/main.js', import.meta.url), 0o755);
