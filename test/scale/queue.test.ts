// Workers of a queue: what they do together, what they refuse, and that nothing is lost or done twice when they are killed.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import { randomOf } from '../../src/data/random.js';
import type { Detector } from '../../src/evaluate/evaluate_model.js';
import { encodePng } from '../../src/node/codecs.js';
import { PictureQueue, type PictureJob } from '../../src/scale/queue.js';
import { mergeResults, ResultFile, type ResultLine } from '../../src/scale/result_file.js';
import { PictureWorker, type WorkerOptions } from '../../src/scale/worker.js';
import { serveMetrics } from '../../src/scale/worker_metrics.js';
import { drawnPicture } from '../helpers/drawn_picture.js';
import { fileServer } from '../helpers/file_server.js';
import { testUnless } from '../helpers/unless.js';
import { noRedis, startRedis } from './redis.js';
import { drawScenes, start, type Running } from './retinaface.js';

/** Jobs of the test that kills workers. */
const JOBS = Number(process.env['RETINAFACE_TEST_JOBS'] ?? 2000);
const WORKERS = 3;
/** Milliseconds from one kill to the next. */
const BETWEEN_KILLS = 3000;
/**
 * Answers between two kills at least. On a busy machine workers take long to begin; and were they killed as soon as they do, what goes
 * from one to the next would be given up, as what kills workers is.
 */
const LEAST_DONE = 100;

const folder = await mkdtemp(join(tmpdir(), 'retinaface-queue-'));
const redis = noRedis === undefined ? await startRedis(join(folder, 'redis')) : undefined;
const files = join(folder, 'pictures');
const pictures = await drawScenes(files, 48);
const png = encodePng(drawnPicture(20, 10));
await writeFile(join(folder, 'outside.png'), png);
await writeFile(join(files, 'torn.jpg'), (await readFile(pictures[0]!)).subarray(0, 200));

let busy = 2;
const server = await fileServer({
  ...Object.fromEntries(
    pictures.map((path, i) => [
      `/${i}.jpg`,
      (response) => {
        readFile(path).then(
          (bytes) => response.end(bytes),
          () => response.destroy(),
        );
      },
    ]),
  ),
  '/a.png': (response) => response.end(png),
  '/busy.png': (response) => {
    if (busy-- > 0) response.writeHead(503).end();
    else response.end(png);
  },
  '/down.png': (response) => response.writeHead(503).end(),
});
test.after(async () => {
  await server[Symbol.asyncDispose]();
  await redis?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const wait = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function until(done: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await done())) await wait(20);
}

/** Answers a face as wide as its picture, after a while, and counts. */
function countingDetector(): Detector & { readonly batches: number[] } {
  const batches: number[] = [];
  return {
    batches,
    async detect(some) {
      batches.push(some.length);
      await wait(15);
      return some.map(({ width }) => [{ score: 0.5, box: { x1: 0, y1: 0, x2: width, y2: 1 } }]);
    },
  };
}

let queues = 0;

/** A queue with jobs, and a worker of it in this process. */
async function workOn(jobs: readonly PictureJob[], options: Partial<WorkerOptions> = {}) {
  const place = { redis: redis!.url, queue: `test-${queues++}` };
  const queue = await PictureQueue.open(place);
  await queue.add(jobs, { attempts: 3, backoff: 20 });
  const detector = countingDetector();
  const outcomes: string[] = [];
  const worker = await PictureWorker.start({
    ...place,
    detector,
    root: files,
    allowHosts: ['127.0.0.1'],
    onJob: (outcome, id) => outcomes.push(`${outcome} ${id}`),
    ...options,
  });
  return {
    queue,
    worker,
    detector,
    outcomes,
    async finished() {
      await until(async () => {
        const { waiting, active } = await queue.counts();
        return waiting + active === 0;
      });
    },
    async [Symbol.asyncDispose]() {
      await worker.close();
      await queue.close();
    },
  };
}

