// Turns kernels/**/*.wgsl into src/gpu/kernel_table.ts: the text of every kernel and shared function, and for each
// kernel its parameters, bindings, conditions and constants as types, so that a misspelt name is a compile error and
// nothing reads kernel files at run time, in Node or in a browser.
import { readFileSync, readdirSync, writeFileSync, existsSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'kernels');
const target = join(root, 'src', 'gpu', 'kernel_table.ts');

/** All .wgsl files below a folder, sorted, so that the table is the same everywhere. */
function kernelFiles(at) {
  return readdirSync(at, { withFileTypes: true })
    .flatMap((entry) => {
      const path = join(at, entry.name);
      return entry.isDirectory() ? kernelFiles(path) : entry.name.endsWith('.wgsl') ? [path] : [];
    })
    .sort();
}

const withoutComments = (text) => text.replace(/\/\/[^\n]*/g, (comment) => ' '.repeat(comment.length));

function fail(file, message) {
  console.error(`kernels/${file}: ${message}`);
  process.exit(1);
}

function describe(file, text) {
  const code = withoutComments(text);
  const name = file
    .split('/')
    .at(-1)
    .replace(/\.wgsl$/, '');
  const struct = /struct\s+Params\s*\{([^}]*)\}/.exec(code);
  if (!struct) fail(file, 'a kernel needs a `struct Params`');
  const params = {};
  for (const field of struct[1]
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean)) {
    const match = /^(\w+)\s*:\s*(u32|i32|f32)$/.exec(field);
    if (!match) fail(file, `Params holds 4-byte scalars only, not \`${field}\``);
    params[match[1]] = match[2];
  }
  if (Object.keys(params).length > 64) fail(file, 'Params is over 256 bytes');
  if (!/@group\(0\)\s*@binding\(0\)\s*var<uniform>\s+params\s*:\s*Params/.test(code)) {
    fail(file, 'binding 0 must be `var<uniform> params: Params`');
  }
  const bindings = {};
  const pattern =
    /(@if\(([^)]*)\)\s*)?@group\((\d+)\)\s*@binding\((\d+)\)\s*var<storage,\s*(read|read_write)>\s+(\w+)/g;
  for (const [, , condition, group, binding, access, variable] of code.matchAll(pattern)) {
    if (group !== '0') fail(file, `\`${variable}\` is outside group 0`);
    bindings[variable] = { binding: Number(binding), access, optional: condition !== undefined };
  }
  // Eight is what a default device guarantees per stage.
  if (Object.values(bindings).filter((b) => !b.optional).length > 8) fail(file, 'more than 8 storage buffers');
  const conditions = new Set();
  for (const [, expression] of code.matchAll(/@(?:if|elif)\(([^)]*)\)/g)) {
    for (const word of expression.match(/\b[a-z]\w*\b/g) ?? []) {
      if (word !== 'true' && word !== 'false') conditions.add(word);
    }
  }
  const constants = {};
  for (const [, single, many] of code.matchAll(/import\s+constants::(?:(\w+)|\{([^}]*)\})\s*;/g)) {
    for (const constant of (single ?? many)
      .split(',')
      .map((part) => part.trim())
      .filter(Boolean))
      constants[constant] = 'link';
  }
  for (const [, constant, initial] of code.matchAll(/\boverride\s+(\w+)\s*(?::\s*\w+)?\s*(=)?/g)) {
    constants[constant] = initial ? 'override-default' : 'override';
  }
  return { name, file: `kernels/${file}`, params, bindings, conditions: [...conditions].sort(), constants };
}

const sources = {};
const kernels = {};
for (const path of kernelFiles(folder)) {
  const file = relative(folder, path).split(sep).join('/');
  const text = readFileSync(path, 'utf8');
  sources[`./${file}`] = text;
  if (file.startsWith('shared/')) continue;
  const kernel = describe(file, text);
  if (kernels[kernel.name]) fail(file, `the name is taken by ${kernels[kernel.name].file}`);
  kernels[kernel.name] = kernel;
}

const table = `// Written by tools/build-kernels.mjs from kernels/. Do not edit.

/** The text of every kernel and shared function, by its path under kernels/. */
export const sources: Readonly<Record<string, string>> = ${JSON.stringify(sources, null, 2)};

/** Every kernel with what it takes, by name. */
export const kernels = ${JSON.stringify(kernels, null, 2)} as const;
`;
if (!existsSync(target) || readFileSync(target, 'utf8') !== table) writeFileSync(target, table);
