// `npm run size`: what a page fetches of the library, minified and gzipped, weights apart. Fails where that is over its bound,
// or where the README or docs/guide/bundlers.md says something else. `npm run size -- --parts` also lists what the files are made of.
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { bundleEntry } from './bundle.mjs';

const DETECTING = ['RetinaFace', 'requestDevice', 'readImage'];

/**
 * What is measured: names of an entry as a bundler picks them, or all of it; and KB (of 1,000 bytes) that it may have. The library
 * in full is `retinaface.js`: all that finds faces, and builds and trains networks. Drawn scenes and evaluation stand beside it.
 */
const MEASURED = [
  {
    what: '`RetinaFace`, `requestDevice`, `readImage` of `retinaface-webgpu/inference`',
    entry: 'inference.js',
    names: DETECTING,
    most: 55,
    readme: /retinaface-webgpu\/inference'; \/\/ ([\d.]+) KB gzipped/,
  },
  { what: 'all of `retinaface-webgpu/inference`: `inference.js`', entry: 'inference.js', most: 60 },
  {
    what: '`RetinaFace`, `requestDevice`, `readImage` of `retinaface-webgpu`',
    entry: 'retinaface.js',
    names: DETECTING,
    most: 73,
  },
  { what: 'the library in full: `retinaface.js`', entry: 'retinaface.js', most: 95, readme: /in full is ([\d.]+) KB/ },
  { what: 'evaluation beside it: `evaluate.js`', entry: 'evaluate.js', most: 13, readme: /evaluation \(([\d.]+) KB\)/ },
  { what: 'drawn scenes beside it: `scenes.js`', entry: 'scenes.js', most: 22, readme: /drawn scenes \(([\d.]+) KB\)/ },
];
/** KB by which the README and the guide may be behind. */
const BEHIND = 1;

const kb = (bytes) => bytes / 1000;
const read = (path) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const [guide, front] = [read('docs/guide/bundlers.md'), read('README.md')];
let failed = false;
for (const { what, entry, names, most, readme } of MEASURED) {
  // What is fetched on demand comes behind the first.
  const [{ contents, inputs }] = (await bundleEntry(entry, names)).files;
  const minified = kb(contents.length);
  const gzipped = kb(gzipSync(contents, { level: 9 }).length);
  console.log(`| ${what} | ${minified.toFixed(0)} KB | ${gzipped.toFixed(0)} KB |`);
  const said = {
    'docs/guide/bundlers.md': guide.split(`| ${what} `)[1]?.match(/^ *\| *[\d.]+ KB *\| *([\d.]+) KB/)?.[1],
    ...(readme && { 'README.md': front.match(readme)?.[1] }),
  };
  const problems = Object.entries(said)
    .filter(([, size]) => !(Math.abs(Number(size) - gzipped) <= BEHIND))
    .map(([path, size]) => `${path} says ${size ?? 'no'} KB`);
  if (gzipped > most) problems.push(`${gzipped.toFixed(1)} KB is more than ${most} KB`);
  for (const problem of problems) console.log(`  ${problem}`);
  failed ||= problems.length > 0;
  if (process.argv.includes('--parts')) {
    const rooms = new Map();
    for (const [path, { bytesInOutput }] of Object.entries(inputs)) {
      const room = path.endsWith('kernel_table.ts') ? 'kernels' : path.replace(/^src\//, '').split('/')[0];
      rooms.set(room, (rooms.get(room) ?? 0) + bytesInOutput);
    }
    for (const [room, bytes] of [...rooms].sort(([, a], [, b]) => b - a))
      console.log(`  ${kb(bytes).toFixed(1)} KB ${room}`);
  }
}
process.exitCode = failed ? 1 : 0;
