import assert from 'node:assert/strict';
import { test } from 'uvu';
import { Lasting, MAX_LOSSES } from '../../src/node/lasting.js';
import { interruptible } from '../../src/cli/train/interruptible.js';
import { DeviceLostError } from '../../src/gpu/errors.js';

const lost = () =>
  new DeviceLostError({
    operation: 'use the device',
    expected: 'a device',
    got: 'a lost one',
    remedy: 'Open another.',
  });

/** A job on devices that count how many were opened and are still open, and what was said; `most`: then no more can be had. */
function start(most = Infinity) {
  const seen = { opened: 0, open: 0, disposed: 0, words: [] as string[] };
  const lasting = new Lasting(
    () =>
      Promise.resolve({
        id: seen.opened,
        [Symbol.dispose]: () => {
          seen.disposed++;
        },
      }),
    (words) => {
      seen.words.push(words);
    },
    () => {
      if (seen.opened >= most) return Promise.reject(new RangeError('no adapter'));
      seen.opened++;
      seen.open++;
      return Promise.resolve({
        destroy: () => {
          seen.open--;
        },
      } as unknown as GPUDevice);
    },
  );
  return { seen, lasting };
}

test('work whose device is lost is done again on a new one, and the old one is given back', async () => {
  const { seen, lasting } = start();
  const done: number[] = [];
  for (let i = 0; i < 5; i++) {
    let failed = i % 2 === 0;
    await lasting.use(({ id }) => {
      if (failed) {
        failed = false;
        return Promise.reject(lost());
      }
      done.push(id);
      return Promise.resolve();
    });
  }
  assert.deepEqual(done, [2, 2, 3, 3, 4]);
  assert.equal(seen.words.length, 3);
  assert.equal(seen.open, 1);
  lasting.dispose();
  assert.deepEqual([seen.open, seen.disposed], [0, 4]);
});

test('devices that are lost one after the other with nothing done in between end the job', async () => {
  const { seen, lasting } = start();
  await assert.rejects(
    lasting.use(() => Promise.reject(lost())),
    DeviceLostError,
  );
  assert.deepEqual([seen.opened, seen.open], [MAX_LOSSES + 1, 0]);
});

test('a job that gets on may lose any number of devices', async () => {
  const { seen, lasting } = start();
  let at = 0;
  const end = await lasting.use((_, advanced) => {
    if (++at === 20) return Promise.resolve(at);
    advanced();
    return Promise.reject(lost());
  });
  assert.deepEqual([end, seen.opened], [20, 20]);
});

test('a device that several use at once is lost once, and one other is opened for all of them', async () => {
  const { seen, lasting } = start();
  let gone: (error: Error) => void = () => undefined;
  const loss = new Promise<never>((_, reject) => (gone = reject));
  const works = [0, 1, 2].map((k) => lasting.use(({ id }) => (id < 2 ? loss : Promise.resolve([k, id]))));
  await lasting.use(({ id }) => Promise.resolve(id));
  gone(lost());
  assert.deepEqual(
    await Promise.all(works),
    [0, 1, 2].map((k) => [k, 2]),
  );
  assert.deepEqual([seen.opened, seen.open, seen.disposed, seen.words.length], [2, 1, 1, 1]);
});

test('where no other device can be had, that is the loss of the first, and nothing of the work', async () => {
  const { seen, lasting } = start(1);
  await assert.rejects(
    lasting.use(() => Promise.reject(lost())),
    (error) => error instanceof DeviceLostError && error.got === 'no adapter',
  );
  assert.deepEqual([seen.open, seen.words.length], [0, MAX_LOSSES]);
  // The first one's absence has its own name.
  await assert.rejects(
    start(0).lasting.use(() => Promise.resolve()),
    RangeError,
  );
});

test('any other error ends the job at once', async () => {
  const { seen, lasting } = start();
  await assert.rejects(
    lasting.use(() => Promise.reject(new RangeError('no'))),
    RangeError,
  );
  assert.equal(seen.opened, 1);
});

test('Ctrl-C counts also where the device is lost after it, and nothing hears of it once the work has ended', async () => {
  const { seen, lasting } = start();
  const { words } = seen;
  const listeners = () => [process.listenerCount('SIGINT'), process.listenerCount('SIGTERM')];
  const before = listeners();
  const say = (text: string): void => void words.push(text);
  const asked: boolean[] = [];
  const work = interruptible(say, (stopRequested) =>
    lasting.use(() => {
      asked.push(stopRequested());
      if (asked.length > 1) return Promise.resolve('ended');
      process.emit('SIGINT');
      return Promise.reject(lost());
    }),
  );
  assert.equal(await work, 'ended');
  assert.deepEqual(asked, [false, true]);
  assert.match(words[0]!, /saving, then ending/);
  assert.deepEqual(listeners(), before);
  const failing = interruptible(say, () => Promise.reject(new RangeError('no')));
  await assert.rejects(failing, RangeError);
  assert.deepEqual(listeners(), before);
});

test.run();
