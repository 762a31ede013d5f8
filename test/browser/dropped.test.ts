// What the page takes of a drop: a browser lets no program drop a folder, so that it is one made of plain objects here.
import assert from 'node:assert/strict';
import { test } from 'uvu';
import { droppedFiles } from '../../site/find/dropped.js';

type Named = Readonly<Record<string, unknown>> & { readonly name: string };

const fileEntry = (name: string): Named => ({
  name,
  isDirectory: false,
  file: (answer: (file: File) => void) => {
    answer(new File(['…'], name));
  },
});

/** Answers a hundred entries at a time, as Chromium does. */
const folderEntry = (name: string, entries: readonly Named[]): Named => ({
  name,
  isDirectory: true,
  createReader: () => {
    let at = 0;
    return {
      readEntries: (answer: (some: readonly Named[]) => void) => {
        answer(entries.slice(at, (at += 100)));
      },
    };
  },
});

function transferOf(...items: readonly { readonly entry?: Named; readonly file?: File }[]): DataTransfer {
  const all = items.map(({ entry, file }) => ({
    kind: entry || file ? 'file' : 'string',
    webkitGetAsEntry: () => entry ?? null,
    getAsFile: () => file ?? null,
  }));
  return { items: all } as unknown as DataTransfer;
}

test('pictures of a folder and of those in it come by name, and nothing else of them', async () => {
  const many = Array.from({ length: 120 }, (_, i) => fileEntry(`${i}.jpg`));
  const folder = folderEntry('trip', [
    fileEntry('z.png'),
    fileEntry('notes.txt'),
    folderEntry('many', many.toReversed()),
  ]);
  const files = await droppedFiles(transferOf({ entry: folder }, { file: new File([], 'own.safetensors') }));
  const names = files?.map(({ name }) => name);
  assert.deepEqual(names, ['own.safetensors', ...many.map(({ name }) => name), 'z.png']);
});

test('a folder without pictures is no file; text is no drop at all', async () => {
  assert.deepEqual(await droppedFiles(transferOf({ entry: folderEntry('empty', []) })), []);
  assert.equal(await droppedFiles(transferOf({})), undefined);
});

test.run();