async function collect<T>(lines: AsyncIterable<T>): Promise<T[]> {
  const all = [];
  for await (const line of lines) all.push(line);
  return all;
}

testUnless(noRedis)('jobs at hand are searched together, and their answers come back to the queue', async () => {
  const jobs = pictures.map((address, i) => ({
    address: i % 2 ? address : `${server.origin}/${i}.jpg`,
    id: `no ${i}:`,
  }));
  await using working = await workOn(jobs, { batch: 8 });
  await working.finished();
  const lines = await collect(working.queue.results());
  assert.deepEqual(lines.map(({ id }) => id).sort(), jobs.map(({ id }) => id).sort());
  for (const { id, file, width, height, faces } of lines) {
    const at = Number(/\d+/.exec(id)![0]);
    const side = at % 3 === 0 ? 64 : 96;
    assert.deepEqual({ file, width, height }, { file: jobs[at]!.address, width: side, height: side });
    assert.deepEqual(faces, [{ score: 0.5, box: { x1: 0, y1: 0, x2: side, y2: 1 } }]);
  }
  const { batches } = working.detector;
  assert.equal(
    batches.reduce((sum, each) => sum + each),
    pictures.length,
  );
  assert.ok(batches.length < pictures.length / 2, `${batches.length} searches of ${pictures.length} pictures`);
  assert.ok(Math.max(...batches) <= 8);
  // A job that the queue knows is not done again.
  await working.queue.add(jobs.slice(0, 3));
  assert.equal((await working.queue.counts()).waiting, 0);
  assert.equal((await collect(working.queue.results({ remove: true }))).length, jobs.length);
  assert.equal((await working.queue.counts()).completed, 0);
});

testUnless(noRedis)('what may pass is tried again, what may not is dead at once, each with its reason', async () => {
  const { origin, port } = server;
  await writeFile(join(files, 'large.png'), png);
  assert.equal(spawnSync('mkfifo', [join(files, 'pipe')]).status, 0);
  const dead: readonly (readonly [string, number, RegExp, PictureJob['options']?])[] = [
    [`${origin}/down.png`, 3, /^FetchError: .*got HTTP 503/],
    [`${origin}/absent.png`, 1, /^FetchError: .*got HTTP 404/],
    [`http://127.0.0.2:${port}/a.png`, 1, /^FetchError: .*an address of the public internet/],
    ['http://localhost/a.png', 1, /^FetchError: .*an address of the public internet/],
    ['absent.jpg', 1, /^FileError: .*ENOENT/],
    ['../outside.png', 1, /^FileError: .*one outside/],
    ['/etc/hostname', 1, /^FileError: .*one outside/],
    ['/dev/zero', 1, /^FileError: .*one outside/],
    ['.', 1, /^FileError: .*expected a file, got something else/],
    ['pipe', 1, /^FileError: .*expected a file, got something else/],
    ['torn.jpg', 1, /^ImageError: /],
    ['scene_0001.jpg', 1, /^ImageError: .*at most 5,000 pixels, got 96×96/],
    ['large.png', 1, /^ArgumentError: .*scoreThreshold/, { scoreThreshold: 7 }],
  ];
  const jobs = [
    ...dead.map(([address, , , options]) => ({ address, ...(options ? { options } : {}) })),
    { address: `${origin}/busy.png` },
    { address: 'scene_0000.jpg' },
  ];
  await using working = await workOn(jobs, { maxPixels: 5000, maxBytes: 2 ** 20 });
  await working.finished();
  const found = new Map((await collect(working.queue.dead())).map((line) => [line.id, line]));
  for (const [address, attempts, message] of dead) {
    const line = found.get(address);
    assert.ok(line, address);
    const { name, message: said } = line['error'] as { name: string; message: string };
    assert.match(`${name}: ${said}`, message);
    assert.equal(line.attempts, attempts, address);
  }
  assert.equal(found.size, dead.length);
  const done = (await collect(working.queue.results())).map(({ id }) => id);
  assert.deepEqual(done.sort(), ['scene_0000.jpg', `${origin}/busy.png`].sort());
  assert.equal(working.outcomes.filter((outcome) => outcome === `retried ${origin}/busy.png`).length, 2);
  // What was wrong may be put right.
  await writeFile(join(files, 'absent.jpg'), png);
  assert.equal(await working.queue.revive(), dead.length);
  await working.finished();
  assert.equal((await working.queue.counts()).completed, 3);
});

