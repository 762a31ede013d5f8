// Which pictures are searched, and where they are drawn: nothing is lost, nothing left out without a word.
import assert from 'node:assert/strict';
import { link, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { test } from 'uvu';
import { DrawnNames } from '../../src/cli/drawn_names.js';
import { listBatch, listInputs } from '../../src/cli/inputs.js';
import { makeFolder } from '../../src/node/files.js';

const root = await mkdtemp(join(tmpdir(), 'retinaface-inputs-'));
test.after(() => rm(root, { recursive: true }));
const at = (path: string): string => join(root, path);

async function files(...paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    await mkdir(dirname(at(path)), { recursive: true });
    await writeFile(at(path), '');
  }
}

async function listed(sources: readonly string[], recursive = false) {
  const skipped: string[] = [];
  const inputs = await listInputs(sources.map(at), {
    recursive,
    onSkipped: (_, names) => void skipped.push(...names),
  });
  return {
    names: inputs.filter(({ error }) => !error).map(({ file }) => relative(root, file)),
    errors: inputs.filter(({ error }) => error).map(({ error }) => error!.message),
    skipped,
    inputs,
  };
}

test('a folder stands for its pictures; what is no PNG or JPEG is named, folders inside wait for --recursive', async () => {
  await files('f/b.png', 'f/a.JPG', 'f/c.webp', 'f/d.gif', 'f/notes.txt', 'f/deep/e.jpeg', 'f/deep/deeper/g.jfif');
  await symlink(at('f'), at('f/deep/loop'));
  const flat = await listed(['f']);
  assert.deepEqual(flat.names, ['f/a.JPG', 'f/b.png']);
  assert.deepEqual(flat.skipped, ['c.webp', 'd.gif']);
  const deep = await listed(['f'], true);
  assert.deepEqual(deep.names, ['f/a.JPG', 'f/b.png', 'f/deep/deeper/g.jfif', 'f/deep/e.jpeg']);
  assert.deepEqual(deep.inputs.map(({ below }) => below).at(-1), 'deep/e.jpeg');
});

test('an empty folder among others is one failure, not the end', async () => {
  await mkdir(at('empty'));
  await files('only/x.webp', 'more/y.png');
  const { names, errors } = await listed(['empty', 'only', 'more']);
  assert.deepEqual(names, ['more/y.png']);
  assert.match(errors[0]!, /without any/);
  assert.match(errors[1]!, /but with x\.webp.*--recursive/);
});

test('patterns that a shell left alone stand for what they match; names with such letters are names', async () => {
  await files('g/a1.jpg', 'g/a2.jpg', 'g/b1.png', 'g/.a3.jpg', 'g/in/a4.jpg', 'g/[x].jpg', 'g/a1.txt');
  assert.deepEqual((await listed(['g/a*.jpg'])).names, ['g/a1.jpg', 'g/a2.jpg']);
  assert.deepEqual((await listed(['g/?1.*'])).names, ['g/a1.jpg', 'g/b1.png']);
  assert.deepEqual((await listed(['g/[!a]1.png', 'g/a[12].jpg'])).names, ['g/b1.png', 'g/a1.jpg', 'g/a2.jpg']);
  assert.deepEqual((await listed(['g/**/a*.jpg'])).names, ['g/a1.jpg', 'g/a2.jpg', 'g/in/a4.jpg']);
  assert.deepEqual((await listed(['*/in'])).names, ['g/in/a4.jpg']);
  assert.deepEqual((await listed(['g/[x].jpg'])).names, ['g/[x].jpg']);
  assert.match((await listed(['g/z*.jpg'])).errors[0]!, /files that this pattern stands for, got none/);
  // What is missing is told when it is read.
  assert.deepEqual((await listed(['g/absent.jpg'])).names, ['g/absent.jpg']);
});

test('a path with brackets that are no pattern is one failure, and a folder of such a name is itself', async () => {
  await files('odd [2024-05-01]/a1.jpg', 'odd [2024-05-01]/b1.jpg', 'twice/odd [2024-05-01]/c1.jpg');
  const { names, errors } = await listed(['IMG [2024-05-01].jpg', 'odd [2024-05-01]/a*.jpg', 'tw*/odd [2024-05-01]']);
  assert.deepEqual(names, ['odd [2024-05-01]/a1.jpg', 'twice/odd [2024-05-01]/c1.jpg']);
  assert.equal(errors.length, 1);
  assert.match(errors[0]!, /IMG \[2024-05-01\]\.jpg.*files that this pattern stands for, got none/);
});

