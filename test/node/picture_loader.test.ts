import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import { formatJsonLines } from '../../src/data/labels.js';
import { epochDraws } from '../../src/data/mixture.js';
import { epochOrder } from '../../src/data/random.js';
import type { Sample } from '../../src/data/sample.js';
import { syntheticScene } from '../../src/data/synthetic.js';
import { ArgumentError, DisposedError, FileError, ImageError, LabelError } from '../../src/gpu/errors.js';
import { encodePng } from '../../src/node/codecs.js';
import { readLabels } from '../../src/node/label_files.js';
import { folderSource, type LoadedBatch, openSource, PictureLoader } from '../../src/node/picture_loader.js';
import { noSharedData, sharedData } from '../helpers/shared_data.js';
import { testUnless } from '../helpers/unless.js';

const directory = await mkdtemp(join(tmpdir(), 'retinaface-loader-'));
test.after(() => rm(directory, { recursive: true }));

/** Pictures of one colour each, which is their number; those in `damaged` are no pictures. */
async function folder(count: number, damaged: readonly number[] = []): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (let i = 0; i < count; i++) {
    const name = `${damaged.includes(i) ? 'damaged' : 'picture'}${i}.png`;
    const data = new Uint8Array(4 * 3 * 2).fill(i);
    await writeFile(
      join(directory, name),
      damaged.includes(i) ? 'no picture' : encodePng({ data, width: 3, height: 2 }),
    );
    samples.push({ name, faces: [{ box: [0, 0, i + 1, 2] }] });
  }
  return samples;
}

async function collect(batches: AsyncIterable<LoadedBatch>): Promise<LoadedBatch[]> {
  const list: LoadedBatch[] = [];
  for await (const batch of batches) list.push(batch);
  return list;
}

for (const workers of [0, 2]) {
  test(`batches come in the order of the epoch, with their labels, from ${workers} workers`, async () => {
    const samples = await folder(11);
    await using loader = new PictureLoader({ kind: 'folder', directory, samples }, { seed: 3, batch: 4, workers });
    assert.equal(loader.stepsPerEpoch, 2);
    for (const epoch of [0, 1]) {
      const batches = await collect(loader.batches(epoch));
      assert.deepEqual(
        batches.flatMap(({ indices }) => indices),
        [...epochOrder(3, epoch, 11).subarray(0, 8)],
      );
      for (const { indices, pictures, faces } of batches) {
        for (const [k, index] of indices.entries()) {
          assert.deepEqual([pictures[k]!.width, pictures[k]!.height, pictures[k]!.data[0]], [3, 2, index]);
          assert.deepEqual(faces[k], samples[index]!.faces);
        }
      }
    }
    const [, second] = await collect(loader.batches(0));
    assert.deepEqual(await collect(loader.batches(0, 1)), [second]);
    assert.deepEqual(loader.skipped, []);
  });
}

test('drawn scenes come from workers as they are drawn here', async () => {
  const options = { size: 64 };
  await using loader = new PictureLoader(
    { kind: 'synthetic', seed: 9, count: 3, options },
    { seed: 1, batch: 3, workers: 1, prefetch: 0 },
  );
  const [batch] = await collect(loader.batches(0));
  for (const [k, index] of batch!.indices.entries()) {
    const { picture, faces } = syntheticScene(9, index, options);
    assert.deepEqual(batch!.faces[k], faces);
    assert.ok(Buffer.from(batch!.pictures[k]!.data).equals(Buffer.from(picture.data)));
  }
});

test('several sources are drawn by their weights, each with its own labels', async () => {
  const samples = await folder(5);
  const sources = [
    { source: { kind: 'folder', directory, samples: samples.slice(0, 3) }, weight: 2 },
    { source: { kind: 'synthetic', seed: 9, count: 4, options: { size: 48 } }, weight: 0.5 },
    { source: { kind: 'folder', directory, samples: samples.slice(3) } },
  ] as const;
  await using loader = new PictureLoader(sources, { seed: 3, batch: 5, workers: 0 });
  assert.deepEqual(
    [loader.length, loader.stepsPerEpoch, loader.name(4), loader.name(8)],
    [9, 2, 'scene 1', 'picture4.png'],
  );
  for (const epoch of [0, 1]) {
    const batches = await collect(loader.batches(epoch));
    const draws = epochDraws(
      3,
      epoch,
      [3, 4, 2].map((length, i) => ({ length, weight: [2, 0.5, 1][i]! })),
    );
    assert.deepEqual(
      batches.flatMap(({ indices }) => indices),
      [...draws.pictures],
    );
    assert.deepEqual(
      batches.flatMap(({ slots }) => slots),
      [...draws.slots],
    );
    for (const { indices, faces, pictures } of batches) {
      for (const [k, index] of indices.entries()) {
        const scene = index >= 3 && index < 7;
        const expected = scene
          ? syntheticScene(9, index - 3, { size: 48 }).faces
          : samples[index < 3 ? index : index - 4]!.faces;
        assert.deepEqual(faces[k], expected);
        assert.equal(pictures[k]!.width, scene ? 48 : 3);
      }
    }
  }
});

