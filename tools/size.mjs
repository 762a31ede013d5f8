// `npm run size`: what a page fetches of the library, minified and gzipped, weights apart. Fails where that is over its bound,
// or where docs/guide/bundlers.md says something else. `npm run size -- --parts` also lists what the files are made of.
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { bundleEntry } from './bundle.mjs';

const DETECTING = ['RetinaFace', 'requestDevice', 'readImage'];

/** What is measured: names of an entry as a bundler picks them, or all of it; and KB (of 1,000 bytes) that it may have. */
const MEASURED = [
  {
    what: '`RetinaFace`, `requestDevice`, `readImage` of `retinaface-webgpu/inference`',
    entry: 'inference.js',
    names: DETECTING,
    most: 58,
  },
  { what: 'all of `retinaface-webgpu/inference`', entry: 'inference.js', most: 62 },
  {
    what: '`RetinaFace`, `requestDevice`, `readImage` of `retinaface-webgpu`',
    entry: 'retinaface.js',
    names: DETECTING,
    most: 80,
  },
  { what: 'all of `retinaface-webgpu`: `retinaface.js`', entry: 'retinaface.js', most: 131 },
];
/** KB by which the guide may be behind. */
const BEHIND = 1;

const kb = (bytes) => bytes / 1000;
const sum = (numbers) => numbers.reduce((total, each) => total + each, 0);
const guide = readFileSync(new URL('../docs/guide/bundlers.md', import.meta.url), 'utf8');
let failed = false;
for (const { what, entry, names, most } of MEASURED) {
  const { files } = await bundleEntry(entry, names);
  const first = files.filter(({ atOnce }) => atOnce);
  const minified = kb(sum(first.map(({ contents }) => contents.length)));
  const gzipped = kb(sum(first.map(({ contents }) => gzipSync(contents, { level: 9 }).length)));
  console.log(`| ${what} | ${minified.toFixed(0)} KB | ${gzipped.toFixed(0)} KB |`);
  const said = guide.split(`| ${what} `)[1]?.match(/^ *\| *[\d.]+ KB *\| *([\d.]+) KB/)?.[1];
  const problems = [
    gzipped > most && `${gzipped.toFixed(1)} KB is more than ${most} KB`,
    !(Math.abs(Number(said) - gzipped) <= BEHIND) && `docs/guide/bundlers.md says ${said ?? 'no'} KB`,
  ].filter(Boolean);
  for (const problem of problems) console.log(`  ${problem}`);
  failed ||= problems.length > 0;
  if (process.argv.includes('--parts')) {
    const rooms = new Map();
    for (const [path, { bytesInOutput }] of first.flatMap(({ inputs }) => Object.entries(inputs))) {
      const room = path.endsWith('kernel_table.ts') ? 'kernels' : path.replace(/^src\//, '').split('/')[0];
      rooms.set(room, (rooms.get(room) ?? 0) + bytesInOutput);
    }
    for (const [room, bytes] of [...rooms].sort(([, a], [, b]) => b - a))
      console.log(`  ${kb(bytes).toFixed(1)} KB ${room}`);
  }
}
process.exitCode = failed ? 1 : 0;