test('each picture is taken once: a pattern stands for pictures, for folders where it ends with a name or a slash', async () => {
  await files('h/x.jpg', 'h/in/y.png', 'h/in/in/z.jpg', 'h/words/notes.txt', 'h/folder.jpg/notes.txt');
  const all = ['h/in/in/z.jpg', 'h/in/y.png', 'h/x.jpg'];
  for (const recursive of [false, true]) {
    const taken = async (pattern: string): Promise<string[]> => {
      const { names, errors } = await listed([pattern], recursive);
      assert.deepEqual(errors, [], pattern);
      return names.sort();
    };
    assert.deepEqual(await taken('h/**/*'), all);
    assert.deepEqual(await taken('h/**'), all);
    assert.deepEqual(await taken('h/*'), ['h/x.jpg']);
    assert.deepEqual(await taken('h/**/'), all);
    assert.deepEqual(await taken('h/**/in'), ['h/in/in/z.jpg', 'h/in/y.png']);
    assert.deepEqual(await taken('h/*/'), recursive ? ['h/in/in/z.jpg', 'h/in/y.png'] : ['h/in/y.png']);
  }
  assert.match((await listed(['h/words/*'])).errors[0]!, /files that this pattern stands for, got none/);
  assert.match((await listed(['h/wor*/'])).errors[0]!, /files that this pattern stands for, got none/);
});

test('a pattern that begins with ** searches the folder that the command runs in, too', async () => {
  await files('here/x.jpg', 'here/in/y.jpg');
  const before = process.cwd();
  process.chdir(at('here'));
  try {
    for (const pattern of ['**', '**/', '**/*.jpg']) {
      const inputs = await listInputs([pattern], { recursive: false, onSkipped: () => undefined });
      assert.deepEqual(inputs.map(({ file }) => file).sort(), ['in/y.jpg', 'x.jpg'], pattern);
    }
  } finally {
    process.chdir(before);
  }
});

async function drawnOf(sources: readonly string[], folder: string, recursive = false, streaming = false) {
  const { inputs } = await listed(sources, recursive);
  const names = await DrawnNames.of(at(folder), inputs, streaming);
  const drawn: string[] = [];
  for (const input of inputs) drawn.push(relative(root, await names.next(input)));
  return drawn;
}

test('no two pictures are drawn into one file: folders are kept, equal names numbered', async () => {
  await files('p/x.jpg', 'q/x.jpg', 'p/x.png', 'p/sub/x.jpg');
  assert.deepEqual(await drawnOf(['p/x.jpg', 'q/x.jpg'], 'out'), ['out/x.png', 'out/x-2.png']);
  assert.deepEqual(await drawnOf(['p', 'q'], 'out', true), [
    'out/sub/x.png',
    'out/x.png',
    'out/x-2.png',
    'out/x-3.png',
  ]);
});

test('a picture that is searched is never written over, under whatever name', async () => {
  await files('own/a.png', 'own/b.jpg');
  assert.deepEqual(await drawnOf(['own'], 'own'), ['own/a-2.png', 'own/b.png']);
  // By a link to the file, and by a link to the folder.
  await files('links/seen.txt');
  await symlink(at('own/a.png'), at('links/a.png'));
  await link(at('own/b.jpg'), at('links/b.png'));
  await symlink(at('own'), at('alias'));
  assert.deepEqual(await drawnOf(['own'], 'links'), ['links/a-2.png', 'links/b-2.png']);
  assert.deepEqual(await drawnOf(['own'], 'alias'), ['alias/a-2.png', 'alias/b.png']);
  // What an earlier run drew is drawn again; where pictures are named as the run goes, it may be one of them.
  await files('again/a.png');
  assert.deepEqual(await drawnOf(['own/a.png'], 'again'), ['again/a.png']);
  assert.deepEqual(await drawnOf(['own/a.png'], 'again', false, true), ['again/a-2.png']);
});

test('folders are made one by one; where none can be, that is an error and no wait without end', async () => {
  await makeFolder(at('new/er/est'));
  assert.deepEqual(await readdir(at('new/er')), ['est']);
  await makeFolder(at('new/er/est'));
  await assert.rejects(makeFolder('/proc/retinaface/drawn'), { name: 'FileError' });
  await assert.rejects(makeFolder(at('p/x.jpg/in')), { name: 'FileError' });
  await assert.rejects(makeFolder(at('p/x.jpg')), { name: 'FileError', message: /a file of that name/ });
});

test('a list that is not there ends a job; a picture that is not there is one of the pictures', async () => {
  await writeFile(at('list.txt'), 'x/1.png\nx/2.png\n');
  const options = { recursive: false, onSkipped: () => undefined };
  const listed = await listBatch([at('list.txt'), at('gone.png')], options);
  assert.deepEqual(
    listed.map(({ file }) => file),
    ['x/1.png', 'x/2.png', at('gone.png')],
  );
  await assert.rejects(listBatch([at('lost.txt')], options), { name: 'FileError', message: /a list, a picture or/ });
});

test.run();