test('a source whose draws of an epoch are all unreadable is an error, not an endless search', async () => {
  const samples = await folder(4, [0, 1, 2, 3]);
  const sources = [{ source: { kind: 'folder', directory, samples }, weight: 0.25 }] as const;
  await using loader = new PictureLoader(sources, { seed: 1, batch: 1, workers: 0, skipLimit: 3 });
  await assert.rejects(collect(loader.batches(0)), ImageError);
});

test('fewer pictures than a batch are repeated', async () => {
  const samples = await folder(2);
  await using loader = new PictureLoader({ kind: 'folder', directory, samples }, { seed: 1, batch: 5, workers: 0 });
  const [batch, ...rest] = await collect(loader.batches(0));
  assert.equal(rest.length, 0);
  const [a, b] = epochOrder(1, 0, 2);
  assert.deepEqual(batch!.indices, [a, b, a, b, a]);
});

test('unreadable pictures are named once and replaced, the same way in a resumed epoch', async () => {
  const samples = await folder(12, [2, 5, 6]);
  const source = { kind: 'folder', directory, samples } as const;
  const heard: string[] = [];
  const options = { seed: 2, batch: 3, workers: 1, onSkip: (name: string) => heard.push(name) };
  await using loader = new PictureLoader(source, options);
  const epoch = await collect(loader.batches(0));
  await collect(loader.batches(1));
  assert.deepEqual(heard.sort(), ['damaged2.png', 'damaged5.png', 'damaged6.png']);
  assert.deepEqual(loader.skipped.map(({ name }) => name).sort(), heard);
  assert.match(loader.skipped[0]!.reason, /damaged\d\.png: expected a PNG or JPEG/);
  const indices = epoch.flatMap((batch) => batch.indices);
  assert.equal(indices.length, 12);
  assert.ok([2, 5, 6].every((index) => !indices.includes(index)));
  // What can be read stays in its place.
  for (const [at, index] of epochOrder(2, 0, 12).entries()) {
    if (![2, 5, 6].includes(index)) assert.equal(indices[at], index);
  }
  await using resumed = new PictureLoader(source, { ...options, workers: 0 });
  assert.deepEqual(
    (await collect(resumed.batches(0, 2))).flatMap((batch) => batch.indices),
    indices.slice(6),
  );
});

test('more unreadable pictures than the limit are an error that names them', async () => {
  const samples = [...(await folder(6, [1, 3])), { name: 'absent.jpg', faces: [] }];
  await using loader = new PictureLoader(
    { kind: 'folder', directory, samples },
    { seed: 2, batch: 7, workers: 1, skipLimit: 2 },
  );
  await assert.rejects(
    collect(loader.batches(0)),
    (error) => error instanceof ImageError && /at most 2 .*damaged1\.png.*skipLimit, --skip-limit/.test(error.message),
  );
  await using hopeless = new PictureLoader(
    { kind: 'folder', directory: join(directory, 'nowhere'), samples: samples.slice(0, 3) },
    { seed: 2, batch: 1, workers: 0 },
  );
  await assert.rejects(collect(hopeless.batches(0)), /at most 2 that cannot be read.*nowhere/);
});

test('no more batches than asked for are made ready ahead', async () => {
  const samples = await folder(12);
  let read = 0;
  const counted = new Proxy(samples, {
    get(target, key, receiver): unknown {
      if (typeof key === 'string' && /^\d+$/.test(key)) read++;
      return Reflect.get(target, key, receiver);
    },
  });
  await using loader = new PictureLoader(
    { kind: 'folder', directory, samples: counted },
    { seed: 1, batch: 2, workers: 0, prefetch: 1, cacheBytes: 0 },
  );
  const batches = loader.batches(0);
  await batches.next();
  await new Promise((resolve) => setTimeout(resolve, 50));
  // Path and labels of four pictures: the batch in use and the one after it.
  assert.equal(read, 8);
});

test('a closed loader refuses what has not come', async () => {
  const samples = await folder(4);
  const loader = new PictureLoader({ kind: 'folder', directory, samples }, { seed: 1, batch: 4, workers: 1 });
  const refused = assert.rejects(loader.batches(0).next(), DisposedError);
  await loader.close();
  await refused;
  await assert.rejects(loader.batches(1).next(), DisposedError);
});

