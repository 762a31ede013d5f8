import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { Validator } from '@seriousme/openapi-schema-validator';
import { test } from 'uvu';
import { decodeImage, encodePng, imageSize } from '../../src/node/codecs.js';
import { requestDevice } from '../../src/node/device.js';
import { RetinaFace } from '../../src/node/retinaface.js';
import { PictureFetcher } from '../../src/scale/fetch_picture.js';
import { drawnPicture } from '../helpers/drawn_picture.js';
import { fileServer } from '../helpers/file_server.js';
import { start } from './retinaface.js';
import { type Answer, empty, face, forgedPng, openEngine, post, scene, serviceOf } from './service.js';

const engine = await openEngine();
const service = await serviceOf(engine);
test.after(async () => {
  await Promise.all([service.close(0), engine.close()]);
});

const SIZE = 160;

/** That an answer has the four parts, and their sentence. */
function assertProblem({ error }: Answer): void {
  assert.ok(error, 'an error');
  for (const part of ['operation', 'expected', 'got', 'remedy'] as const) {
    assert.ok(error[part].length > 0, part);
    assert.ok(error.message.includes(error[part]), `${error.message} has its ${part}`);
  }
}

test('faces are those of detect, to the bit, with the time of each stage', async () => {
  const device = await requestDevice();
  using model = new RetinaFace(device);
  await model.load('synthetic');
  const picture = decodeImage(scene, 'it');
  const expected = await model.detect(picture, { size: SIZE, scoreThreshold: 0.3, maxFaces: 3 });
  const { status, answer } = await post(service, `/detect?size=${SIZE}&score=0.3&max_faces=3`, scene);
  assert.equal(status, 200);
  assert.ok(expected.length > 0);
  assert.deepEqual(answer.faces, JSON.parse(JSON.stringify(expected)));
  assert.deepEqual([answer.width, answer.height], [picture.width, picture.height]);
  const { total = 0, ...stages } = answer.times;
  assert.deepEqual(Object.keys(stages).sort(), ['decode', 'gather', 'receive', 'search', 'wait']);
  const sum = Object.values(stages).reduce((a, b) => a + b, 0);
  assert.ok(sum > 0 && sum <= total, `${sum} of ${total}`);
  // Without a size, the picture's own.
  const own = await model.detect(decodeImage(face, 'it'));
  assert.deepEqual((await post(service, '/detect', face)).answer.faces, JSON.parse(JSON.stringify(own)));
  device.destroy();
});

test('the parts of an answer are those that are asked for', async () => {
  const partsOf = async (path: string) => {
    const { answer } = await post(service, path, face);
    assert.ok(answer.faces.length > 0);
    return Object.keys(answer.faces[0]!).join();
  };
  assert.equal(await partsOf('/detect'), 'score,box,landmarks');
  assert.equal(await partsOf('/detect?parts=boxes'), 'score,box');
  assert.equal(await partsOf('/detect?parts=aligned,landmarks'), 'score,landmarks,aligned');
  assert.equal(await partsOf('/align'), 'score,box,landmarks,aligned');
});

test('faces are cut out, in JSON or the best one as a file', async () => {
  const { answer } = await post(service, '/align?aligned_size=48&aligned_format=jpeg', face);
  const [, base64 = ''] = /^data:image\/jpeg;base64,(.+)$/.exec(String(answer.faces[0]!['aligned'])) ?? [];
  assert.deepEqual(imageSize(Buffer.from(base64, 'base64'), 'it'), { width: 48, height: 48 });
  const headers = { accept: 'image/png', 'content-type': 'image/png' };
  const response = await fetch(`${service.address}/align`, { method: 'POST', body: Buffer.from(face), headers });
  assert.equal(response.headers.get('content-type'), 'image/png');
  const file = new Uint8Array(await response.arrayBuffer());
  assert.deepEqual(imageSize(file, 'it'), { width: 112, height: 112 });
  const none = await post(service, '/align', empty, { accept: 'image/png' });
  assert.equal(none.status, 422);
  assertProblem(none.answer);
});

test('of several pictures each has its own answer, whatever became of the others', async () => {
  const form = new FormData();
  form.append('a', new Blob([Buffer.from(face)]), 'face.png');
  form.append('b', new Blob(['no picture']), 'words.txt');
  form.append('c', new Blob([Buffer.from(empty)]), 'empty.jpg');
  const { status, answer } = await post(service, '/detect', form);
  assert.equal(status, 200);
  assert.deepEqual(
    answer.pictures.map((each) => [each.name, each.status, each.error === undefined ? each.faces.length : undefined]),
    [
      ['face.png', undefined, (await post(service, '/detect', face)).answer.faces.length],
      ['words.txt', 415, undefined],
      ['empty.jpg', undefined, 0],
    ],
  );
  assertProblem(answer.pictures[1]!);
});

