// Builds the page into site/dist, which any static server serves, at its root or below a path. `--serve` serves it on this
// machine; PORT says where.
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { BUNDLED_WEIGHTS } from '../src/retinaface/bundled.js';
import { PUBLIC_WEIGHTS } from '../src/weights/catalogue.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const source = join(root, 'site');
const target = join(root, 'site', 'dist');

/** Pictures that the page offers: drawn ones, all of them the project's own. */
const PICTURES = ['scene_1.jpg', 'scene_2.jpg', 'scene_3.jpg'];

/** What the page may reach: itself, and the hosts that its catalogue of weights names. Nothing that is opened in it can leave. */
function policy(): string {
  const hosts = new Set(
    PUBLIC_WEIGHTS.flatMap(({ addresses, redirects = [] }) => [
      ...addresses.map((address) => new URL(address).origin),
      ...redirects.map((host) => `https://${host}`),
    ]),
  );
  return [
    "default-src 'none'",
    "script-src 'self'",
    "worker-src 'self'",
    "style-src 'self'",
    "img-src 'self' blob:",
    "media-src 'self' blob:",
    `connect-src 'self' ${[...hosts].join(' ')}`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
}

/** Writes the whole page. What else lies in its folder, as the guides, stays. */
async function buildPage(): Promise<void> {
  for (const name of ['app', 'pictures', 'weights', 'index.html', 'style.css', 'icon.svg']) {
    rmSync(join(target, name), { recursive: true, force: true });
  }
  for (const name of ['app', 'pictures', 'weights']) mkdirSync(join(target, name), { recursive: true });
  await build({
    entryPoints: {
      page: join(source, 'page.ts'),
      worker: join(source, 'learn', 'worker.ts'),
      draw_worker: join(source, 'find', 'draw_worker.ts'),
    },
    outdir: join(target, 'app'),
    bundle: true,
    splitting: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    platform: 'browser',
    logLevel: 'warning',
  });
  const html = readFileSync(join(source, 'index.html'), 'utf8');
  if (!html.includes('%POLICY%')) throw new Error('site/index.html has no place for its policy');
  writeFileSync(join(target, 'index.html'), html.replace('%POLICY%', policy()));
  for (const name of ['style.css', 'icon.svg']) cpSync(join(source, name), join(target, name));
  for (const name of PICTURES) cpSync(join(root, 'fixtures', 'pictures', name), join(target, 'pictures', name));
  for (const { file } of BUNDLED_WEIGHTS) {
    cpSync(join(root, 'fixtures', 'weights', file), join(target, 'weights', file));
  }
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.jpg': 'image/jpeg',
  '.png': 'image/png',
  '.safetensors': 'application/octet-stream',
};

function serve(port: number): void {
  createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname);
    const file = join(target, normalize(path.endsWith('/') ? `${path}index.html` : path));
    const type = TYPES[extname(file)];
    let body: Buffer | undefined;
    try {
      if (type !== undefined) body = readFileSync(file);
    } catch {
      // Answered below.
    }
    if (!body || type === undefined) {
      const missing = path.startsWith('/docs/')
        ? 'The guides are not here yet: `npm run docs` builds them.'
        : 'Not found';
      response.writeHead(404, { 'content-type': 'text/plain' }).end(`${missing}\n`);
      return;
    }
    response.writeHead(200, { 'content-type': type, 'cache-control': 'no-cache' }).end(body);
  }).listen(port, 'localhost', () => {
    console.log(`http://localhost:${port}/`);
  });
}

await buildPage();
if (process.argv.includes('--serve')) serve(Number(process.env['PORT'] ?? 8080));
else console.log(target);