test('a process that leaves a loader open ends by itself', async () => {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const program = `
    import { PictureLoader } from '${root}src/node/picture_loader.ts';
    const loader = new PictureLoader({ kind: 'synthetic', seed: 1, count: 8, options: { size: 32 } }, { seed: 1, batch: 2, workers: 2 });
    for await (const { indices } of loader.batches(0)) { console.log(indices.length); break; }`;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], { cwd: root });
  let output = '';
  child.stdout.on('data', (text: Buffer) => (output += text.toString()));
  child.stderr.on('data', (text: Buffer) => (output += text.toString()));
  const killer = setTimeout(() => child.kill('SIGKILL'), 60_000);
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  clearTimeout(killer);
  assert.equal(output, '2\n');
  assert.equal(code, 0);
});

test('options out of range are refused', async () => {
  const samples = await folder(1);
  const source = { kind: 'folder', directory, samples } as const;
  for (const wrong of [{ batch: 0 }, { workers: -1 }, { prefetch: 0.5 }, { skipLimit: -1 }]) {
    assert.throws(() => new PictureLoader(source, { seed: 1, batch: 1, ...wrong }), ArgumentError);
  }
  assert.throws(() => new PictureLoader({ ...source, samples: [] }, { seed: 1, batch: 1 }), ArgumentError);
});

test('a source answers one picture at a time, too', async () => {
  const samples = await folder(3);
  const source = folderSource(directory, samples);
  assert.deepEqual([source.length, source.name(2), source.faces(2)], [3, 'picture2.png', samples[2]!.faces]);
  assert.equal((await source.load(2)).data[0], 2);
  await assert.rejects(folderSource(join(directory, 'nowhere'), samples).load(0), FileError);
  assert.throws(() => source.name(3), ArgumentError);
  const drawn = openSource({ kind: 'synthetic', seed: 4, count: 2, options: { size: 48 } });
  assert.deepEqual(drawn.faces(1), syntheticScene(4, 1, { size: 48 }).faces);
});

test('labels are found in the folders of data sets, and their format is told by their first line', async () => {
  const home = join(directory, 'sets');
  const write = async (path: string, text: string): Promise<void> => {
    await mkdir(join(home, path, '..'), { recursive: true });
    await writeFile(join(home, path), text);
  };
  const official = 'a/1.jpg\n1\n1 2 3 4 0 0 0 0 0 0\n';
  await mkdir(join(home, 'wider/WIDER_train/images'), { recursive: true });
  await mkdir(join(home, 'wider/WIDER_val/images'), { recursive: true });
  await write('wider/wider_face_split/wider_face_train_bbx_gt.txt', official);
  await write('wider/wider_face_split/wider_face_val_bbx_gt.txt', 'b/2.jpg\n0\n0 0 0 0 0 0 0 0 0 0\n');
  const expected = [{ name: 'a/1.jpg', faces: [{ box: [1, 2, 4, 6] }] }];
  const train = await readLabels(join(home, 'wider'));
  assert.deepEqual(train.samples, expected);
  assert.equal(train.directory, join(home, 'wider/WIDER_train/images'));
  assert.deepEqual((await readLabels(join(home, 'wider/WIDER_train'))).samples, expected);
  assert.deepEqual((await readLabels(join(home, 'wider'), { split: 'val' })).samples, [{ name: 'b/2.jpg', faces: [] }]);
  // Labels with landmarks are taken before those without.
  await write('wider/WIDER_train/label.txt', '# a/1.jpg\n1 2 3 4\n1 2 0 4\n');
  const better = await readLabels(join(home, 'wider'));
  assert.deepEqual([better.samples, better.dropped], [expected, 1]);
  assert.equal(better.file, join(home, 'wider/WIDER_train/label.txt'));
  await write('own/labels.jsonl', formatJsonLines([{ name: '1.png', faces: [] }]));
  for (const path of ['own', 'own/labels.jsonl']) {
    const own = await readLabels(join(home, path));
    assert.deepEqual([own.samples, own.directory], [[{ name: '1.png', faces: [] }], join(home, 'own')]);
  }
  await assert.rejects(readLabels(directory), LabelError);
  await assert.rejects(readLabels(join(home, 'nothing')), FileError);
  await write('bad/label.txt', '# a.jpg\n1 2\n');
  await assert.rejects(readLabels(join(home, 'bad/label.txt')), /label\.txt, line 2/);
});

testUnless(noSharedData)('the labels of WIDER FACE val are read from their file', async () => {
  const { samples, dropped } = await readLabels(sharedData('wider/ground_truth/wider_face_val_bbx_gt.txt'));
  assert.equal(samples.length, 3226);
  assert.equal(
    samples.reduce((sum, { faces }) => sum + faces.length, dropped),
    39_708,
  );
});

test.run();
