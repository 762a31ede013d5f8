// The README's own question under other runtimes: Deno (wgpu) and Bun (Dawn) find the faces that Node finds.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const binary = (name) => fileURLToPath(new URL(`node_modules/${name}`, import.meta.url));
const RUNTIMES = {
  node: [process.execPath, '--import', 'tsx'],
  deno: [
    binary('@deno/linux-x64-glibc/deno'),
    ...['run', '-A', '--node-modules-dir=manual', '--unstable-webgpu', '--unstable-sloppy-imports'],
  ],
  bun: [binary('@oven/bun-linux-x64/bin/bun'), 'run'],
};

/** Pixels by which corners may differ: other kernels, and another compiler, round sums in another order. */
const TOLERANCE = 0.01;

function faces([command, ...before]) {
  const text = execFileSync(
    command,
    [...before, 'src/cli/main.ts', 'detect', '--json', '--quiet', 'fixtures/pictures/scene_1.jpg'],
    { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], timeout: 180_000 },
  );
  return JSON.parse(text).faces;
}

const expected = faces(RUNTIMES.node);
let failed = expected.length > 0 ? 0 : 1;
for (const name of ['deno', 'bun']) {
  const found = faces(RUNTIMES[name]);
  const off = Math.max(
    ...expected.flatMap(({ box }, i) =>
      Object.entries(box).map(([side, at]) => Math.abs(at - (found[i]?.box[side] ?? NaN))),
    ),
  );
  const same = found.length === expected.length && off <= TOLERANCE;
  console.log(`${name}: ${found.length} faces of ${expected.length}, corners at most ${off} pixels off`);
  if (!same) failed++;
}
console.log(`${2 - Math.min(2, failed)} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
