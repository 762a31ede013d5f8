import { once } from 'node:events';
import { LastingModel } from '../node/lasting.js';
import { ResultFile } from '../scale/result_file.js';
import { needPackages, PictureWorker } from '../scale/worker.js';
import { serveMetrics } from '../scale/worker_metrics.js';
import { type Command, defineCommand, EXIT } from './command.js';
import { CONFIGURATION_HELP, loadWeights, PRECISION, readConfiguration } from './model_options.js';
import { flag, number, text, texts, whole } from './options.js';
import { QUEUE_OPTIONS, redisOf } from './queue_options.js';

const MEBI = 2 ** 20;

/** `retinaface work`. */
export const work: Command = defineCommand({
  name: 'work',
  usage: '[options]',
  about: `Searches the pictures of a queue (BullMQ on Redis 6.2 or later) until it is told to stop: SIGTERM or SIGINT finishes what
is at hand. As many may work on one queue as are useful; what one that died held goes to others. Needs the packages bullmq,
ioredis and ipaddr.js, and prom-client for --metrics.`,
  options: {
    ...QUEUE_OPTIONS,
    weights: text({
      value: 'FILE|NAME',
      help: 'as `retinaface detect` takes them (also RETINAFACE_WEIGHTS; without, those in the box)',
    }),
    configuration: text({ flag: 'config', value: 'NAME|FILE', help: CONFIGURATION_HELP }),
    precision: PRECISION,
    batch: whole({
      value: 'N',
      min: 1,
      max: 256,
      fallback: 8,
      help: 'pictures of one size in one pass; two such are held',
    }),
    out: text({
      value: 'DIR',
      help: 'answers go into a file of JSON lines there, for `retinaface merge DIR`; without, back to the queue, for `retinaface results`',
    }),
    root: text({ value: 'DIR', fallback: '.', help: 'the folder that paths stand in; none outside is read' }),
    allowHost: texts({
      value: 'NAME[:PORT]',
      help: 'a host that may lie inside a private network, again for each; all others there are refused',
    }),
    maxBytes: number({ value: 'MIB', min: 0.001, max: 1024, fallback: 32, help: 'of the file of a picture, at most' }),
    maxPixels: number({ value: 'MILLIONS', min: 0.001, max: 268, fallback: 50, help: 'of a picture, at most' }),
    timeout: number({
      value: 'S',
      min: 0.1,
      max: 3600,
      fallback: 15,
      help: 'seconds to fetch a picture, and to decode it',
    }),
    stalled: number({
      value: 'S',
      min: 1,
      max: 3600,
      fallback: 30,
      help: 'seconds without a sign of life after which what a worker held goes to others',
    }),
    threads: whole({ value: 'N', min: 1, max: 64, fallback: 1, help: 'threads that decode' }),
    metrics: whole({ value: 'PORT', min: 0, max: 65_535, help: "answer GET /metrics there, in Prometheus' format" }),
    metricsHost: text({ value: 'HOST', fallback: '127.0.0.1', help: 'the address that --metrics listens at' }),
    quiet: flag({ help: 'no words on stderr but errors' }),
  },
  async run({ weights, configuration: given, out, allowHost, maxBytes, maxPixels, timeout, stalled, ...values }) {
    const { quiet, metrics: port, metricsHost } = values;
    const say = (words: string): void => {
      if (!quiet) process.stderr.write(words);
    };
    await needPackages();
    const stop = new AbortController();
    const stopped = once(stop.signal, 'abort');
    const onSignal = (signal: NodeJS.Signals): void => {
      // Who asks twice does not want to wait: what is at hand goes to others.
      if (stop.signal.aborted) process.exit(EXIT.failed);
      say(`${signal}: finishing what is at hand\n`);
      stop.abort();
    };
    process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
    const configuration = await readConfiguration(given, 'work');
    using model = new LastingModel(
      configuration,
      (loaded) => loadWeights(loaded, weights ?? process.env['RETINAFACE_WEIGHTS'], quiet),
      say,
      values,
    );
    const { driver } = await model.about();
    const file = out === undefined ? undefined : await ResultFile.create(out);
    const metrics = port === undefined ? undefined : await serveMetrics(port, metricsHost);
    let done = 0;
    let dead = 0;
    let fatal: Error | undefined;
    let reachable = true;
    const worker = await PictureWorker.start({
      ...values,
      ...metrics?.events,
      redis: redisOf(values.redis),
      detector: model,
      allowHosts: allowHost ?? [],
      maxBytes: Math.floor(maxBytes * MEBI),
      maxPixels: Math.floor(maxPixels * 1e6),
      timeout: Math.ceil(timeout * 1000),
      stalled: Math.ceil(stalled * 1000),
      ...(file ? { onResult: (line) => file.append(line) } : {}),
      onJob: (outcome, id, reason) => {
        metrics?.events.onJob(outcome, id, reason);
        if (outcome === 'done') {
          done++;
          reachable = true;
        } else if (outcome === 'dead') {
          dead++;
          process.stderr.write(`${id}: ${reason ?? ''}\n`);
        }
      },
      onError: (error) => {
        metrics?.events.onError(error);
        // A server that is away is away for all connections, many times a second.
        if (reachable) say(`the queue: ${error.message || error.name}; trying again\n`);
        reachable = false;
      },
      onFatal: (error) => {
        fatal ??= error;
        stop.abort();
      },
    });
    const where = metrics ? `, metrics at ${metrics.address}` : '';
    say(`working on '${values.queue}', ${driver}${file ? `, into ${file.path}` : ''}${where}\n`);
    await stopped;
    await worker.close();
    await file?.close();
    await metrics?.[Symbol.asyncDispose]();
    say(`${done.toLocaleString('en')} pictures${dead > 0 ? `, ${dead.toLocaleString('en')} given up` : ''}\n`);
    if (fatal) throw fatal;
    return EXIT.done;
  },
});
