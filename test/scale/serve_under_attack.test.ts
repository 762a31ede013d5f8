import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { test } from 'uvu';
import { randomOf } from '../../src/data/random.js';
import type { Service } from '../../src/scale/service.js';
import { empty, face, forgedPng, openEngine, post, scene, serviceOf } from './service.js';

const BATCH = 4;
/** Batches wait for one another for longer than these requests need to come. */
const engine = await openEngine({ batch: BATCH, batchWait: 400, queue: 2 });
const service = await serviceOf(engine);
/** Patience that a test can wait for. */
const TIMEOUT = 3000;
const hasty = await serviceOf(engine, { timeout: TIMEOUT, perClient: 3, maxHeld: 3 * 2 ** 20, maxBytes: 2 ** 20 });
test.after(async () => {
  await Promise.all([service.close(0), hasty.close(0), engine.close()]);
});

const SMALL = '/detect?size=64';

/** What is found in a picture of faces, to compare with. */
const faces = async (path = SMALL, picture = scene) => {
  const { status, answer } = await post(service, path, picture);
  assert.equal(status, 200, JSON.stringify(answer));
  return answer.faces;
};

function open({ address }: Service): Socket {
  const { port, hostname } = new URL(address);
  const socket = connect(Number(port), hostname);
  // What the service does to it is its own affair.
  socket.on('error', () => undefined);
  return socket;
}

const head = (length: number, type = 'image/jpeg', path = SMALL): string =>
  `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: ${type}\r\ncontent-length: ${length}\r\n\r\n`;

/** A metric of the service, by its name and labels as they are written; 0 where it is not there. */
async function metric(name: string): Promise<number> {
  const lines = (await (await fetch(`${service.address}/metrics`)).text()).split('\n');
  return Number(lines.find((line) => line.startsWith(`${name} `))?.slice(name.length + 1) ?? 0);
}

/** Waits until something is so. */
async function until(isSo: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let i = 0; !(await isSo()); i++) {
    assert.ok(i < 500, what);
    await pause(20);
  }
}

const nothingHeld = async (): Promise<boolean> =>
  engine.waiting + engine.inHand === 0 && (await metric('retinaface_held_bytes')) === 0;

test('a picture is answered as it would be alone, to the bit, whatever it was batched with', async () => {
  const path = '/detect?size=160&score=0.1';
  const pictures = [scene, face, empty, scene.slice()];
  const alone = [];
  for (const picture of pictures) alone.push((await post(service, path, picture)).answer);
  const together = await Promise.all(pictures.map((picture) => post(service, path, picture)));
  assert.deepEqual(
    together.map(({ answer }) => answer.batch),
    pictures.map(() => BATCH),
  );
  assert.deepEqual(
    together.map(({ answer }) => answer.faces),
    alone.map((answer) => answer.faces),
  );
  assert.ok(alone.every((answer) => answer.batch === 1) && alone[0]!.faces.length > 0);
});

test('pictures that are searched otherwise do not share a batch', async () => {
  const answers = await Promise.all([
    post(service, SMALL, scene),
    post(service, '/detect?size=96', scene),
    post(service, `${SMALL}&score=0.3`, scene),
    post(service, '/detect', empty),
    post(service, '/detect', face),
  ]);
  for (const { status, answer } of answers) assert.deepEqual([status, answer.batch], [200, 1]);
});

test('more than can wait are told when to come again; those that wait are answered', async () => {
  // Two batches at work, one that gathers, one thread, and two that wait.
  const room = 3 * BATCH + 1 + 2;
  const answers = await Promise.all(Array.from({ length: room + 3 }, () => post(service, SMALL, scene)));
  const refused = answers.filter(({ status }) => status === 503);
  assert.equal(answers.filter(({ status }) => status === 200).length + refused.length, room + 3);
  assert.ok(refused.length >= 1 && refused.length <= 3, `${refused.length} refused`);
  for (const { headers, answer } of refused) {
    assert.match(headers.get('retry-after')!, /^[1-9]\d*$/);
    assert.match(answer.error!.message, /at most 2 pictures that wait/);
  }
});

test('a client with too much at once is told so, and so is one whose bytes do not fit', async () => {
  const answers = await Promise.all(Array.from({ length: 5 }, () => post(hasty, SMALL, scene)));
  const statuses = answers.map(({ status }) => status).sort();
  assert.deepEqual(statuses, [200, 200, 200, 429, 429]);
  const refused = answers.find(({ status }) => status === 429)!;
  assert.match(refused.headers.get('retry-after')!, /^[1-9]\d*$/);
  const crowded = await serviceOf(engine, { maxHeld: 2 * scene.length });
  const some = await Promise.all([0, 1, 2].map(() => post(crowded, SMALL, scene)));
  assert.deepEqual(some.map(({ status }) => status).sort(), [200, 200, 503]);
  await crowded.close(0);
});

test('who goes away is no longer searched for', async () => {
  const searched = 'retinaface_stage_seconds_count{stage="search"}';
  const before = await metric(searched);
  const abort = new AbortController();
  const gone = Array.from({ length: 3 * BATCH + 3 }, () => post(service, SMALL, scene, {}, abort.signal));
  const ended = Promise.allSettled(gone);
  await until(() => engine.waiting > 0, 'some wait');
  abort.abort();
  await ended;
  await until(() => engine.waiting + engine.inHand === 0, 'nothing is left of them');
  assert.ok((await metric(searched)) - before <= 2 * BATCH, 'at most the batches that were at work were searched');
  await until(nothingHeld, 'no bytes are counted for them');
  assert.ok((await metric('retinaface_request_seconds_count{route="/detect",status="499"}')) > 0);
});

