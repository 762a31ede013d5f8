import { once } from 'node:events';
import { PictureQueue } from '../scale/queue.js';
import { type Command, defineCommand, EXIT } from './command.js';
import { flag, wrong } from './options.js';
import { QUEUE_OPTIONS, redisOf } from './queue_options.js';

/** `retinaface results`. */
export const results: Command = defineCommand({
  name: 'results',
  usage: '[options]',
  about: `Writes the answers that came back to a queue, a JSON line each, as \`detect --json\` does, with the "id" of its job; and those
that were given up, with their "error" and "attempts". Exit code 1 says that some were, or that some are not done yet.`,
  options: {
    ...QUEUE_OPTIONS,
    dead: flag({ help: 'only those that were given up' }),
    retry: flag({ help: 'with --dead: give them back to the workers, all attempts anew, and write nothing' }),
    remove: flag({ help: 'take answers out of the queue once they are written' }),
    quiet: flag({ help: 'no words on stderr but errors' }),
  },
  async run({ redis, queue, dead, retry, remove, quiet }) {
    if (retry && !dead) throw wrong('results', '--dead beside --retry', 'none', 'Write both.');
    await using opened = await PictureQueue.open({ redis: redisOf(redis), queue });
    const say = (words: string): void => {
      if (!quiet) process.stderr.write(words);
    };
    const count = (n: number): string => n.toLocaleString('en');
    if (retry) {
      say(`${count(await opened.revive())} given back\n`);
      return EXIT.done;
    }
    const write = async (line: object): Promise<void> => {
      if (!process.stdout.write(`${JSON.stringify(line)}\n`)) await once(process.stdout, 'drain');
    };
    let written = 0;
    let failed = 0;
    if (!dead) {
      for await (const line of opened.results({ remove })) {
        await write(line);
        written++;
      }
    }
    for await (const line of opened.dead()) {
      await write(line);
      failed++;
    }
    const { waiting, active } = await opened.counts();
    say(`${count(written)} answers, ${count(failed)} given up, ${count(waiting)} waiting, ${count(active)} at hand\n`);
    return failed + waiting + active > 0 ? EXIT.failed : EXIT.done;
  },
});
