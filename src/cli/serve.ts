import { availableParallelism } from 'node:os';
import { readBytes } from '../node/files.js';
import { MAX_SIDE } from '../retinaface/detect_options.js';
import { DEFAULT_MAX_SIDE } from '../retinaface/placing.js';
import { Engine } from '../scale/engine.js';
import { PictureFetcher } from '../scale/fetch_picture.js';
import { checkPlace, LOOPBACK, openService, type Service } from '../scale/service.js';
import { openServiceMetrics } from '../scale/service_metrics.js';
import { type Command, defineCommand, EXIT } from './command.js';
import { CONFIGURATION_HELP, PRECISION, readConfiguration } from './model_options.js';
import { flag, number, parsed, readNumber, text, texts, type Values, whole, wrong } from './options.js';
import { version } from './version.js';

const SECOND = 1000;
const MIB = 2 ** 20;

/** A token of fewer letters than this can be guessed. */
const LEAST_TOKEN = 16;

const options = {
  port: whole({ value: 'N', min: 0, max: 65_535, fallback: 8080, help: 'port; 0 takes one that is free' }),
  host: text({ value: 'NAME', fallback: '127.0.0.1', help: 'address to listen on; 0.0.0.0 is every one' }),
  hostname: texts({
    value: 'NAME',
    help: 'a name that requests may call it by in their Host, besides --host and localhost; may be given again; * is any (without --hostname: any, unless --host is the loopback)',
  }),
  tokenFile: text({
    value: 'FILE',
    help: 'ask for the token in it, as `Authorization: Bearer TOKEN`; also RETINAFACE_TOKEN',
  }),
  weights: text({
    heading: 'Searching',
    value: 'FILE|NAME',
    help: 'as for `retinaface detect`; also RETINAFACE_WEIGHTS',
  }),
  configuration: text({ flag: 'config', value: 'NAME|FILE', help: CONFIGURATION_HELP }),
  precision: PRECISION,
  size: parsed(
    (given, command, name): 'original' | number =>
      given === 'original' ? given : readNumber(command, name, given, { min: 16, max: MAX_SIDE, integer: true }),
    {
      value: 'original|N',
      help: 'the size of searches where a request names none',
      shownDefault: "each picture's own, long side at most that of --max-size",
    },
  ),
  batch: whole({
    value: 'N',
    min: 1,
    max: 64,
    help: 'pictures that are searched together at most (8 on a GPU, 4 on a driver that computes on the CPU)',
  }),
  batchWait: number({
    value: 'MS',
    min: 0,
    max: 1000,
    fallback: 5,
    help: 'milliseconds that a picture waits for others of its size',
  }),
  threads: whole({
    value: 'N',
    min: 1,
    max: 64,
    help: 'threads that decode pictures and cut faces out (one fewer than there are cores, at most 8)',
  }),
  timeout: number({
    heading: 'Limits',
    value: 'S',
    min: 1,
    max: 3600,
    fallback: 30,
    help: 'seconds for a request to come, for its answer, and for that to be taken',
  }),
  maxBytes: number({ value: 'MIB', min: 0.001, max: 1024, fallback: 20, help: 'MiB of a request' }),
  maxPixels: number({ value: 'MP', min: 0.001, max: 268, fallback: 33, help: 'millions of pixels of a picture' }),
  maxPictures: whole({ value: 'N', min: 1, max: 1024, fallback: 32, help: 'pictures of a request' }),
  maxSize: whole({
    value: 'N',
    min: 16,
    max: MAX_SIDE,
    fallback: DEFAULT_MAX_SIDE,
    help: 'pixels of a side of what is searched',
  }),
  queue: whole({ value: 'N', min: 1, max: 1_000_000, fallback: 256, help: 'pictures that wait; more are told 503' }),
  memory: number({
    value: 'MIB',
    min: 1,
    max: 1_048_576,
    fallback: 512,
    help: 'MiB of requests at once; more are told 503',
  }),
  perClient: whole({ value: 'N', min: 1, help: 'requests of one client at once; more are told 429 (no bound)' }),
  connections: whole({ value: 'N', min: 1, max: 100_000, fallback: 1024, help: 'connections at once' }),
  trustProxy: texts({ value: 'ADDRESS', help: 'a proxy whose X-Forwarded-For names the client; may be given again' }),
  grace: number({
    value: 'S',
    min: 0,
    max: 3600,
    fallback: 30,
    help: 'seconds to finish what is there after SIGTERM or Ctrl-C; the same again ends at once',
  }),
  allowAddresses: flag({
    heading: 'Addresses',
    help: 'fetch pictures whose http: or https: address a request names, but from no private network',
  }),
  allowHost: texts({
    value: 'HOST',
    help: 'a host inside a private network that may be fetched from; may be given again',
  }),
  quiet: flag({ help: 'no words on stderr but errors' }),
};

