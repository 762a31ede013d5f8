import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import {
  type GroundTruth,
  groundTruthFromBoxes,
  groundTruthFromJson,
  groundTruthFromJsonLines,
  groundTruthFromMatlab,
  groundTruthFromRetinaFaceLabels,
  pictureName,
  SUBSETS,
  type SubsetFiles,
} from '../../src/evaluate/ground_truth.js';
import { LabelError } from '../../src/gpu/errors.js';
import { noSharedData, sharedData } from '../helpers/shared_data.js';
import { cells, chars, doubles, matlabFile } from './matlab_files.js';
import { testUnless } from '../helpers/unless.js';

const FILES = [['a', 'b'], ['c']];
const EVENTS = ['0--Parade', '1--Run'];

/** Files of two events of two and one pictures; `of` answers what each picture holds. */
function official(list: string, of: (name: string) => Uint8Array, files = FILES): Uint8Array {
  return matlabFile([
    cells(
      EVENTS.map((event) => chars(event)),
      'event_list',
    ),
    cells(
      files.map((names) => cells(names.map((name) => chars(name)))),
      'file_list',
    ),
    cells(
      files.map((names) => cells(names.map(of))),
      list,
    ),
  ]);
}

/** Columns x, y, w, h. */
const BOXES = official('face_bbx_list', (name) =>
  name === 'b' ? doubles([5, 6, 7, 8], [1, 4]) : doubles([1, 2, 10, 20, 3, 4, 30, 40], [2, 4]),
);

function lists(numbers: Readonly<Record<string, readonly number[]>>, files = FILES): SubsetFiles {
  const bytes = official('gt_list', (name) => doubles(numbers[name] ?? [], [(numbers[name] ?? []).length, 1]), files);
  const file = { bytes, source: 'list.mat' };
  return { easy: file, medium: file, hard: file };
}

const plain = ({ pictures, subsets }: GroundTruth) => ({
  subsets,
  pictures: pictures.map(({ name, boxes, counts }) => [name, [...boxes], [...counts.hard]]),
});

async function refuses(read: () => GroundTruth | Promise<GroundTruth>, message: RegExp): Promise<void> {
  await assert.rejects(
    async () => read(),
    (error) => {
      assert.ok(error instanceof LabelError, String(error));
      assert.match(error.message, message);
      return true;
    },
  );
}

test('official files give boxes as corners and count from 1', async () => {
  const groundTruth = await groundTruthFromMatlab(BOXES, 'x.mat', lists({ a: [2], c: [1, 2] }));
  assert.deepEqual(plain(groundTruth), {
    subsets: 'lists',
    pictures: [
      ['0--Parade/a', [1, 10, 4, 40, 2, 20, 6, 60], [0, 1]],
      ['0--Parade/b', [5, 6, 12, 14], [0]],
      ['1--Run/c', [1, 10, 4, 40, 2, 20, 6, 60], [1, 1]],
    ],
  });
});

test('lists of other pictures or faces, and other variables, are refused', async () => {
  const read = (given: SubsetFiles, boxes = BOXES) => groundTruthFromMatlab(boxes, 'x.mat', given);
  await refuses(() => read(lists({ a: [3] })), /numbers of 1 to 2 for 0--Parade\/a, got 3/);
  await refuses(() => read(lists({ a: [0] })), /got 0/);
  await refuses(() => read(lists({}, [['a'], ['c']])), /0--Parade\/b of x\.mat, got none/);
  await refuses(() => read(lists({}, [['a', 'b', 'd'], ['c']])), /x\.mat only, got 0--Parade\/d/);
  await refuses(() => read(lists({}), matlabFile([])), /cells in event_list, got none/);
  await refuses(
    () =>
      read(
        lists({}),
        official('face_bbx_list', () => doubles([1, 2, 3], [1, 3])),
      ),
    /\[1, 3\]/,
  );
  await refuses(
    () =>
      read(
        lists({}),
        official('face_bbx_list', () => chars('text')),
      ),
    /numbers in the boxes/,
  );
  const twice = [['a', 'a'], []];
  const none = official('face_bbx_list', () => doubles([], [0, 4]), twice);
  await refuses(() => read(lists({}, twice), none), /0--Parade\/a twice/);
});

test('the official text keeps every row, for the lists count them', async () => {
  const text = `0--Parade/b.jpg\n0\n0 0 0 0 0 0 0 0 0 0 \n0--Parade/a.jpg\n2\n1 10 3 4 0 0 0 0 0 0 \n9 9 0 2 0 0 0 1 0 0\n1--Run/c.jpg\n0\n`;
  const pictures = [
    ['0--Parade/b', [0, 0, 0, 0], [0]],
    ['0--Parade/a', [1, 10, 4, 14, 9, 9, 9, 11], [0, 1]],
    ['1--Run/c', [], []],
  ];
  assert.deepEqual(plain(await groundTruthFromBoxes(text, 'x.txt', lists({ a: [2] }))), { subsets: 'lists', pictures });
  const all = plain(await groundTruthFromBoxes(text, 'x.txt'));
  assert.equal(all.subsets, 'all');
  assert.deepEqual(all.pictures[1], ['0--Parade/a', [1, 10, 4, 14, 9, 9, 9, 11], [1, 1]]);
});