test('pictures are fetched from addresses where that is allowed, and from no private network', async () => {
  const json = { 'content-type': 'application/json' };
  const refused = await post(service, '/detect', '{"address":"https://example.org/a.png"}', json);
  assert.equal(refused.status, 403);
  assertProblem(refused.answer);
  await using files = await fileServer({
    '/face.png': (response) => void response.end(face),
    '/busy': (response) => void response.writeHead(503).end(),
  });
  using fetcher = await PictureFetcher.create({ allowHosts: [`127.0.0.1:${files.port}`] });
  const open = await serviceOf(engine, { fetcher });
  const ask = (body: object) => post(open, '/detect', JSON.stringify(body), json);
  const found = await ask({ address: `${files.origin}/face.png` });
  assert.deepEqual(found.answer.faces, (await post(service, '/detect', face)).answer.faces);
  const several = await ask({
    addresses: [`${files.origin}/face.png`, `${files.origin}/none`, `${files.origin}/busy`],
  });
  assert.deepEqual(
    several.answer.pictures.map(({ status }) => status),
    [undefined, 422, 502],
  );
  for (const [body, status] of [
    [{ address: 'http://127.0.0.1:1/face.png' }, 403],
    [{ address: 'http://169.254.169.254/latest/meta-data' }, 403],
    [{ address: 'file:///etc/passwd' }, 422],
    [{ address: 7 }, 422],
    [{}, 422],
    [{ addresses: [] }, 422],
    [{ addresses: Array.from({ length: 5 }, () => files.origin) }, 413],
  ] as const) {
    const { status: got, answer } = await ask(body);
    assert.equal(got, status, JSON.stringify(body));
    assertProblem(answer);
  }
  await open.close(0);
});

test('what is wrong with a request is its status, in four parts', async () => {
  const many = new FormData();
  for (let i = 0; i < 5; i++) many.append('a', new Blob([Buffer.from(empty)]), `${i}.jpg`);
  const words = new FormData();
  words.append('size', '160');
  const gif = new TextEncoder().encode('GIF89a, and so on');
  for (const [name, status, path, body, headers] of [
    ['an empty body', 400, '/detect', new Uint8Array(), {}],
    ['multipart of nothing', 400, '/detect', 'x', { 'content-type': 'multipart/form-data; boundary=b' }],
    ['multipart without its boundary', 400, '/detect', 'x', { 'content-type': 'multipart/form-data' }],
    ['another path', 404, '/find', face, {}],
    ['another method', 405, '/healthz', face, {}],
    ['too many bytes', 413, '/detect', new Uint8Array(2 ** 20 + 1), {}],
    ['a header of 60,000×60,000', 413, '/detect', forgedPng(60_000, 60_000, 10), {}],
    ['too many pixels', 413, '/detect', forgedPng(1001, 1000, 10), {}],
    ['too many pictures', 413, '/detect', many, {}],
    ['a form of words', 413, '/detect', words, {}],
    ['an original that is too large', 413, '/detect?size=original', long(), {}],
    ['no type', 415, '/detect', face, { 'content-type': 'application/x-www-form-urlencoded' }],
    ['a GIF', 415, '/detect', gif, { 'content-type': 'image/png' }],
    ['packed bytes', 415, '/detect', face, { 'content-encoding': 'gzip' }],
    ['a picture cut short', 422, '/detect', face.subarray(0, face.length / 2), {}],
    ['data that decompresses to more than its header says', 422, '/detect', forgedPng(100, 100, 64e6), {}],
    ['a score beyond 1', 422, '/detect?score=2', face, {}],
    ['a size that is none', 422, '/detect?size=big', face, {}],
    ['a size beyond the largest', 422, '/detect?size=641', face, {}],
    ['a parameter twice', 422, '/detect?size=64&size=64', face, {}],
    ['an unknown parameter', 422, '/detect?threshold=1', face, {}],
    ['an unknown part', 422, '/detect?parts=noses', face, {}],
  ] as const) {
    const { status: got, answer } = await post(service, path, body, headers);
    assert.equal(got, status, `${name}: ${JSON.stringify(answer)}`);
    assertProblem(answer);
  }
});

/** A picture with a longer side than is searched, in few pixels. */
function long(): Uint8Array {
  return encodePng(drawnPicture(700, 8));
}

