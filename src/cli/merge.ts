import { once } from 'node:events';
import { writeFileAtomic } from '../node/files.js';
import { openMerge } from '../scale/batch_folder.js';
import { defineCommand, EXIT, type Command } from './command.js';
import { text, wrong } from './options.js';

/** `retinaface merge`. */
export const merge: Command = defineCommand({
  name: 'merge',
  usage: '[options] DIR…',
  about: `Joins what \`detect --out\` wrote, all shards of one job, into one file of JSON lines in the order of the list: of folders
that --out named, or of shards themselves. Nothing is written unless all shards are there, complete and unchanged, of one
list, with the same options and weights.`,
  options: {
    out: text({ value: 'FILE', help: 'write there, whole or not at all (without: to stdout)' }),
  },
  words: true,
  async run({ out }, folders) {
    if (folders.length === 0) throw wrong('merge', 'folders', 'none', 'Name those that `detect --out` wrote.');
    const merged = await openMerge(folders);
    if (out !== undefined) await writeFileAtomic(out, merged.parts(), { durable: true });
    else {
      // A reader of stdout could not tell half of it from all of it: first everything is looked at.
      await merged.check();
      for await (const part of merged.parts()) {
        if (!process.stdout.write(part)) await once(process.stdout, 'drain');
      }
    }
    const count = (n: number): string => n.toLocaleString('en');
    const failed = merged.failed > 0 ? `; ${count(merged.failed)} of them failed` : '';
    process.stderr.write(`${count(merged.pictures)} pictures of ${count(merged.shards)} shards${failed}\n`);
    return EXIT.done;
  },
});
