// Makes one minified module of an entry, for pages without a bundler and for those that find faces and train nothing.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import ts from 'typescript';
import { kernelTable } from './build-kernels.mjs';
import { ENTRIES } from './entries.mjs';
import { readKernels } from './link-kernels.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const { name, version, license } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

/** Functions that only training calls. */
const TRAINING = new Set(['batchStatistics', 'initialise']);
const REFUSED = `{ throw new TypeError('retinaface-webgpu/inference trains nothing: import from retinaface-webgpu'); }`;

/** A module without the gradients of its ops and what trains: what nothing but those needs then falls away with them. */
function withoutTraining(path) {
  const text = readFileSync(path, 'utf8');
  const cuts = [];
  const visit = (node) => {
    if (ts.isCallExpression(node) && node.expression.getText() === 'defineOp') {
      for (const property of node.arguments[0].properties) {
        if (property.name?.getText() === 'backward') cuts.push([property.getFullStart(), property.getEnd(), '']);
      }
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

/** Bundles names of a source with these kernels; answers esbuild's result, whose files are not written. */
async function bundle({ source, names, file, inference, kernels }) {
  const all = readKernels();
  const chosen = Object.fromEntries(Object.entries(all.kernels).filter(([kernel]) => kernels?.has(kernel) ?? true));
  return build({
    stdin: { contents: `export ${names ? `{ ${names.join(', ')} }` : '*'} from './${source}';`, resolveDir: root },
    outdir: `${root}/dist`,
    entryNames: file.replace(/\.js$/, ''),
    chunkNames: 'chunks/[name]-[hash]',
    splitting: inference,
    bundle: true,
    write: false,
    metafile: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    platform: 'browser',
    logLevel: 'error',
    banner: { js: `/*! ${name} ${version}, ${license}: licence and notes are in the package */` },
    plugins: [
      {
        name: 'library',
        setup(building) {
          building.onLoad({ filter: /\/src\/gpu\/kernel_table\.ts$/ }, () => ({
            contents: kernelTable({ ...all, kernels: chosen }),
            loader: 'ts',
          }));
          building.onLoad({ filter: /\/src\/retinaface\/bundled\.ts$/ }, ({ path }) => ({
            contents: readFileSync(path, 'utf8').replaceAll("'../../fixtures/weights/", "'./weights/"),
            loader: 'ts',
          }));
          if (!inference) return;
          building.onLoad({ filter: /\/src\/(ops|retinaface)\/.*\.ts$/ }, ({ path }) => ({
            contents: withoutTraining(path),
            loader: 'ts',
          }));
        },
      },
    ],
  });
}

/**
 * The files of an entry, or of some of its names as another bundler would pick them: `path`, `contents`, and whether a page
 * that imports it fetches them at once.
 */
export async function bundleEntry(file, names) {
  const { source, inference } = ENTRIES[file];
  const entry = { source, names, file, inference };
  let kernels;
  if (inference) {
    // A kernel is named where it runs: those whose names are left in the code without gradients are those that may.
    const { outputFiles } = await bundle({ ...entry, kernels: new Set() });
    const text = outputFiles.map((output) => output.text).join('\n');
    const named = new Set([...text.matchAll(/["'`](\w+)["'`]/g)].map(([, word]) => word));
    kernels = new Set(Object.keys(readKernels().kernels).filter((kernel) => named.has(kernel)));
  }
  const { outputFiles, metafile } = await bundle({ ...entry, kernels });
  const atOnce = new Set();
  const follow = (output) => {
    atOnce.add(output);
    for (const { path, kind } of metafile.outputs[output].imports) {
      if (kind === 'import-statement' && !atOnce.has(path)) follow(path);
    }
  };
  follow(Object.keys(metafile.outputs).find((output) => metafile.outputs[output].entryPoint !== undefined));
  const files = outputFiles.map(({ path, contents }) => {
    const output = Object.keys(metafile.outputs).find((each) => path.endsWith(`/${each}`));
    return { path, contents, atOnce: atOnce.has(output), inputs: metafile.outputs[output].inputs };
  });
  return { files, kernels };
}
