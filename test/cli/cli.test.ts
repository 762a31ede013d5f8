// The command line as a user meets it: processes, exit codes, what goes to stdout and what to stderr.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import { encodePng } from '../../src/node/codecs.js';
import { readImage } from '../../src/node/files.js';
import { RETINAFACE } from '../helpers/command_line.js';
import { noSharedData, sharedData } from '../helpers/shared_data.js';
import { testUnless } from '../helpers/unless.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = await mkdtemp(join(tmpdir(), 'retinaface-cli-'));
test.after(() => rm(folder, { recursive: true }));

await writeFile(join(folder, 'flat.png'), encodePng({ data: new Uint8Array(64 * 4).fill(9), width: 8, height: 8 }));

interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `retinaface` with arguments, in the temporary folder, with some standard input. */
async function retinaface(args: readonly string[], input: string | Buffer = '', output?: number): Promise<Finished> {
  const child = spawn(process.execPath, [...RETINAFACE, ...args], {
    cwd: folder,
    stdio: ['pipe', output ?? 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (text: Buffer) => (stdout += text.toString()));
  child.stderr!.on('data', (text: Buffer) => (stderr += text.toString()));
  child.stdin!.end(input);
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, stdout, stderr };
}

const weights = ['--weights', sharedData('checkpoints/mobilenet0.25_Final.pth')];

interface Line {
  readonly file: string;
  readonly width?: number;
  readonly height?: number;
  readonly faces?: readonly { readonly score: number; readonly landmarks: Record<string, { x: number; y: number }> }[];
  readonly error?: { readonly name: string; readonly message: string };
}

const lines = (stdout: string): Line[] =>
  stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);

test('--help names every command, and every command has a help of its own', async () => {
  const { code, stdout } = await retinaface(['--help']);
  assert.equal(code, 0);
  for (const command of ['detect', 'convert', 'weights', 'doctor']) {
    assert.match(stdout, new RegExp(`retinaface ${command}`));
    const help = await retinaface(command === 'doctor' ? ['help', command] : [command, '--help']);
    assert.equal(help.code, 0);
    assert.match(help.stdout, new RegExp(`^retinaface ${command}`));
  }
});

test('wrong usage exits with 2 and says what is wrong', async () => {
  const slip = await retinaface(['detcet', 'a.png']);
  assert.deepEqual([slip.code, slip.stdout], [2, '']);
  assert.equal(slip.stderr, "retinaface: expected a command, got 'detcet'. Did you mean detect?\n");
  for (const args of [
    ['detect'],
    ['detect', '--score', '7', 'a.png'],
    ['detect', '--colour', 'a.png'],
    ['convert', 'a'],
  ]) {
    const { code, stderr, stdout } = await retinaface(args);
    assert.equal(code, 2, args.join(' '));
    assert.equal(stdout, '');
    assert.match(stderr, /expected/);
  }
});

test("--version is the package's; no word stands twice before what went wrong", async () => {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  assert.deepEqual(await retinaface(['--version']), { code: 0, stdout: `${version}\n`, stderr: '' });
  const { stderr } = await retinaface(['detect', '--josn', 'a.png']);
  assert.match(stderr, /^retinaface detect: expected .* got --josn\. Did you mean --json\?\n$/);
});

test('a full disk behind stdout is a plain error, with one line or many', async () => {
  const full = openSync('/dev/full', 'w');
  for (const args of [['--help'], ['detect', '--quiet', 'flat.png', 'flat.png']]) {
    const { code, stderr } = await retinaface(args, '', full);
    assert.equal(code, 1);
    const said = stderr.replace(/^Warning: .*\n/gm, '');
    assert.match(
      said,
      /^retinaface: expected to write to standard output, got ENOSPC[^\n]*Make room on the disk[^\n]*\n$/,
    );
  }
  closeSync(full);
});

test('what cannot be drawn keeps its faces, what was drawn says where; a picture may come through standard input', async () => {
  await mkdir(join(folder, 'blocked/flat.png'), { recursive: true });
  const blocked = await retinaface(['detect', '--json', '--draw', 'blocked', 'flat.png']);
  assert.equal(blocked.code, 1);
  const [line] = lines(blocked.stdout);
  assert.deepEqual([line?.faces, line?.width, line?.error?.name], [[], 8, 'FileError']);
  const drawn = await retinaface(['detect', '--json', '--draw', '.', '-'], await readFile(join(folder, 'flat.png')));
  assert.deepEqual(
    [drawn.code, lines(drawn.stdout)],
    [0, [{ file: '-', width: 8, height: 8, faces: [], drawn: 'stdin.png' }]],
  );
});