test('a process that is killed is replaced, and every request answered', async () => {
  const expected = await faces();
  const answers = Promise.all(Array.from({ length: 6 }, () => faces()));
  await until(() => engine.inHand === 6, 'all are at work');
  process.kill(engine.pid!, 'SIGKILL');
  for (const found of await answers) assert.deepEqual(found, expected);
});

test('a picture that breaks the process twice is the only one to fail', async () => {
  await until(() => engine.ready, 'the engine is there');
  const { pid } = engine;
  const first = post(service, SMALL, scene);
  await until(() => engine.inHand === 1, 'it is at work');
  process.kill(pid!, 'SIGKILL');
  await until(() => engine.pid !== undefined && engine.pid !== pid && engine.inHand === 1, 'it is at work again');
  const others = [post(service, SMALL, face), post(service, SMALL, empty)];
  process.kill(engine.pid!, 'SIGKILL');
  const { status, headers, answer } = await first;
  assert.equal(status, 503);
  assert.match(headers.get('retry-after')!, /^\d+$/);
  assert.match(answer.error!.message, /2 times with this picture/);
  for (const other of await Promise.all(others)) assert.equal(other.status, 200);
});

test('slow uploads, slow readers and half-open connections hold nobody up, and are ended', async () => {
  const slow = Array.from({ length: 40 }, () => {
    const socket = open(service);
    socket.write(head(scene.length) + 'only the beginning');
    return socket;
  });
  // They ask, and do not take their answers.
  const deaf = Array.from({ length: 4 }, () => {
    const socket = open(hasty);
    socket.pause();
    socket.write(head(face.length, 'image/png', '/align?aligned_size=512'));
    socket.write(face);
    return socket;
  });
  // These are held to their time.
  const late = Array.from({ length: 2 }, () => {
    const socket = open(hasty);
    socket.write(head(1000) + 'x');
    socket.resume();
    return once(socket, 'close');
  });
  const expected = await faces();
  for (let i = 0; i < 3; i++) assert.deepEqual(await faces(), expected);
  await Promise.all(late);
  for (const socket of [...slow, ...deaf]) socket.destroy();
  await until(nothingHeld, 'nothing is left');
  assert.equal((await post(hasty, SMALL, scene)).status, 200);
});

test('pictures that are bombs harm no other', async () => {
  const bombs = [
    forgedPng(60_000, 60_000, 10),
    forgedPng(1000, 1000, 200e6),
    forgedPng(10, 10, 200e6),
    scene.slice(0, 5000),
  ];
  const attack = Promise.all(bombs.map((bomb) => post(service, SMALL, bomb)));
  const expected = await faces();
  assert.deepEqual(await faces(), expected);
  assert.deepEqual(
    (await attack).map(({ status }) => status),
    [413, 422, 422, 422],
  );
});

test('1,000 malformed requests harm no other, nor what comes after', async () => {
  const expected = await faces();
  const random = randomOf(7, 0, 0);
  const noise = (length: number): Buffer => Buffer.from(Array.from({ length }, () => Math.floor(256 * random.next())));
  const kinds: readonly (() => Buffer | string)[] = [
    () => noise(200),
    () => 'GET / HTTP/9.9\r\n\r\n',
    () => `POST ${SMALL} HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n`,
    () =>
      `POST ${SMALL} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
    () => `POST ${SMALL} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nwhat\r\n`,
    () => `GET /${'x'.repeat(20_000)} HTTP/1.1\r\n\r\n`,
    () => `GET /%zz HTTP/1.1\r\nhost: localhost\r\n\r\n`,
    () => `GET /../../etc/passwd HTTP/1.1\r\nhost: localhost\r\n\r\n`,
    () => `${head(30, 'application/json')}{"address":{"__proto__":[[[[[[`,
    () => `${head(20, 'multipart/form-data; boundary=b')}--b\r\ncontent-disposit`,
    () => `${head(60, 'multipart/form-data; boundary=b')}--b\r\n\r\n--b--${'x'.repeat(50)}`,
    () => Buffer.concat([Buffer.from(head(300)), noise(300)]),
    () => Buffer.concat([Buffer.from(head(400)), Buffer.from(scene.slice(0, 100)), noise(300)]),
    () => Buffer.concat([Buffer.from(head(scene.length)), Buffer.from(scene.slice(0, 1000))]),
    () => `POST /detect?${'a=1&'.repeat(200)} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n`,
    () => `BREW /coffee HTTP/1.1\r\nhost: localhost\r\n\r\n`,
  ];
  const COUNT = 1000;
  let sent = 0;
  const attacker = async (): Promise<void> => {
    while (sent < COUNT) {
      const message = kinds[sent++ % kinds.length]!();
      const socket = open(service);
      await once(socket, 'connect');
      // Some wait for an answer, some are gone before it.
      if (random.next() < 0.5) {
        socket.end(message);
        socket.resume();
        await Promise.race([once(socket, 'close'), pause(200)]);
      } else socket.write(message);
      socket.destroy();
    }
  };
  const attack = Promise.all(Array.from({ length: 8 }, attacker));
  for (let i = 0; i < 3; i++) {
    // The queue of this engine is short, and damaged pictures stand in it, too.
    const { status, answer } = await post(service, SMALL, scene);
    if (status === 503) await pause(100);
    else assert.deepEqual([status, answer.faces], [200, expected]);
  }
  await attack;
  await until(nothingHeld, 'nothing is left');
  assert.deepEqual(await faces(), expected);
  for (const route of ['/detect', '/', 'none']) {
    assert.equal(await metric(`retinaface_request_seconds_count{route="${route}",status="500"}`), 0);
  }
});

test.run();