/** `retinaface serve`. */
export const serve: Command = defineCommand({
  name: 'serve',
  usage: '[options]',
  about: `Finds faces over HTTP: POST /detect and /align take a PNG or JPEG, several as multipart/form-data, or JSON with an address
where those are allowed. GET / is a page to try it, /openapi.json says all that can be asked, /metrics is for Prometheus,
/healthz and /readyz are for whoever starts it. Needs the packages fastify, @fastify/multipart and prom-client, and ipaddr.js
for addresses. Its address goes to stdout once it takes requests.

  retinaface serve &
  curl -F picture=@photo.jpg 'http://127.0.0.1:8080/detect?score=0.7'
  curl -H 'content-type: image/jpeg' --data-binary @photo.jpg http://127.0.0.1:8080/detect`,
  options,
  notes: `Requests that wait are searched together where their pictures fill one size; each is answered as it would be alone.
What goes wrong is answered with its status and {"error":{"name","operation","expected","got","remedy","message"}}.
SIGTERM and Ctrl-C: no more is taken, what is there is finished, exit code 0.`,
  run: runService,
});

async function runService(values: Values<typeof options>): Promise<number> {
  const say = (words: string): void => {
    if (!values.quiet) process.stderr.write(words);
  };
  const { size, maxSize, timeout } = values;
  if (typeof size === 'number' && size > maxSize) {
    throw wrong('serve', `--size to be at most --max-size, ${maxSize}`, String(size), 'Raise --max-size, too.');
  }
  if (values.allowHost && !values.allowAddresses) {
    throw wrong('serve', '--allow-addresses beside --allow-host', 'the latter alone', 'Pass both.');
  }
  const configuration = await readConfiguration(values.configuration, 'serve');
  const token = await readToken(values.tokenFile);
  const maxBytes = Math.floor(values.maxBytes * MIB);
  const maxPixels = Math.floor(values.maxPixels * 1e6);
  const metrics = await openServiceMetrics();
  using fetcher = values.allowAddresses
    ? await PictureFetcher.create({
        maxBytes,
        timeout: Math.ceil((timeout / 2) * SECOND),
        allowHosts: values.allowHost ?? [],
      })
    : undefined;
  await checkPlace(values);
  const engine = await Engine.open({
    weights: values.weights ?? process.env['RETINAFACE_WEIGHTS'],
    configuration,
    precision: values.precision,
    batch: values.batch,
    batchWait: values.batchWait,
    threads: values.threads ?? Math.min(8, Math.max(1, availableParallelism() - 1)),
    maxPixels,
    maxSize,
    decodeTimeout: (timeout / 2) * SECOND,
    queue: values.queue,
    timeout: timeout * SECOND,
    say,
    onBatch: ({ pictures, resident, processor }) => {
      metrics.batch(pictures, resident, processor);
    },
    onStart: () => {
      metrics.start();
    },
  });
  let service: Service;
  try {
    service = await openService({
      engine,
      metrics,
      host: values.host,
      port: values.port,
      hostnames: values.hostname,
      token,
      fetcher,
      maxBytes,
      maxPixels,
      maxPictures: values.maxPictures,
      maxSize,
      size,
      maxHeld: values.memory * MIB,
      perClient: values.perClient,
      connections: values.connections,
      timeout: timeout * SECOND,
      trustProxy: values.trustProxy,
      version: await version(),
      say,
    });
  } catch (error) {
    await engine.close();
    throw error;
  }
  const { driver, configuration: network, batch } = engine.about;
  say(`searching with ${network} on ${driver}, ${batch === 1 ? 'one picture' : `up to ${batch} pictures`} at a time\n`);
  if (token === undefined && !LOOPBACK.includes(values.host)) {
    say(`anyone who reaches ${values.host} may use this service: --token-file asks for a token\n`);
  }
  process.stdout.write(`${service.address}\n`);
  await endRequested();
  say('ending: finishing what is there\n');
  const grace = values.grace * SECOND;
  // What the engine refuses at last has a second to get out; whoever does not take its answer holds nobody up.
  await Promise.all([service.close(grace + SECOND), engine.close(grace)]);
  return EXIT.done;
}

/** Waits for SIGTERM or Ctrl-C; the same for a second time ends the process. */
function endRequested(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => {
        resolve();
      });
    }
  });
}

/** The token of a file or of RETINAFACE_TOKEN; undefined where there is none. */
async function readToken(file: string | undefined): Promise<string | undefined> {
  const given =
    file === undefined
      ? process.env['RETINAFACE_TOKEN']
      : new TextDecoder().decode(await readBytes(file, 'serve --token-file'));
  const token = given?.trim();
  if (token === undefined || (file === undefined && token === '')) return undefined;
  if (token.length >= LEAST_TOKEN && /^[\x21-\x7e]+$/.test(token)) return token;
  const expected = `a token of at least ${LEAST_TOKEN} letters, digits and signs, without blanks`;
  const got = `one of ${token.length}`;
  throw wrong('serve', expected, got, 'Make one: openssl rand -hex 32');
}
