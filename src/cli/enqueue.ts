import type { ArgumentError } from '../gpu/errors.js';
import { type JobOptions, type PictureJob, PictureQueue } from '../scale/queue.js';
import { type Command, defineCommand, EXIT } from './command.js';
import { DETECTION_OPTIONS, detectionOf } from './detection_options.js';
import { listBatch } from './inputs.js';
import { flag, whole, wrong } from './options.js';
import { QUEUE_OPTIONS, redisOf } from './queue_options.js';

/** `retinaface enqueue`. */
export const enqueue: Command = defineCommand({
  name: 'enqueue',
  usage: '[options] LIST|PICTURE|FOLDER|ADDRESS|-…',
  about: `Puts pictures into a queue, for \`retinaface work\`: those of lists, a path or an address of http or https a line, as files
or for \`-\`; those that are named; those of folders. A line of a list may be JSON, too: {"address","id","options"}, with
options that go before those of the command. A picture whose id (by default its address) the queue knows is not added
again, so that a command that was stopped is simply given once more.`,
  options: {
    ...QUEUE_OPTIONS,
    ...DETECTION_OPTIONS,
    recursive: flag({ help: 'folders inside folders, too' }),
    attempts: whole({
      value: 'N',
      min: 1,
      max: 100,
      fallback: 5,
      help: 'tries of a picture where what fails may pass',
    }),
    maxWaiting: whole({ value: 'N', min: 1, fallback: 100_000, help: 'wait while so many are in the queue' }),
    quiet: flag({ help: 'no words on stderr but errors' }),
  },
  words: true,
  async run({ redis, queue, recursive, attempts, maxWaiting, quiet, ...values }, sources) {
    if (sources.length === 0) {
      const remedy = 'Name lists, pictures or addresses, or `-` to read a list from standard input.';
      throw wrong('enqueue', 'pictures', 'none', remedy);
    }
    let failed = 0;
    const detection = detectionOf(values);
    const jobs: PictureJob[] = [];
    const web = sources.filter((source) => /^https?:/i.test(source));
    for (const address of web) jobs.push({ address, options: detection });
    const listed = await listBatch(
      sources.filter((source) => !web.includes(source)),
      { recursive, onSkipped: () => undefined },
    );
    for (const { file, error } of listed) {
      if (!error) jobs.push(readLine(file, detection));
      else {
        failed++;
        process.stderr.write(`${file}: ${error.message}\n`);
      }
    }
    await using opened = await PictureQueue.open({ redis: redisOf(redis), queue });
    const added = await opened.add(jobs, { attempts, maxWaiting });
    const { waiting } = await opened.counts();
    if (!quiet) process.stderr.write(`${count(added)} pictures given, ${count(waiting)} waiting in '${queue}'\n`);
    return failed > 0 ? EXIT.failed : EXIT.done;
  },
});

const count = (n: number): string => n.toLocaleString('en');

/** A line of a list: an address as it stands, or JSON. */
function readLine(line: string, detection: JobOptions): PictureJob {
  if (!line.startsWith('{')) return { address: line, options: detection };
  const fail = (got: string, cause?: unknown): ArgumentError =>
    wrong('enqueue', 'a line of JSON as {"address":"a.jpg","id":"1"}', got, 'Correct the list.', cause);
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw fail(line.slice(0, 120), cause);
  }
  const { address, id, options = {}, ...rest } = value as Record<string, unknown>;
  const known = Object.keys(rest).length === 0 && typeof options === 'object' && options !== null;
  if (typeof address !== 'string' || address === '' || !known || !(id === undefined || typeof id === 'string'))
    throw fail(line.slice(0, 120));
  return { address, ...(id === undefined ? {} : { id }), options: { ...detection, ...options } };
}
