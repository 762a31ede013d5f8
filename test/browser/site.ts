// Builds the page, serves it below a path as GitHub Pages does, and opens it in headless Chromium.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
// tsx brings esbuild.
import { build, type Plugin } from 'esbuild';
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

const root = fileURLToPath(new URL('../..', import.meta.url));
const dist = join(root, 'site', 'dist');
const BELOW = '/below/a/path/';

/** The Chromium of this machine, where there is one. */
export const CHROMIUM = [
  process.env['RETINAFACE_TEST_CHROMIUM'] ?? '',
  '/usr/bin/chromium',
  '/usr/bin/google-chrome',
].find((path) => path !== '' && existsSync(path));

/** With a WebGPU that computes on the processor (SwiftShader), and nothing that it fetches for itself. */
export const CHROMIUM_FLAGS = [
  ...['--no-sandbox', '--disable-quic', '--disable-background-networking', '--disable-gpu-watchdog'],
  ...['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'],
];

/** Why there is nothing to open the page in, where there is nothing. */
export const noChromium = CHROMIUM === undefined ? 'no Chromium at /usr/bin/chromium' : undefined;

/** The script of a page in one file. */
export async function bundled(entry: string, ...plugins: readonly Plugin[]): Promise<Uint8Array> {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    platform: 'browser',
    logLevel: 'error',
    plugins: [...plugins],
  });
  return outputFiles[0]!.contents;
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.css': 'text/css',
  '.js': 'text/javascript',
  '.svg': 'image/svg+xml',
  '.jpg': 'image/jpeg',
};

/** The page on a server of its own. */
export interface Site extends AsyncDisposable {
  readonly address: string;
  readonly browser: Browser;
  /** Opens the page at an address of its own context. */
  open(options?: OpenOptions): Promise<Visit>;
}

export interface OpenOptions {
  /** What comes behind the page's address, as `#learn`. */
  readonly at?: string;
  readonly context?: BrowserContextOptions;
  /** A script that runs before the page's own. */
  readonly before?: string;
}

/** One visit of the page. */
export interface Visit extends AsyncDisposable {
  readonly page: Page;
  readonly context: BrowserContext;
  /** What the page complained of: errors, and what its security policy refused. */
  readonly complaints: readonly string[];
  /** Addresses that were asked for, outside the server that the page came from. */
  readonly elsewhere: readonly string[];
}

/** Serves the page as it was built; `flags` are Chromium's, as those of a fake camera. */
export async function openSite(flags: readonly string[] = []): Promise<Site> {
  const arguments_ = ['--import', 'tsx', join(root, 'site', 'build.ts')];
  execFileSync(process.execPath, arguments_, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname;
    const file = join(dist, normalize(path.slice(BELOW.length) || 'index.html'));
    if (!path.startsWith(BELOW) || !existsSync(file)) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream' });
    response.end(readFileSync(file));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const browser = await chromium.launch({
    executablePath: CHROMIUM!,
    args: [...CHROMIUM_FLAGS, ...flags],
  });
  return {
    address: origin + BELOW,
    browser,
    async open({ at = '', context: options = {}, before } = {}) {
      const context = await browser.newContext(options);
      const page = await context.newPage();
      page.setDefaultTimeout(60_000);
      const complaints: string[] = [];
      const elsewhere: string[] = [];
      page.on('pageerror', (error) => complaints.push(String(error)));
      page.on('console', (message) => {
        if (message.type() === 'error') complaints.push(message.text());
      });
      context.on('request', (request) => {
        const url = request.url();
        if (!url.startsWith(origin) && !url.startsWith('blob:')) elsewhere.push(url);
      });
      if (before !== undefined) await page.addInitScript(before);
      await page.goto(origin + BELOW + at);
      return { page, context, complaints, elsewhere, [Symbol.asyncDispose]: () => context.close() };
    },
    async [Symbol.asyncDispose]() {
      await browser.close();
      server.closeAllConnections();
      server.close();
    },
  };
}
