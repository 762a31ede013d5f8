import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { test } from 'uvu';
import { writeFileAtomic } from '../../src/node/files.js';
import { testUnless } from '../helpers/unless.js';

const folders: string[] = [];
test.after(async () => {
  for (const path of folders) await rm(path, { recursive: true });
});

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'files-'));
  folders.push(path);
  return path;
}

const bytes = new TextEncoder().encode('new');

test('a file is replaced, and nothing else stays beside it', async () => {
  const path = await folder();
  await writeFile(join(path, 'a.bin'), 'old and longer');
  await writeFileAtomic(join(path, 'a.bin'), bytes);
  assert.equal(await readFile(join(path, 'a.bin'), 'utf8'), 'new');
  assert.deepEqual(await readdir(path), ['a.bin']);
});

test('what a process that was killed left of the same file is removed; what others are writing stays', async () => {
  const path = await folder();
  const { pid: dead } = spawnSync(process.execPath, ['--version']);
  const stay = [`.a.bin.${process.ppid}.tmp`, `.b.bin.${dead}.tmp`, '.a.bin.tmp'];
  for (const name of [`.a.bin.${dead}.tmp`, `.a.bin.${process.pid}.tmp`, ...stay])
    await writeFile(join(path, name), '');
  await writeFileAtomic(join(path, 'a.bin'), bytes);
  assert.deepEqual((await readdir(path)).sort(), [...stay, 'a.bin'].sort());
  assert.equal(await readFile(join(path, 'a.bin'), 'utf8'), 'new');
});

test('a name may be as long as names can be', async () => {
  const path = await folder();
  const name = 'a'.repeat(255);
  await writeFileAtomic(join(path, name), bytes);
  assert.deepEqual(await readdir(path), [name]);
});

test('a link keeps pointing to the file that it names', async () => {
  const path = await folder();
  await writeFile(join(path, 'file'), 'old');
  await symlink('file', join(path, 'link'));
  await writeFileAtomic(join(path, 'link'), bytes);
  assert.ok((await lstat(join(path, 'link'))).isSymbolicLink());
  assert.equal(await readFile(join(path, 'file'), 'utf8'), 'new');
});

test('a folder in the place of the file is a FileError, and no temporary stays', async () => {
  const path = await folder();
  await mkdir(join(path, 'a.bin'));
  await assert.rejects(writeFileAtomic(join(path, 'a.bin'), bytes), { name: 'FileError', message: /a\.bin/ });
  assert.deepEqual(await readdir(path), ['a.bin']);
});

const noDevices = existsSync('/dev/full') ? undefined : 'no /dev/full on this system';

testUnless(noDevices)(
  'a device is written into and never replaced; a full one is a FileError with a remedy',
  async () => {
    await assert.rejects(writeFileAtomic('/dev/full', bytes), { name: 'FileError', message: /Make room on the disk/ });
    assert.ok((await lstat('/dev/full')).isCharacterDevice());
  },
);

const noShell = process.platform === 'win32' ? 'limits on file sizes are set by a POSIX shell' : undefined;

testUnless(noShell)('a write that fails half-way leaves the old file and no temporary', async () => {
  const path = await folder();
  const file = join(path, 'a.bin');
  await writeFile(file, 'old');
  const source = fileURLToPath(new URL('../../src/node/files.ts', import.meta.url));
  const script = `
    const { writeFileAtomic } = await import(${JSON.stringify(source)});
    await writeFileAtomic(${JSON.stringify(file)}, new Uint8Array(1 << 20)).catch((error) => console.log(error.name));`;
  // No file may grow past 8 blocks of 512 or 1,024 bytes.
  const limited = 'ulimit -f 8; exec "$0" --import tsx --input-type=module --eval "$1"';
  const { stdout } = await promisify(execFile)('sh', ['-c', limited, process.execPath, script], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    env: { ...process.env, TSX_DISABLE_CACHE: '1' },
  });
  assert.equal(stdout.trim(), 'FileError');
  assert.equal(await readFile(file, 'utf8'), 'old');
  assert.deepEqual(await readdir(path), ['a.bin']);
});

test.run();
