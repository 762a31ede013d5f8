// Reads kernels/ and links every variant of every kernel with `wesl`, while the library is built: what is shipped is, for each
// kernel, the lines of all its variants once, each with the variants that have it. The library puts a variant together by
// picking lines (src/gpu/linker.ts) and needs no linker of its own.
import { readFileSync, readdirSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { composeResolvers, createConstantsResolver, linkRegistry, RecordResolver } from 'wesl/core';

const folder = fileURLToPath(new URL('../kernels', import.meta.url));

/** Stands for the value of a constant while a kernel is linked: a number that no kernel holds. */
const PLACEHOLDER = 987654321;

/** More variants would not fit the mask of a part, one bit each. */
const MAX_CONDITIONS = 5;

/** The types that are chosen when a kernel is linked, as constants are. */
const ELEMENT = 'shared/element.wgsl';

/** Marks a part that all variants have. */
export const ALL = -1;

/** What is wrong with a kernel, by its file. */
export class KernelFileError extends Error {
  constructor(file, message) {
    super(`kernels/${file}: ${message}`);
    this.name = 'KernelFileError';
  }
}

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

function describe(file, sources) {
  const own = withoutComments(sources[file]);
  // Parameters and bindings of shared files come with what is imported from there.
  const imported = [...own.matchAll(/import\s+package::shared::(\w+)/g)].map(
    ([, name]) => sources[`shared/${name}.wgsl`],
  );
  const code = withoutComments([own, ...imported.filter((text) => text?.includes('@binding'))].join('\n'));
  const struct = /struct\s+Params\s*\{([^}]*)\}/.exec(code);
  if (!struct) throw new KernelFileError(file, 'a kernel needs a `struct Params`');
  const params = [];
  for (const field of words(struct[1])) {
    const match = /^(\w+)\s*:\s*(u32|i32|f32)$/.exec(field);
    if (!match) throw new KernelFileError(file, `Params holds 4-byte scalars only, not \`${field}\``);
    params.push(match[1]);
  }
  if (params.length > 64) throw new KernelFileError(file, 'Params is over 256 bytes');
  if (!/@group\(0\)\s*@binding\(0\)\s*var<uniform>\s+params\s*:\s*Params/.test(code)) {
    throw new KernelFileError(file, 'binding 0 must be `var<uniform> params: Params`');
  }
  const bindings = [];
  const optional = [];
  const pattern = /(@if\([^)]*\)\s*)?@group\((\d+)\)\s*@binding\(\d+\)\s*var<storage,\s*(?:read|read_write)>\s+(\w+)/g;
  for (const [, condition, group, variable] of code.matchAll(pattern)) {
    if (group !== '0') throw new KernelFileError(file, `\`${variable}\` is outside group 0`);
    (condition === undefined ? bindings : optional).push(variable);
  }
  // Eight is what a default device guarantees per stage.
  if (bindings.length > 8) throw new KernelFileError(file, 'more than 8 storage buffers');
  const conditions = new Set();
  for (const [, expression] of code.matchAll(/@(?:if|elif)\(([^)]*)\)/g)) {
    for (const word of expression.match(/\b[a-z]\w*\b/g) ?? []) {
      if (word !== 'true' && word !== 'false') conditions.add(word);
    }
  }
  if (conditions.size > MAX_CONDITIONS) throw new KernelFileError(file, `more than ${MAX_CONDITIONS} conditions`);
  const constants = [...code.matchAll(/import\s+constants::(?:(\w+)|\{([^}]*)\})\s*;/g)].flatMap(([, one, many]) =>
    words(one ?? many),
  );
  if (/\boverride\b/.test(code))
    throw new KernelFileError(file, 'what is chosen when linking is imported from constants');
  const half = code.includes('shared::element::');
  const written = /(\w+)\s*:\s*array<Out/.exec(code)?.[1];
  if (written !== undefined && written !== 'y')
    throw new KernelFileError(file, `what is written as Out is y, not \`${written}\``);
  return { file: `kernels/${file}`, params, bindings, optional, conditions: [...conditions].sort(), constants, half };
}

function words(list) {
  return list
    .split(',')
    .map((word) => word.trim())
    .filter(Boolean);
}

/** The text of every kernel and shared file by its path below kernels/, and what each kernel takes by its name. */
export function readKernels() {
  const sources = {};
  const kernels = {};
  for (const path of kernelFiles(folder)) {
    sources[relative(folder, path).split(sep).join('/')] = readFileSync(path, 'utf8');
  }
  for (const file of Object.keys(sources)) {
    if (file.startsWith('shared/')) continue;
    const name = file
      .split('/')
      .at(-1)
      .replace(/\.wgsl$/, '');
    if (kernels[name]) throw new KernelFileError(file, `the name is taken by ${kernels[name].file}`);
    kernels[name] = describe(file, sources);
  }
  return { sources, kernels };
}

/** What links kernels from these texts. */
export function linkerOf(sources) {
  const files = Object.fromEntries(Object.entries(sources).map(([file, text]) => [`./${file}`, text]));
  const lines = Object.entries(sources).map(([file, text]) => [
    file,
    withoutComments(text)
      .split('\n')
      .map((line) => tight(line.replace(/^\s*@if\([^)]*\)/, ''))),
  ]);
  return {
    resolver: new RecordResolver(files, { packageName: 'package', keepComments: false }),
    lines: new Map(lines),
  };
}