testUnless(noRedis)('a worker that is told to stop finishes what it holds, and takes nothing more', async () => {
  const given: string[] = [];
  let first = true;
  const working = await workOn(
    pictures.map((address) => ({ address })),
    {
      batch: 2,
      onResult: async ({ id }: ResultLine) => {
        await wait(5);
        // A program that fails once gets the same answer again.
        if (first) {
          first = false;
          throw new Error('the disk is full');
        }
        given.push(id);
      },
    },
  );
  await until(() => given.length >= 4);
  await working.worker.close();
  const { waiting, active, completed } = await working.queue.counts();
  assert.equal(active, 0);
  assert.equal(completed, given.length);
  assert.ok(given.length <= 4 + 2 * 2 + 2, `${given.length} were done`);
  assert.equal(waiting, pictures.length - completed);
  assert.equal(new Set(given).size, given.length);
  await working.queue.close();
});

testUnless(noRedis)('adding waits while the queue is full; a metrics page counts what was done', async () => {
  const metrics = await serveMetrics(0);
  await using working = await workOn([], { ...metrics.events, batch: 4 });
  const jobs = Array.from({ length: 1200 }, (_, i) => ({ address: 'scene_0000.jpg', id: `${i}` }));
  const most: number[] = [];
  const looking = setInterval(() => {
    void working.queue.counts().then(({ waiting }) => most.push(waiting));
  }, 10);
  assert.equal(await working.queue.add(jobs, { maxWaiting: 100 }), 1200);
  clearInterval(looking);
  assert.ok(Math.max(...most) < 100 + 500, 'a page beyond the bound at most');
  await working.finished();
  const text = await (await fetch(metrics.address)).text();
  assert.match(text, /^retinaface_jobs_total\{outcome="done"\} 1200$/m);
  assert.match(text, /^retinaface_stage_seconds_count\{stage="decode"\} 1200$/m);
  assert.match(text, /^retinaface_batch_pictures_sum 1200$/m);
  await metrics[Symbol.asyncDispose]();
});