test('doctor names the adapter and sees its kernels run', async () => {
  const { code, stdout } = await retinaface(['doctor']);
  assert.equal(code, 0);
  assert.match(stdout, /adapter/);
  assert.match(stdout, /kernels run +yes/);
});

test('the weights in the box are taken where none are named; those that are missing are named with a remedy', async () => {
  const none = await retinaface(['detect', 'flat.png', '--json']);
  assert.equal(none.code, 0);
  assert.deepEqual(lines(none.stdout)[0]!.faces, []);
  const other = await retinaface(['detect', 'flat.png', '--config', 'context']);
  assert.equal(other.code, 1);
  assert.match(other.stderr, /bundled weights/);
  const missing = await retinaface(['detect', 'flat.png', '--weights', 'no.pth']);
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /no\.pth/);
  await writeFile(join(folder, 'text.pth'), 'hello');
  assert.equal((await retinaface(['detect', 'flat.png', '--weights', 'text.pth'])).code, 1);
});

testUnless(noSharedData)('one JSON line a picture, in order; what fails is told and the rest goes on', async () => {
  await writeFile(join(folder, 'words.jpg'), 'these are words');
  const photo = sharedData('photos/13.jpg');
  const files = [photo, 'words.jpg', 'absent.png', sharedData('photos/no_face.jpg')];
  const { code, stdout } = await retinaface(['detect', '--json', '--batch', '2', ...weights, ...files]);
  assert.equal(code, 1);
  const found = lines(stdout);
  assert.deepEqual(
    found.map(({ file }) => file),
    files,
  );
  assert.deepEqual([found[0]!.width, found[0]!.height, found[0]!.faces?.length], [933, 682, 3]);
  assert.deepEqual(Object.keys(found[0]!.faces![0]!.landmarks), [
    'leftEye',
    'rightEye',
    'nose',
    'leftMouth',
    'rightMouth',
  ]);
  assert.equal(found[1]!.error?.name, 'ImageError');
  assert.equal(found[2]!.error?.name, 'FileError');
  assert.deepEqual(found[3]!.faces, []);
});

testUnless(noSharedData)('paths on standard input are answered a line each, and --draw writes pictures', async () => {
  const drawn = join(folder, 'drawn');
  const input = `${sharedData('photos/13.jpg')}\n\n${sharedData('photos/no_face.jpg')}\n`;
  const { code, stdout } = await retinaface(['detect', '--json', '--quiet', '--draw', drawn, ...weights, '-'], input);
  assert.equal(code, 0);
  assert.deepEqual(
    lines(stdout).map(({ faces }) => faces?.length),
    [3, 0],
  );
  assert.deepEqual((await readdir(drawn)).sort(), ['13.png', 'no_face.png']);
  const picture = await readImage(join(drawn, '13.png'));
  assert.deepEqual([picture.width, picture.height], [933, 682]);
});

testUnless(noSharedData)('an empty folder, and a place that cannot be written, are errors', async () => {
  await mkdir(join(folder, 'empty'));
  const empty = await retinaface(['detect', ...weights, 'empty']);
  assert.equal(empty.code, 1);
  assert.match(empty.stderr, /without any/);
  const blocked = await retinaface(['detect', ...weights, '--draw', 'flat.png', 'flat.png']);
  assert.equal(blocked.code, 1);
  assert.match(blocked.stderr, /folder/);
});

testUnless(noSharedData)('convert writes safetensors that detect reads', async () => {
  const converted = join(folder, 'converted.safetensors');
  const first = await retinaface(['convert', weights[1]!, converted]);
  assert.equal(first.code, 0);
  assert.match(first.stderr, /published-mobilenet0\.25/);
  const { stdout } = await retinaface(['detect', '--json', '--weights', converted, sharedData('photos/13.jpg')]);
  assert.equal(lines(stdout)[0]?.faces?.length, 3);
});

test.run();