test('a token is asked for, but not for health, the page and the description', async () => {
  const token = 'a token that nobody guesses'.replaceAll(' ', '-');
  const closed = await serviceOf(engine, { token });
  for (const authorization of ['', 'Bearer', 'Bearer another', `Basic ${token}`, `Bearer ${token}x`]) {
    const { status, headers, answer } = await post(closed, '/detect', face, authorization ? { authorization } : {});
    assert.equal(status, 401, authorization);
    assert.equal(headers.get('www-authenticate'), 'Bearer');
    assertProblem(answer);
  }
  assert.equal((await post(closed, '/detect', face, { authorization: `Bearer ${token}` })).status, 200);
  assert.equal((await fetch(`${closed.address}/metrics`)).status, 401);
  for (const path of ['/', '/healthz', '/readyz', '/openapi.json']) {
    assert.equal((await fetch(closed.address + path)).status, 200, path);
  }
  await closed.close(0);
});

test('a port that is taken is said before weights are read and a device is opened', async () => {
  const taken = createServer();
  await once(taken.listen(0, '127.0.0.1'), 'listening');
  const { port } = taken.address() as AddressInfo;
  try {
    const args = ['serve', '--port', String(port), '--weights', 'no-such-file.safetensors'];
    const { code, stdout, stderr } = await start(args).finished;
    assert.equal(stdout, '');
    assert.match(
      stderr,
      new RegExp(`serve: expected to listen on 127\\.0\\.0\\.1, port ${port}, got one that is taken`),
    );
    assert.notEqual(code, 0);
  } finally {
    taken.close();
  }
});

/** What a service answers to a caller that calls it so; the client of Node sends no other Host than that of the address. */
function statusAs(address: string, host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    get(address, { headers: { host } }, (response) => {
      response.resume();
      resolve(response.statusCode);
    }).on('error', reject);
  });
}

test('a service on the loopback answers to its own names alone, so that no stranger leads a browser to it', async () => {
  const port = new URL(service.address).port;
  for (const host of ['localhost', `LOCALHOST:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`]) {
    assert.equal(await statusAs(service.address, host), 200, host);
  }
  for (const path of ['/', '/healthz', '/metrics', '/detect', '/none']) {
    for (const host of ['evil.example', `evil.example:${port}`, 'localhost.evil.example', 'localhost@evil']) {
      assert.equal(await statusAs(service.address + path, host), 421, `${path} as '${host}'`);
    }
  }
  const named = await serviceOf(engine, { hostnames: ['faces.example'] });
  assert.equal(await statusAs(named.address, 'faces.example'), 200);
  assert.equal(await statusAs(named.address, 'localhost'), 200);
  assert.equal(await statusAs(named.address, 'evil.example'), 421);
  const any = await serviceOf(engine, { hostnames: ['*'] });
  const everywhere = await serviceOf(engine, { host: '0.0.0.0' });
  assert.equal(await statusAs(any.address, 'evil.example'), 200);
  assert.equal(await statusAs(everywhere.address, 'whatever.callers.call.it'), 200);
  await Promise.all([named, any, everywhere].map((each) => each.close(0)));
});

test('the description is valid OpenAPI, and names what there is', async () => {
  const described = (await (await fetch(`${service.address}/openapi.json`)).json()) as {
    readonly paths: Readonly<Record<string, object>>;
  };
  const { valid, errors } = await new Validator().validate(structuredClone(described));
  assert.ok(valid, JSON.stringify(errors));
  for (const [path, methods] of Object.entries(described.paths)) {
    for (const method of Object.keys(methods)) {
      const response = await fetch(service.address + path, { method: method.toUpperCase() });
      assert.ok(![404, 405, 500].includes(response.status), `${method} ${path}: ${response.status}`);
      await response.arrayBuffer();
    }
  }
});

test('the page takes nothing from elsewhere, and may not', async () => {
  const response = await fetch(service.address);
  assert.match(response.headers.get('content-type')!, /^text\/html/);
  assert.match(response.headers.get('content-security-policy')!, /default-src 'none'.*connect-src 'self'/);
  assert.doesNotMatch(await response.text(), /https?:\/\//);
});

test('metrics count requests, pictures and stages', async () => {
  const response = await fetch(`${service.address}/metrics`);
  assert.match(response.headers.get('content-type')!, /^text\/plain; version=0\.0\.4/);
  const text = await response.text();
  for (const line of [
    /^retinaface_request_seconds_count\{route="\/detect",status="200"\} [1-9]/m,
    /^retinaface_request_seconds_count\{route="\/detect",status="413"\} [1-9]/m,
    /^retinaface_stage_seconds_count\{stage="search"\} [1-9]/m,
    /^retinaface_waiting_pictures 0$/m,
    /^retinaface_held_bytes 0$/m,
    /^nodejs_eventloop_lag_p99_seconds /m,
  ]) {
    assert.match(text, line);
  }
});

test.run();
