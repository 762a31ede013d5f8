import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import { formatJsonLines, parseJsonLines, parseRetinaFaceLabels, parseWiderBoxes } from '../../src/data/labels.js';
import type { Sample } from '../../src/data/sample.js';
import { LabelError } from '../../src/gpu/errors.js';
import { noSharedData, sharedData } from '../helpers/shared_data.js';
import { testUnless } from '../helpers/unless.js';

const read = (file: string): string => readFileSync(sharedData(`wider/ground_truth/${file}`), 'utf8');
const faceCount = (samples: readonly Sample[]): number => samples.reduce((sum, { faces }) => sum + faces.length, 0);

test('faces of retinaface_gt_v1.1 have landmarks where no point is marked absent', () => {
  const { samples, dropped } = parseRetinaFaceLabels(`# a/one.jpg
10 20 30 40 1 2 0.0 3 4 1.0 5 6 0.0 7 8 0.0 9 10.5 0.0 0.8
50 60 7 9 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 -1.0 0.2
1 2 0 9
# a/none.jpg
# b/two.jpg\r
3 4 5 6\r
`);
  assert.equal(dropped, 1);
  assert.deepEqual(samples, [
    {
      name: 'a/one.jpg',
      faces: [{ box: [10, 20, 40, 60], landmarks: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10.5] }, { box: [50, 60, 57, 69] }],
    },
    { name: 'a/none.jpg', faces: [] },
    { name: 'b/two.jpg', faces: [{ box: [3, 4, 8, 10] }] },
  ]);
});

test('official boxes include pictures without faces, which are followed by a line of zeros', () => {
  const { samples, dropped } = parseWiderBoxes(
    'a/one.jpg\n2\n1 2 3 4 0 0 0 0 0 0 \n5 6 7 0 0 0 0 1 0 0 \na/none.jpg\n0\n0 0 0 0 0 0 0 0 0 0 \nb/1.jpg\n1\n9 8 7 6 0 0 0 0 0 0\n',
  );
  assert.equal(dropped, 1);
  assert.deepEqual(samples, [
    { name: 'a/one.jpg', faces: [{ box: [1, 2, 4, 6] }] },
    { name: 'a/none.jpg', faces: [] },
    { name: 'b/1.jpg', faces: [{ box: [9, 8, 16, 14] }] },
  ]);
});

test('boxes under the minimum are dropped and counted', () => {
  const text = '# a.jpg\n0 0 7.9 20\n0 0 8 8\n0 0 20 7\n0 0 -3 20\n';
  assert.equal(parseRetinaFaceLabels(text).dropped, 1);
  const { samples, dropped } = parseRetinaFaceLabels(text, { minimumSize: 8 });
  assert.deepEqual([faceCount(samples), dropped], [1, 3]);
  assert.equal(parseRetinaFaceLabels('# a.jpg\n0 0 0.5 0.5\n0 0 0 3\n', { minimumSize: 0 }).dropped, 1);
});

test('JSON lines are read back as they were written', () => {
  const samples: Sample[] = [
    { name: 'folder/é "1".jpg', faces: [{ box: [1.5, 2, 3, 4.25], landmarks: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] }] },
    { name: 'b.png', faces: [] },
    { name: 'c.png', faces: [{ box: [0, 0, 1, 1] }] },
  ];
  const text = formatJsonLines(samples);
  assert.equal(
    text.split('\n')[0],
    '{"image":"folder/é \\"1\\".jpg","faces":[{"box":[1.5,2,3,4.25],"landmarks":[[1,2],[3,4],[5,6],[7,8],[9,10]]}]}',
  );
  assert.deepEqual(parseJsonLines(text), { samples, dropped: 0 });
  const spaced = parseJsonLines('\uFEFF\n{"image":"a","faces":[{"box":[0,0,2,2],"landmarks":null}]}\r\n\n');
  assert.deepEqual(spaced.samples, [{ name: 'a', faces: [{ box: [0, 0, 2, 2] }] }]);
});

test('damaged labels are errors that name the file and the line', () => {
  const cases: readonly (readonly [parse: typeof parseJsonLines, text: string, line: number])[] = [
    [parseRetinaFaceLabels, '1 2 3 4\n', 1],
    [parseRetinaFaceLabels, '# a.jpg\n1 2 3\n', 2],
    [parseRetinaFaceLabels, '# a.jpg\n1 2 3 4\n1 2 x 4\n', 3],
    [parseRetinaFaceLabels, '#  \n', 1],
    [parseWiderBoxes, 'a.jpg\nb.jpg\n', 2],
    [parseWiderBoxes, 'a.jpg', 2],
    [parseWiderBoxes, 'a.jpg\n2\n1 2 3 4 0 0 0 0 0 0\n', 4],
    [parseWiderBoxes, 'a.jpg\n1\n1 2 3 4 0 0 0 0 0 0\n1 2 3 4 0 0 0 0 0 0\n', 4],
    [parseJsonLines, '{"image":"a","faces":[]}\n{"image":', 2],
    [parseJsonLines, '{"faces":[]}', 1],
    [parseJsonLines, '[]', 1],
    [parseJsonLines, '{"image":"a","faces":[{"box":[1,2,3]}]}', 1],
    [parseJsonLines, '{"image":"a","faces":[{"box":[1,2,3,4],"landmarks":[[1,2]]}]}', 1],
    [parseJsonLines, '{"image":"a","faces":[null]}', 1],
  ];
  for (const [parse, text, line] of cases) {
    assert.throws(
      () => parse(text, { file: 'some/label.txt' }),
      (error) => error instanceof LabelError && error.message.startsWith(`read some/label.txt, line ${line}: `),
      text,
    );
  }
});

testUnless(noSharedData)('WIDER FACE val is 3,226 pictures, with the same boxes in both formats', () => {
  const official = parseWiderBoxes(read('wider_face_val_bbx_gt.txt'));
  const retina = parseRetinaFaceLabels(read('retinaface_val_label.txt'));
  assert.equal(official.samples.length, 3226);
  // The official list has 39,708 boxes.
  assert.equal(faceCount(official.samples) + official.dropped, 39_708);
  // The other leaves out the few pictures whose boxes are all empty.
  const byName = new Map(official.samples.map(({ name, faces }) => [name, faces]));
  for (const { name, faces } of retina.samples) {
    assert.deepEqual(faces, byName.get(name), name);
    byName.delete(name);
  }
  assert.deepEqual([...byName.values()].flat(), []);
});

testUnless(noSharedData)('the train excerpt has landmarks inside its boxes, and one face without', () => {
  const { samples, dropped } = parseRetinaFaceLabels(read('retinaface_train_label_excerpt.txt'));
  assert.deepEqual([samples.length, faceCount(samples), dropped], [3, 5, 0]);
  const faces = samples.flatMap((sample) => sample.faces);
  assert.equal(faces.filter(({ landmarks }) => landmarks).length, 4);
  for (const { box, landmarks } of faces) {
    for (const [i, value] of (landmarks ?? []).entries()) {
      assert.ok(value >= box[i % 2 === 0 ? 0 : 1] && value <= box[i % 2 === 0 ? 2 : 3]);
    }
  }
});

test.run();