test('a broken line of the official text is named', async () => {
  const broken: readonly (readonly [string, RegExp])[] = [
    ['a/b\n', /x\.txt, line 1/],
    ['a/b.jpg\nmany\n', /x\.txt, line 2/],
    ['a/b.jpg\n2\n1 2 3 4\n', /line 4: expected face 2 of 2/],
    ['a/b.jpg\n1\n1 2 three 4\n', /line 3/],
    ['a/b.jpg\n1\n1 2 3 4\n\nstray\n', /line 5/],
    ['a/b.jpg\n1\n1 2 3 4\na/b.jpg\n0\n', /twice/],
    ['', /pictures, got none/],
  ];
  for (const [text, message] of broken) await refuses(() => groundTruthFromBoxes(text, 'x.txt'), message);
});

test('plain JSON has boxes and the numbers of those that count, or none and all count', async () => {
  const picture = { event: 'e', name: 'n.jpg', boxes_xywh: [[1, 2, 3, 4]] };
  const listed = { ...picture, easy: [], medium: [1], hard: [1] };
  const { pictures, subsets } = groundTruthFromJson(JSON.stringify([listed]), 'x.json');
  assert.equal(subsets, 'lists');
  assert.deepEqual(pictures[0], {
    name: 'e/n',
    boxes: Float64Array.of(1, 2, 4, 6),
    counts: { easy: Uint8Array.of(0), medium: Uint8Array.of(1), hard: Uint8Array.of(1) },
  });
  assert.equal(groundTruthFromJson(JSON.stringify([picture]), 'x.json').subsets, 'all');
  const refused: readonly (readonly [unknown, RegExp])[] = [
    [{}, /JSON list/],
    [[], /pictures, got none/],
    [[7], /"name": text of picture 1/],
    [[{ ...picture, event: 1 }], /"event": text of picture 1 \(n\.jpg\), got 1/],
    [[{ name: 'n' }], /"boxes_xywh": a list/],
    [[{ ...picture, boxes_xywh: [[1, 2, 3]] }], /\[x, y, w, h\] of picture 1 \(n\.jpg\), got \[1,2,3\]/],
    [[{ ...listed, hard: [2] }], /"hard": numbers of 1 to 1/],
    [[{ ...picture, easy: [1] }], /"medium": a list of numbers/],
    [[picture, picture], /e\/n twice/],
  ];
  for (const [value, message] of refused) {
    await refuses(() => groundTruthFromJson(JSON.stringify(value), 'x.json'), message);
  }
  await refuses(() => groundTruthFromJson('[{', 'x.json'), /x\.json: expected JSON/);
});

test('labels count every face and keep landmarks where they are annotated', async () => {
  const points = [0, 1, 2, 3, 4].map((i) => [i, i + 0.5]);
  const line = { image: 'e/n.png', faces: [{ box: [0, 0, 9, 9], landmarks: points }, { box: [5, 5, 8, 9] }] };
  const { pictures, subsets } = groundTruthFromJsonLines(`${JSON.stringify(line)}\n`, 'x.jsonl');
  assert.equal(subsets, 'all');
  assert.equal(pictures[0]?.name, 'e/n');
  const landmarks = [...pictures[0].landmarks!];
  assert.deepEqual(landmarks.slice(0, 10), points.flat());
  assert.ok(landmarks.slice(10).every(Number.isNaN));
  await refuses(() => groundTruthFromJsonLines('{}\n', 'x.jsonl'), /x\.jsonl, line 1/);
  const labels = groundTruthFromRetinaFaceLabels('# a/b.jpg\n1 2 3 4\n# a/c.jpg\n', 'x.txt');
  assert.deepEqual(
    labels.pictures.map(({ name, boxes }) => [name, [...boxes]]),
    [
      ['a/b', [1, 2, 4, 6]],
      ['a/c', []],
    ],
  );
});

test('pictures are named by their folder and file, without ending', () => {
  assert.equal(pictureName('0--Parade/a.b.JPG'), '0--Parade/a.b');
  assert.equal(pictureName('0--Parade\\a.jpeg'), '0--Parade/a');
});

testUnless(noSharedData)('text and .mat of the official split are the same boxes', async () => {
  const file = (name: string) => {
    const source = sharedData(`wider/ground_truth/${name}`);
    return { bytes: new Uint8Array(readFileSync(source)), source };
  };
  const given = {
    easy: file('wider_easy_val.mat'),
    medium: file('wider_medium_val.mat'),
    hard: file('wider_hard_val.mat'),
  };
  const binary = await groundTruthFromMatlab(file('wider_face_val.mat').bytes, 'mat', given);
  const text = new TextDecoder().decode(file('wider_face_val_bbx_gt.txt').bytes);
  const written = await groundTruthFromBoxes(text, 'text', given);
  const byName = new Map(written.pictures.map((picture) => [picture.name, picture]));
  assert.equal(binary.pictures.length, 3226);
  for (const picture of binary.pictures) assert.deepEqual(byName.get(picture.name), picture);
  const total = (subset: (typeof SUBSETS)[number]) =>
    binary.pictures.reduce((sum, { counts }) => sum + counts[subset].reduce((a, b) => a + b, 0), 0);
  assert.deepEqual(SUBSETS.map(total), [7211, 13319, 31958]);
  assert.equal(
    binary.pictures.reduce((sum, { boxes }) => sum + boxes.length / 4, 0),
    39_708,
  );
});

test('a number of faces that the file cannot hold is refused before memory is claimed', async () => {
  for (const count of ['4294967296', '99999999999999999999', '3']) {
    await refuses(() => groundTruthFromBoxes(`a/b.jpg\n${count}\n1 2 3 4\n`, 'x.txt'), /faces of a\/b\.jpg.*the end/);
  }
});

test.run();
