// Makes one minified module of an entry, for pages without a bundler and for those that find faces and train nothing.
import { readFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { minify } from 'terser';
import ts from 'typescript';
import { kernelTable } from './build-kernels.mjs';
import { ENTRIES, ON_DEMAND } from './entries.mjs';
import { readKernels } from './link-kernels.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const { name, version, license } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

/** Functions that only training calls. */
const TRAINING = new Set(['batchStatistics', 'freeze', 'initialise', 'learning', 'moveInto', 'moving', 'part']);
/** Conditions of kernels that are on in training alone. */
const RECORDING = ['argmax', 'placed', 'turned'];
/** What ops call to check what they are given. */
const CHECKS = new Set(['checkOptions', 'checkTensors']);
const REFUSED = `{ throw new TypeError('retinaface-webgpu/inference trains nothing: import from retinaface-webgpu'); }`;

/**
 * A module without the gradients of its ops and what trains, and without checks of ops' options and types, which the library alone calls
 * there: what nothing but those needs then falls away with them.
 */
function withoutTraining(path) {
  const text = readFileSync(path, 'utf8');
  const cuts = [];
  const visit = (node) => {
    if (ts.isCallExpression(node) && node.expression.getText() === 'defineOp') {
      for (const property of node.arguments[0].properties) {
        if (property.name?.getText() === 'backward') cuts.push([property.getFullStart(), property.getEnd(), '']);
      }
    }
    const { expression } = node;
    if (ts.isExpressionStatement(node) && ts.isCallExpression(expression) && /\/src\/ops\//.test(path)) {
      if (CHECKS.has(expression.expression.getText())) cuts.push([node.getFullStart(), node.getEnd(), '']);
    }
    const named = ts.isFunctionDeclaration(node) || ts.isMethodDeclaration(node);
    if (named && node.body && TRAINING.has(node.name.getText())) {
      cuts.push([node.body.getStart(), node.body.getEnd(), REFUSED]);
    } else ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, true));
  return cuts.reduceRight((rest, [from, to, instead]) => {
    const after = rest.slice(to);
    return rest.slice(0, from) + (instead || '') + (instead ? after : after.replace(/^\s*,/, ''));
  }, text);
}

/** Of the sources, the ones that a program must have once: what it was told by one is nothing to another. */
const ERRORS = 'src/gpu/errors.ts';
const ONCE = ['src/gpu/gpu.ts', 'src/tensor/tensor.ts', 'src/gpu/kernel_table.ts'];

const onDemand = (file, source) => `chunks/${file.replace(/\.js$/, '')}-${basename(source, '.ts')}.js`;

/**
 * One minified module of `source`, or of some of its names, with these kernels. `entry` is the file that fetches it or stands
 * beside it, whose errors it throws; nothing for an entry itself.
 */
async function bundle({ source, names, file, entry, inference, kernels }) {
  const all = readKernels();
  const chosen = Object.fromEntries(Object.entries(all.kernels).filter(([kernel]) => kernels?.has(kernel) ?? true));
  const { outputFiles, metafile } = await build({
    stdin: { contents: `export ${names ? `{ ${names.join(', ')} }` : '*'} from './${source}';`, resolveDir: root },
    outfile: `${root}dist/${file}`,
    bundle: true,
    write: false,
    metafile: true,
    minify: true,
    charset: 'utf8',
    format: 'esm',
    target: 'es2022',
    platform: 'browser',
    logLevel: 'error',
    banner: { js: `/*! ${name} ${version}, ${license} */` },
    plugins: [
      {
        name: 'library',
        setup(building) {
          building.onResolve({ filter: /^\..*\.js$/ }, ({ path, resolveDir, kind }) => {
            const asked = relative(root, join(resolveDir, path)).replace(/\.js$/, '.ts');
            const beside = (other) => ({
              path: `./${relative(dirname(file), other)}`.replace('./..', '..'),
              external: true,
            });
            if (kind === 'dynamic-import' && ON_DEMAND.includes(asked)) return beside(onDemand(file, asked));
            return entry && asked === ERRORS ? beside(entry) : undefined;
          });
          building.onLoad({ filter: /\/src\/gpu\/kernel_table\.ts$/ }, () => ({
            contents: kernelTable({ ...all, kernels: chosen }, { joined: true, off: inference ? RECORDING : [] }),
            loader: 'ts',
          }));
          building.onLoad({ filter: /\/src\/retinaface\/bundled\.ts$/ }, ({ path }) => ({
            contents: readFileSync(path, 'utf8').replaceAll("'../../fixtures/weights/", "'./weights/"),
            loader: 'ts',
          }));
          if (!inference) return;
          building.onLoad({ filter: /\/src\/(nn|ops|retinaface|tensor)\/.*\.ts$/ }, ({ path }) => ({
            contents: withoutTraining(path),
            loader: 'ts',
          }));
        },
      },
    ],
  });
  const [{ path, text }] = outputFiles;
  const [{ inputs }] = Object.values(metafile.outputs);
  const twice = entry ? ONCE.filter((each) => inputs[each]?.bytesInOutput > 0) : [];
  if (twice.length > 0) throw new Error(`${file} would have a copy of ${twice.join(', ')} beside that of ${entry}`);
  return { path, text, inputs };
}

/** Of what esbuild has made small, Terser still takes 3% of the gzipped bytes. */
async function smallest({ path, text, inputs }) {
  const { code } = await minify(text, { module: true, ecma: 2022, format: { comments: /^!/ } });
  return { path, contents: Buffer.from(code), inputs };
}

/**
 * The files of an entry, or of some of its names as another bundler would pick them, those that are fetched on demand behind
 * the first: `path`, `contents`, and what is in them; and the kernels that it has.
 */
export async function bundleEntry(file, names) {
  const { source, inference, beside } = ENTRIES[file];
  const wanted = { source, names, file, inference, entry: beside };
  let kernels;
  if (inference) {
    // A kernel is named where it runs: those whose names are left in the code without gradients are those that may.
    const { text } = await bundle({ ...wanted, kernels: new Set() });
    const named = new Set([...text.matchAll(/["'`](\w+)["'`]/g)].map(([, word]) => word));
    kernels = new Set(Object.keys(readKernels().kernels).filter((kernel) => named.has(kernel)));
  }
  const first = await bundle({ ...wanted, kernels });
  const later = ON_DEMAND.filter((each) => first.text.includes(onDemand(file, each))).map((each) =>
    bundle({ source: each, file: onDemand(file, each), entry: file, inference, kernels: new Set() }),
  );
  return { files: await Promise.all([first, ...(await Promise.all(later))].map(smallest)), kernels };
}