testUnless(noRedis)(
  `${JOBS} jobs over ${WORKERS} workers, one killed every few seconds and Redis once: each answer once, equal to detect's`,
  async () => {
    const reading = start(['detect', '-', '--json', '--size', '64', '--quiet'], { input: pictures.join('\n') });
    const expected = new Map(
      (await reading.finished).stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { file: string })
        .map(({ file, ...rest }) => [file, JSON.stringify(rest)]),
    );
    assert.equal(expected.size, pictures.length);
    const place = { redis: redis!.url, queue: 'killed' };
    const addresses = Array.from({ length: JOBS }, (_, i) => {
      const at = i % pictures.length;
      return i % 3 === 0 ? `${server.origin}/${at}.jpg` : pictures[at]!;
    });
    const bad = ['http://10.0.0.1/a.jpg', join(files, 'torn.jpg')];
    const list = addresses.map((address, i) => JSON.stringify({ address, id: String(i).padStart(6, '0') }));
    const queueOptions = ['--redis', place.redis, '--queue', place.queue];
    const input = [...list, ...bad].join('\n');
    const given = start(['enqueue', '-', '--size', '64', ...queueOptions], { input });
    assert.match((await given.finished).stderr, new RegExp(`${(JOBS + 2).toLocaleString('en')} pictures given`));

    const out = join(folder, 'results');
    const options = ['--out', out, '--root', files, '--allow-host', `127.0.0.1:${server.port}`, '--stalled', '3'];
    const begin = (): Running & { working: boolean } => {
      const running = { ...start(['work', ...queueOptions, ...options]), working: false };
      running.child.stderr!.on('data', (text: string) => (running.working ||= text.includes('working on')));
      return running;
    };
    let workers = Array.from({ length: WORKERS }, begin);
    await using queue = await PictureQueue.open(place);
    const random = randomOf(2, 0, 0);
    let kills = 0;
    let restarted = false;
    let doneThen = 0;
    let last = performance.now();
    try {
      for (;;) {
        await wait(100);
        const { waiting, active, completed, dead } = await queue.counts();
        if (waiting + active === 0) {
          const reasons = (await collect(queue.dead())).map(({ id, error }) => `${id}: ${JSON.stringify(error)}`);
          assert.deepEqual([completed, dead], [JOBS, bad.length], reasons.join('\n'));
          break;
        }
        if (!restarted && completed > 0.4 * JOBS) {
          await redis!.restart();
          restarted = true;
        }
        // The one that has worked longest.
        const due = performance.now() - last > BETWEEN_KILLS * (0.5 + random.next());
        const victim = workers.find(({ working }) => working);
        if (victim && due && completed >= doneThen + LEAST_DONE) {
          victim.child.kill('SIGKILL');
          await victim.finished;
          kills++;
          last = performance.now();
          doneThen = completed;
          workers = [...workers.filter((worker) => worker !== victim), begin()];
        }
      }
    } catch (error) {
      for (const { child } of workers) child.kill('SIGKILL');
      throw error;
    }
    assert.ok(restarted && kills > 0, 'Redis was restarted, and workers were killed');
    for (const { child } of workers) child.kill('SIGTERM');
    for (const worker of workers) {
      const { code, stderr } = await worker.finished;
      // One that had not begun to listen is ended as any process is.
      if (worker.working) assert.equal(code, 0, stderr);
    }

    const merged = await mergeResults([out]);
    assert.deepEqual(merged.different, [], 'a job that is done again has the same answer');
    assert.equal(merged.lines.length, JOBS);
    for (const [i, line] of merged.lines.entries()) {
      const { id, file, ...rest } = JSON.parse(line) as ResultLine;
      assert.deepEqual([Number(id), file], [i, addresses[i]]);
      assert.equal(JSON.stringify(rest), expected.get(pictures[i % pictures.length]!));
    }
    console.log(`${kills} workers were killed; ${merged.repeated} answers came more than once`);
    const told = await start(['results', '--dead', ...queueOptions]).finished;
    assert.equal(told.code, 1);
    assert.deepEqual(
      told.stdout
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as ResultLine).file)
        .sort(),
      [...bad].sort(),
    );
  },
);

test('a line that a worker was killed in counts for nothing; one that differs is told', async () => {
  const path = join(folder, 'lines');
  const results = [await ResultFile.create(path), await ResultFile.create(path)];
  const line = (id: string, score = 1): ResultLine => ({ id, file: 'a.jpg', score });
  await Promise.all(['b', 'c', 'a'].map((id) => results[0]!.append(line(id))));
  await results[1]!.append(line('c'));
  await results[1]!.append(line('b', 2));
  for (const file of results) await file.close();
  await writeFile(results[0]!.path, '{"id":"d","file"', { flag: 'a' });
  const merged = await mergeResults([path]);
  assert.deepEqual(
    merged.lines.map((text) => (JSON.parse(text) as ResultLine).id),
    ['a', 'b', 'c'],
  );
  assert.deepEqual([merged.repeated, merged.different], [2, ['b']]);
});

testUnless(noRedis)('a queue that is not there is told, with what to do', async () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['http://localhost', /expected an address as redis:\/\/localhost:6379/],
    ['redis://:secret@127.0.0.1:1', /a server that answers at redis:\/\/127\.0\.0\.1:1.*ECONNREFUSED/],
  ];
  for (const [address, message] of cases)
    await assert.rejects(PictureQueue.open({ redis: address, queue: 'none' }), { name: 'QueueError', message });
});

test.run();