/** A line without what only readers need. Words stay apart, and so do two minus signs. */
function tight(line) {
  return line
    .trim()
    .replace(/\s+/g, ' ')
    .replace(/- -/g, '-\0-')
    .replace(/ ?([^\w\s@\0]) ?/g, '$1')
    .replaceAll('\0', ' ');
}

const depthOf = (text) => text.split('{').length - text.split('}').length;
const begins = (text, own) => text === own || (own.length > 1 && text.startsWith(own));

/** One variant as wesl links it, its lines in order, each with where it comes from. */
export function linkVariant({ file }, conditions, constants, linker) {
  const linked = linkRegistry({
    resolver: composeResolvers(linker.resolver, createConstantsResolver(constants)),
    rootModuleName: file.replace(/^kernels\//, './'),
    conditions,
  });
  const lines = [];
  let offset = 0;
  let depth = 0;
  let opened = '';
  // A kernel's attributes have a line of their own.
  const code = linked.dest.text.replace(/^(@compute .*\)) (?=fn )/gm, '$1\n');
  for (const line of code.split('\n')) {
    const text = tight(line);
    if (text === '{')
      opened += text; // The block of an @if: it is part of what stands in it.
    else if (text !== '') {
      const { src, position } = linked.destToSrc(offset + line.search(/\S/));
      const from = src.path?.replace(/^\.\//, '').replace(/\.wesl$/, '.wgsl');
      // wesl counts what follows an @if that is off from the @if; a statement begins as its first line in the file does.
      const before = depth > 0 ? lines.at(-1).line : 1;
      const at = Math.max(before, src.text.slice(0, position).split('\n').length);
      const first = text === '}' ? Math.max(at, before + 1) : at;
      const found =
        linker.lines.get(from)?.findIndex((own, i) => i + 1 >= first && own !== '' && begins(text, own)) ?? -1;
      lines.push({ text: opened + text, file: from, line: found < 0 ? at : found + 1 });
      depth += depthOf(opened + text);
      opened = '';
    }
    offset += line.length + 1;
  }
  return lines;
}

/**
 * What puts all variants of a kernel together: its own lines in order, then those of shared files, neighbours of the same
 * variants as one part `[text, line, variants, file]`. A part keeps the line breaks of its file, by which errors find their
 * line; each function of a shared file is a part of its own, which kernels share. No order of declarations matters to WGSL,
 * but that `enable` comes first.
 * @throws KernelFileError with the kernel's own file and line.
 */
export function partsOf(kernel, linker) {
  const { conditions, constants } = kernel;
  const own = kernel.file.replace(/^kernels\//, '');
  const values = Object.fromEntries(constants.map((constant) => [constant, PLACEHOLDER]));
  const injected = new Set(constants.map((constant) => `const ${constant}=${PLACEHOLDER};`));
  /** By file, then line, then text: the variants. */
  const files = new Map([[own, new Map()]]);
  for (let variant = 0; variant < 2 ** conditions.length; variant++) {
    const on = Object.fromEntries(conditions.map((condition, i) => [condition, ((variant >> i) & 1) === 1]));
    let lines;
    try {
      lines = linkVariant(kernel, on, values, linker);
    } catch (cause) {
      throw new KernelFileError(own, cause instanceof Error ? cause.message : String(cause));
    }
    const here = new Map();
    let depth = 0;
    let before;
    for (const { text, file, line } of lines) {
      if (injected.has(text) || file === ELEMENT) continue;
      // wesl renames what meets another name, and a binding is known by its own.
      const [, bound] = /@binding\(\d+\)var<.*>(\w+):/.exec(text) ?? [];
      if (bound && ![...kernel.bindings, ...kernel.optional, 'params'].includes(bound)) {
        throw new KernelFileError(file, `line ${line}, '${text}': something else is called as this binding`);
      }
      // Lines are sorted by their numbers: inside a declaration that must be the order in which they stand.
      if (text.includes(String(PLACEHOLDER)) || (depth > 0 && (before.file !== file || before.line > line))) {
        throw new KernelFileError(file, `line ${line}, '${text}', cannot be told apart from its variants`);
      }
      depth += depthOf(text);
      before = { file, line };
      if (!here.has(file)) here.set(file, new Map());
      here.get(file).set(line, (here.get(file).get(line) ?? '') + text);
    }
    for (const [file, texts] of here) {
      if (!files.has(file)) files.set(file, new Map());
      const all = files.get(file);
      for (const [line, text] of texts) {
        if (!all.has(line)) all.set(line, new Map());
        all.get(line).set(text, (all.get(line).get(text) ?? 0) | (1 << variant));
      }
    }
  }
  const every = (2 ** (2 ** conditions.length) - 1) | 0;
  const parts = [];
  for (const [file, all] of files) {
    let depth = 0;
    let last;
    for (const [line, texts] of [...all].sort(([a], [b]) => a - b)) {
      const starts = depth === 0 && file !== own;
      for (const [text, mask] of texts) {
        if (last?.mask === mask && !starts) last.text += '\n'.repeat(line - last.end) + text;
        else parts.push((last = { text, line, mask, file }));
        last.end = line;
      }
      const [step, ...others] = [...texts.keys()].map(depthOf);
      if (others.some((other) => other !== step))
        throw new KernelFileError(file, `line ${line} ends no block in one variant`);
      depth += step;
    }
  }
  return parts.map(({ text, line, mask, file }) => [
    text,
    line,
    ...(file === own ? (mask === every ? [] : [mask]) : [mask === every ? ALL : mask, file]),
  ]);
}
