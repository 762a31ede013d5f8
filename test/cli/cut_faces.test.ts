// What `detect --align`, `--crop` and `--csv` write of faces that were found.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import { FaceFiles } from '../../src/cli/cut_faces.js';
import { DETECTION_OPTIONS, detectionOf } from '../../src/cli/detection_options.js';
import { parse } from '../../src/cli/command.js';
import { encodePng } from '../../src/node/codecs.js';
import { readImage } from '../../src/node/files.js';

const folder = await mkdtemp(join(tmpdir(), 'retinaface-cut-'));
test.after(() => rm(folder, { recursive: true }));

const picture = { data: new Uint8Array(100 * 80 * 4).fill(200), width: 100, height: 80 };
const at = (x: number, y: number) => ({ x, y });
const face = {
  score: 0.5,
  box: { x1: 10, y1: 20, x2: 30, y2: 50 },
  landmarks: {
    leftEye: at(15, 30),
    rightEye: at(25, 30),
    nose: at(20, 35),
    leftMouth: at(16, 42),
    rightMouth: at(24, 42),
  },
};

test('faces are cut out below the folder as their pictures lie, no picture is written over, and a table has a row each', async () => {
  const file = join(folder, 'faces', 'a,b_1.png');
  const faces = join(folder, 'faces');
  const csv = join(folder, 'tables', 'all.csv');
  const source = { file, below: 'a,b.png' };
  const files = await FaceFiles.of(
    { align: join(folder, 'aligned'), crop: join(folder, 'boxes'), margin: 0.5, csv },
    [{ file, below: '' }],
    false,
  );
  await mkdir(faces);
  await writeFile(file, encodePng(picture));
  const again = await FaceFiles.of(
    { align: faces, crop: undefined, margin: 0, csv: undefined },
    [{ file, below: '' }],
    false,
  );
  assert.equal(
    (await files.add({ source, picture, faces: [face, { score: 0.25, box: face.box }] })).error?.name,
    'ArgumentError',
  );
  assert.equal((await files.add({ source, picture, faces: [face] })).error, undefined);
  assert.equal((await again.add({ source, picture, faces: [face] })).error, undefined);
  assert.equal((await readImage(file)).width, 100);
  assert.ok((await readdir(faces)).includes('a,b_1-2.png'));
  const [name] = await readdir(join(folder, 'boxes'));
  const box = await readImage(join(folder, 'boxes', name!));
  // Half a face more on each side, as far as there is picture.
  assert.deepEqual([box.width, box.height], [40, 60]);
  await files.end();
  const [header, first, second, third] = (await readFile(csv, 'utf8')).split('\n');
  assert.equal(header!.split(',').length, 19);
  assert.match(header!, /^file,width,height,face,score,x1,y1,x2,y2,left_eye_x,/);
  assert.equal(first, `"${file}",100,80,1,0.5,10,20,30,50,15,30,25,30,20,35,16,42,24,42`);
  assert.equal(second, `"${file}",100,80,2,0.25,10,20,30,50${','.repeat(10)}`);
  assert.ok(third!.startsWith(`"${file}",100,80,1,`));
});

test('scales and rotations are lists', () => {
  const read = (...args: string[]) => detectionOf(parse('detect', args, DETECTION_OPTIONS).values);
  assert.equal(read().scales, undefined);
  assert.deepEqual(read('--scales', '0.5,2', '--rotations', '0,90').rotations, [0, 90]);
  assert.deepEqual(read('--scales', '0.5,2').scales, [0.5, 2]);
  assert.throws(() => read('--rotations', '45'), /--rotations to be some of 0, 90, 180, 270, got '45'/);
  assert.throws(() => read('--scales', '0'), /--scales to be a number of at least 0.01/);
});

test('a table takes the place of no picture and of no folder, which is told before any search', async () => {
  const named = join(folder, 'named');
  await mkdir(named);
  const picturePath = join(named, 'picture');
  const other = join(named, 'other.jpg');
  for (const path of [picturePath, other]) await writeFile(path, encodePng(picture));
  const tableAt = (csv: string) =>
    FaceFiles.of(
      { align: undefined, crop: undefined, margin: 0, csv },
      [{ file: picturePath, below: 'picture' }],
      false,
    );
  for (const [csv, got] of [
    [picturePath, /no picture, got .*would be lost/],
    [other, /no picture, got .*would be lost/],
    [named, /a file, got the folder/],
  ] as const) {
    await assert.rejects(tableAt(csv), { name: 'ArgumentError', message: got });
  }
  await tableAt(join(named, 'faces.csv'));
});

test.run();
